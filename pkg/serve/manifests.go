package serve

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

func (r *Registry) serveManifest(w http.ResponseWriter, req *http.Request, repo *repository, asked request) *problem {
	m, p := repo.find(asked)
	if p != nil {
		return p
	}
	if m, p = repo.negotiate(m, accepted(req), !asked.byDigest()); p != nil {
		return p
	}
	content, err := r.content(m)
	if err != nil {
		return r.lost(err, manifestUnknown, repo, m.Digest.String())
	}
	h := w.Header()
	h.Set("Content-Type", m.MediaType)
	h.Set("Docker-Content-Digest", m.Digest.String())
	h.Set("ETag", etag(m.Digest.String()))
	http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(content))
	return nil
}

func etag(digest string) string { return `"` + digest + `"` }

// find gives the manifest that is asked for by tag or digest.
func (r *repository) find(asked request) (manifest, *problem) {
	d, tagged := r.tags[asked.reference]
	if asked.byDigest() {
		var p *problem
		if d, p = asked.digest(); p != nil {
			return manifest{}, p
		}
	} else if !tagged {
		return manifest{}, manifestUnknown.with("no tag " + asked.reference)
	}
	m, ok := r.manifests[d]
	if !ok {
		return manifest{}, manifestUnknown.with("no manifest " + d.String())
	}
	return m, nil
}

// accept is what media types a client takes; nil where it takes any.
type accept map[string]bool

// accepted reads the Accept headers. Nothing said is anything taken, and so is a
// wildcard: RFC 9110, 12.5.1. Weights are passed over, as every registry does.
func accepted(req *http.Request) accept {
	a := accept{}
	for _, line := range req.Header.Values("Accept") {
		for part := range strings.SplitSeq(line, ",") {
			mediaType, _, err := mime.ParseMediaType(part)
			switch {
			case err != nil:
			case mediaType == "*/*" || mediaType == "application/*":
				return nil
			default:
				a[mediaType] = true
			}
		}
	}
	if len(a) == 0 {
		return nil
	}
	return a
}

func (a accept) takes(mediaType string) bool { return a == nil || a[mediaType] }

// negotiate does for a client that names other types what distribution 3 does
// (registry/handlers/manifests.go): of docker's manifest list it gets, by its tag,
// the image for linux/amd64; what is OCI's is unknown to it; all else it gets.
func (r *repository) negotiate(m manifest, a accept, byTag bool) (manifest, *problem) {
	if a.takes(m.MediaType) {
		return m, nil
	}
	switch m.MediaType {
	case ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex:
		return m, manifestUnknown.with(m.MediaType + " found, which the Accept header does not name")
	case storage.MediaTypeDockerList:
		if byTag {
			return r.forOldClients(m)
		}
	}
	return m, nil
}

func (r *repository) forOldClients(list manifest) (manifest, *problem) {
	for _, c := range list.children {
		if c.Platform == nil || c.Platform.OS != "linux" || c.Platform.Architecture != "amd64" {
			continue
		}
		if m, ok := r.manifests[c.Digest]; ok {
			return m, nil
		}
	}
	return list, manifestUnknown.with("a manifest list without linux/amd64 found, and the Accept header does not name its type")
}

// errDamaged is wrapped where bytes are there that do not have their digest.
var errDamaged = errors.New("its bytes are not those of its digest")

// content reads a manifest, and holds it against its digest.
func (r *Registry) content(m manifest) ([]byte, error) {
	if m.content != nil {
		return m.content, nil
	}
	f, err := r.src.Open(r.index.Path(m.Digest))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, m.Size+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(content)) != m.Size || !storage.HasDigest(content, m.Digest):
		return nil, errDamaged
	}
	return content, nil
}

// lost is the answer where something that was planned is not to be had any more.
// Absence and damage are told as absence, a failure to read as what it is.
func (r *Registry) lost(err error, unknown problem, repo *repository, digest string) *problem {
	r.log.Warn("not served", "repository", repo.name, "digest", digest, "error", err.Error())
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, source.ErrNotRegular) || errors.Is(err, errDamaged) {
		return unknown.with(fmt.Sprintf("%s is missing or damaged", digest))
	}
	return unreadable.with(digest)
}
