package harbortest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/distribution/distribution/v3/manifest/schema2"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// distribution 3 no longer takes manifests of schema 1, and the registry in
// Harbor still does. They are kept here instead of in its storage.

const schema1Signed = "application/vnd.docker.distribution.manifest.v1+prettyjws"

var errNotSigned = errors.New("missing signature key")

// parseSchema1 takes a signed manifest. Its digest is that of the payload
// without the signatures, which is how the registry knows it.
func parseSchema1(body []byte) (*artifact, error) {
	var m struct {
		Layers []struct {
			BlobSum digest.Digest `json:"blobSum"`
		} `json:"fsLayers"`
		Signatures []struct {
			Protected string `json:"protected"`
		} `json:"signatures"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, err
	}
	if len(m.Signatures) == 0 {
		return nil, errNotSigned
	}
	payload, err := signedPayload(body, m.Signatures[0].Protected)
	if err != nil {
		return nil, err
	}
	a := &artifact{
		digest: digest.FromBytes(payload), mediaType: schema1Signed, configType: schema2.MediaTypeImageConfig, artifactType: schema2.MediaTypeImageConfig,
		size: int64(len(body)), total: int64(len(body)), schema1: body,
	}
	for _, layer := range m.Layers {
		a.blobs = append(a.blobs, ocispec.Descriptor{Digest: layer.BlobSum})
	}
	return a, nil
}

// signedPayload undoes libtrust's way of putting signatures into a JSON
// document: the protected header says where the document was cut open, and
// how it went on.
func signedPayload(body []byte, protected string) ([]byte, error) {
	var header struct {
		Length int    `json:"formatLength"`
		Tail   string `json:"formatTail"`
	}
	raw, err := base64.RawURLEncoding.DecodeString(protected)
	if err != nil {
		return nil, fmt.Errorf("decoding protected header: %w", err)
	}
	if err := json.Unmarshal(raw, &header); err != nil {
		return nil, fmt.Errorf("parsing protected header: %w", err)
	}
	tail, err := base64.RawURLEncoding.DecodeString(header.Tail)
	if err != nil {
		return nil, fmt.Errorf("decoding format tail: %w", err)
	}
	if header.Length < 0 || header.Length > len(body) {
		return nil, errors.New("invalid format length")
	}
	return append(body[:header.Length:header.Length], tail...), nil
}

// storeSchema1 answers as the registry would: every layer must be there.
func (s *Server) storeSchema1(r *http.Request, p *push) (*answer, error) {
	a := &answer{header: http.Header{}}
	a.header.Set(versionHeader, apiVersion)
	var missing failures
	for i, layer := range p.blobs {
		found := s.fetch(r.Context(), http.MethodHead, "/v2/"+p.target.repository+"/blobs/"+layer.Digest.String())
		if found.status != http.StatusOK {
			missing = append(missing, failure{"MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", layer.Digest})
		}
		p.blobs[i].Size = max(found.contentLength(), 0)
	}
	if missing != nil {
		writeAs(a, http.StatusBadRequest, errorType, missing.body())
		return a, nil
	}
	a.header.Set("Docker-Content-Digest", p.digest.String())
	a.header.Set("Location", s.external+manifestURL(p.target.repository, p.digest))
	return a, writeEmpty(a, http.StatusCreated)
}

func writeSchema1(w http.ResponseWriter, a *artifact) error {
	w.Header().Set(versionHeader, apiVersion)
	w.Header().Set("Docker-Content-Digest", a.digest.String())
	w.Header().Set("Etag", `"`+a.digest.String()+`"`)
	writeBody(w, http.StatusOK, a.mediaType, a.schema1)
	return nil
}
