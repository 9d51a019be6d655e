package serve

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// maxReferrers is how many bytes of descriptors go into one page. The spec wants a
// registry to keep it below what clients take of a manifest, 4 MiB.
const maxReferrers = 3 << 20

// serveReferrers lists what names a manifest as its subject, whether that
// manifest is there or not: OCI distribution spec 1.1, "Listing Referrers".
func (r *Registry) serveReferrers(w http.ResponseWriter, req *http.Request, repo *repository, asked request) *problem {
	subject, p := asked.digest()
	if p != nil {
		return p
	}
	query := req.URL.Query()
	wanted, last := query.Get("artifactType"), query.Get("last")
	all := repo.referrers[subject]
	from, found := slices.BinarySearch(all, digest.Digest(last))
	if found {
		from++
	}
	list := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{}}
	size := 0
	for _, d := range all[from:] {
		one, bytes, err := r.referrer(repo.manifests[d])
		if err != nil {
			return r.lost(err, manifestUnknown, repo, d.String())
		}
		if wanted != "" && one.ArtifactType != wanted {
			continue
		}
		if size += bytes; size > maxReferrers && len(list.Manifests) > 0 {
			query.Set("last", list.Manifests[len(list.Manifests)-1].Digest.String())
			linkNext(w, req, url.Values(query))
			break
		}
		list.Manifests = append(list.Manifests, one)
	}
	if wanted != "" {
		w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	writeJSON(w, http.StatusOK, ocispec.MediaTypeImageIndex, list)
	return nil
}

// referrer describes a manifest as the list of referrers does, with its
// annotations, and tells how many bytes that takes.
func (r *Registry) referrer(m manifest) (ocispec.Descriptor, int, error) {
	content, err := r.content(m)
	if err != nil {
		return ocispec.Descriptor{}, 0, err
	}
	var doc struct {
		ArtifactType string              `json:"artifactType"`
		Config       *ocispec.Descriptor `json:"config"`
		Annotations  map[string]string   `json:"annotations"`
	}
	if err := json.Unmarshal(content, &doc); err != nil {
		return ocispec.Descriptor{}, 0, fmt.Errorf("%w: %w", errDamaged, err)
	}
	d := ocispec.Descriptor{
		MediaType: m.MediaType, Digest: m.Digest, Size: m.Size,
		ArtifactType: doc.ArtifactType, Annotations: doc.Annotations,
	}
	if d.ArtifactType == "" && doc.Config != nil && !storage.IsIndex(m.MediaType) {
		d.ArtifactType = doc.Config.MediaType
	}
	bytes, err := json.Marshal(d)
	return d, len(bytes), err
}
