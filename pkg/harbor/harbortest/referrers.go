package harbortest

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// serveReferrers answers from the database: neither Harbor's registry nor
// distribution 3 knows referrers.
func (s *Server) serveReferrers(w http.ResponseWriter, r *http.Request, t *target) error {
	subject, ok := asDigest(t.reference)
	if !ok {
		return badRequest("unsupported digest %s: %v", t.reference, digest.ErrDigestInvalidFormat)
	}
	referrers := s.db.referrers(t.repository, subject)
	w.Header().Set("X-Total-Count", strconv.Itoa(len(referrers)))
	if wanted := r.URL.Query().Get("artifactType"); wanted != "" {
		w.Header().Set("OCI-Filters-Applied", "artifactType")
		referrers = slices.DeleteFunc(referrers, func(d ocispec.Descriptor) bool { return d.ArtifactType != wanted })
	}
	writeAs(w, http.StatusOK, ocispec.MediaTypeImageIndex, ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: referrers,
	})
	return nil
}

// referrers returns nothing as long as the subject itself is not there, and
// what came before it once it is.
func (db *database) referrers(repo string, subject digest.Digest) []ocispec.Descriptor {
	db.mu.Lock()
	defer db.mu.Unlock()
	found := []ocispec.Descriptor{}
	r := db.repositories[repo]
	if r == nil || r.artifacts[subject] == nil {
		return found
	}
	for _, a := range r.inOrder() {
		if acc, ok := r.accessory(a); ok && acc.subject == subject {
			found = append(found, a.descriptor())
		}
	}
	slices.Reverse(found)
	return found
}

func (a *artifact) descriptor() ocispec.Descriptor {
	return ocispec.Descriptor{
		MediaType: a.mediaType, Digest: a.digest, Size: a.size,
		Annotations: a.annotations, ArtifactType: a.artifactType,
	}
}
