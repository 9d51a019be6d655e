package harbortest

import (
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"regexp"
	"time"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/manifest/manifestlist"
	"github.com/distribution/distribution/v3/manifest/schema2"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// An artifact is a manifest as Harbor's database has it. It does not change
// once it is in there.
type artifact struct {
	id           int64
	digest       digest.Digest
	mediaType    string // of the manifest
	configType   string // the config's, or what stands for it
	artifactType string
	size         int64 // of the manifest
	total        int64 // with its config and layers
	pushed       time.Time

	blobs       []ocispec.Descriptor // config and layers
	children    []ocispec.Descriptor // of an index
	config      *ocispec.Descriptor
	subject     *ocispec.Descriptor
	annotations map[string]string
	extra       map[string]any // what is shown of the config
	schema1     []byte         // the manifest itself, for schema 1 only
}

// manifestJSON has the fields of every kind of manifest.
type manifestJSON struct {
	ArtifactType string               `json:"artifactType"`
	Config       *ocispec.Descriptor  `json:"config"`
	Layers       []ocispec.Descriptor `json:"layers"`
	Manifests    []ocispec.Descriptor `json:"manifests"`
	Subject      *ocispec.Descriptor  `json:"subject"`
	Annotations  map[string]string    `json:"annotations"`
}

// parseManifest goes by the content type, as Harbor does: whatever is not one
// of the four current types is taken for schema 1.
func parseManifest(contentType string, body []byte) (*artifact, error) {
	mediaType, _, _ := mime.ParseMediaType(contentType)
	switch mediaType {
	case schema2.MediaTypeManifest, manifestlist.MediaTypeManifestList, ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex:
	default:
		return parseSchema1(body)
	}
	if _, _, err := distribution.UnmarshalManifest(mediaType, body); err != nil {
		return nil, err
	}
	var m manifestJSON
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, err
	}
	return newArtifact(mediaType, body, &m), nil
}

func newArtifact(mediaType string, body []byte, m *manifestJSON) *artifact {
	a := &artifact{
		digest: digest.FromBytes(body), mediaType: mediaType, configType: mediaType, size: int64(len(body)),
		config: m.Config, children: m.Manifests, subject: m.Subject, annotations: m.Annotations,
		blobs: m.Layers,
	}
	if m.Config != nil {
		a.configType = m.Config.MediaType
		a.blobs = append([]ocispec.Descriptor{*m.Config}, m.Layers...)
	}
	if a.configType == ocispec.MediaTypeEmptyJSON && m.ArtifactType != "" {
		a.configType = m.ArtifactType
	}
	a.artifactType = a.configType
	if m.ArtifactType != "" {
		a.artifactType = m.ArtifactType
	}
	a.total = a.size
	for _, d := range a.blobs {
		a.total += d.Size
	}
	return a
}

// isImageConfig tells the configurations that Harbor reads.
func isImageConfig(d ocispec.Descriptor) bool {
	return d.MediaType == ocispec.MediaTypeImageConfig || d.MediaType == schema2.MediaTypeImageConfig
}

// readConfig takes what Harbor shows of an image from its config, and fails for
// good where that is not the JSON that its media type promises.
func (s *Server) readConfig(ctx context.Context, p *push) error {
	if p.config == nil || !isImageConfig(*p.config) {
		return nil
	}
	a := s.fetch(ctx, http.MethodGet, "/v2/"+p.target.repository+"/blobs/"+p.config.Digest.String())
	var image ocispec.Image
	if err := json.Unmarshal(a.body.Bytes(), &image); err != nil {
		return fmt.Errorf("reading config %s: %w", p.config.Digest, err)
	}
	p.extra = map[string]any{
		"architecture": image.Architecture, "author": image.Author, "config": image.Config,
		"created": image.Created, "os": image.OS,
	}
	return nil
}

// kind is the type that Harbor shows.
func (a *artifact) kind() string {
	switch a.configType {
	case "application/vnd.cncf.helm.config.v1+json":
		return "CHART"
	case ocispec.MediaTypeImageConfig, schema2.MediaTypeImageConfig, ocispec.MediaTypeImageIndex,
		manifestlist.MediaTypeManifestList:
		return "IMAGE"
	}
	return "UNKNOWN"
}

var cosignTag = regexp.MustCompile(`^sha256-([a-f0-9]{64})\.sig$`)

// An accessory belongs to another artifact and is hidden from listings.
type accessory struct {
	kind    string
	subject digest.Digest
}

// accessory tells whether a is one: by its subject, or by a tag of cosign's.
func (r *repository) accessory(a *artifact) (accessory, bool) {
	if a.subject != nil {
		return accessory{"subject.accessory", a.subject.Digest}, true
	}
	for name, t := range r.tags {
		m := cosignTag.FindStringSubmatch(name)
		if m == nil || t.digest != a.digest {
			continue
		}
		subject := digest.Digest("sha256:" + m[1])
		if r.artifacts[subject] != nil {
			return accessory{"signature.cosign", subject}, true
		}
	}
	return accessory{}, false
}

// listed returns the artifacts of a listing: all but accessories and the
// children of indexes that have no tag of their own.
func (r *repository) listed() []*artifact {
	children := map[digest.Digest]bool{}
	for _, a := range r.artifacts {
		for _, child := range a.children {
			children[child.Digest] = true
		}
	}
	for _, t := range r.tags {
		delete(children, t.digest)
	}
	var listed []*artifact
	for _, a := range r.inOrder() {
		if _, hidden := r.accessory(a); !hidden && !children[a.digest] {
			listed = append(listed, a)
		}
	}
	return listed
}
