package serve

import (
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// kind is what a request asks for.
type kind int

const (
	askNothing kind = iota // no path of a registry
	askBase
	askCatalog
	askTags
	askManifest
	askBlob
	askUpload
	askReferrers
)

// request is a path, taken apart.
type request struct {
	kind       kind
	repository string
	reference  string // a tag or a digest, as it stands there
}

// parsePath takes a path apart, from its end: components of repositories may have
// any of the words that stand behind them. Nothing is held against a grammar yet.
//
// OCI distribution spec 1.1, "Endpoints"; /v2/_catalog is docker's.
func parsePath(path string) request {
	rest, ok := strings.CutPrefix(path, "/v2/")
	switch {
	case path == "/v2" || path == "/v2/":
		return request{kind: askBase}
	case !ok:
		return request{}
	case rest == "_catalog":
		return request{kind: askCatalog}
	}
	parts := strings.Split(rest, "/")
	n := len(parts)
	if n >= 4 && parts[n-3] == "blobs" && parts[n-2] == "uploads" {
		return request{kind: askUpload, repository: strings.Join(parts[:n-3], "/"), reference: parts[n-1]}
	}
	if n < 3 {
		return request{}
	}
	r := request{repository: strings.Join(parts[:n-2], "/"), reference: parts[n-1]}
	switch parts[n-2] {
	case "manifests":
		r.kind = askManifest
	case "blobs":
		r.kind = askBlob
	case "referrers":
		r.kind = askReferrers
	case "tags":
		if r.reference == "list" {
			r.kind, r.reference = askTags, ""
		}
	}
	if r.kind == askNothing {
		return request{}
	}
	return r
}

// digest reads the reference as a digest.
func (r request) digest() (digest.Digest, *problem) {
	d, err := digest.Parse(r.reference)
	if err != nil {
		return "", digestInvalid.with(err.Error())
	}
	return d, nil
}

// byDigest tells a digest from a tag, which has no colon.
func (r request) byDigest() bool { return strings.Contains(r.reference, ":") }

func (r request) valid() bool { return storage.ValidRepository(r.repository) }
