package storage

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Manifest is a parsed manifest of any type: of an image, an image index, an
// artifact, or docker's first schema. It is shared and not to be changed, nor are
// its descriptors: those of an Index that say the same are one.
type Manifest struct {
	// Descriptor has the type (worked out, where the content does not state
	// it), the digest, the size in bytes and, for an image with a config that
	// says so, the platform.
	ocispec.Descriptor
	ArtifactType string
	Subject      *ocispec.Descriptor
	Manifests    []*ocispec.Descriptor // an image index's children
	Blobs        []*ocispec.Descriptor // config first, then layers; sizes of schema 1 are unknown, -1

	// Stated is false where the content leaves its media type out.
	Stated bool
	// Raw is the content, kept only for indexes, and only if asked for.
	Raw []byte
}

// document is every field of every manifest type that names something.
type document struct {
	SchemaVersion int                  `json:"schemaVersion"`
	MediaType     string               `json:"mediaType"`
	ArtifactType  string               `json:"artifactType"`
	Config        *ocispec.Descriptor  `json:"config"`
	Layers        []ocispec.Descriptor `json:"layers"`
	Manifests     []ocispec.Descriptor `json:"manifests"`
	Blobs         []ocispec.Descriptor `json:"blobs"` // artifact manifests
	Subject       *ocispec.Descriptor  `json:"subject"`
	FSLayers      []struct {
		BlobSum digest.Digest `json:"blobSum"`
	} `json:"fsLayers"` // schema 1
	Signatures []json.RawMessage `json:"signatures"` // schema 1
}

var errNotAManifest = errors.New("it has neither layers, nor manifests, nor blobs that a manifest has")

// ParseManifest reads a manifest. The media type is the one the content states;
// stated is what someone else says, such as a registry's Content-Type or a
// parent's descriptor, and serves where the content says nothing and its shape
// leaves it open. The digest is the caller's word.
//
// Formats: OCI image spec 1.1, manifest.md and image-index.md; distribution,
// docs/content/spec.
func ParseManifest(content []byte, d digest.Digest, stated string) (*Manifest, error) {
	var doc document
	if err := json.Unmarshal(content, &doc); err != nil {
		return nil, fmt.Errorf("parsing manifest %s: %w", d, err)
	}
	m := &Manifest{ArtifactType: doc.ArtifactType, Stated: doc.MediaType != "" || doc.SchemaVersion == 1}
	m.MediaType = doc.MediaType
	if m.MediaType == "" || IsSchema1(m.MediaType) {
		m.MediaType = guessMediaType(&doc)
	}
	if m.MediaType == "" && IsManifest(stated) {
		m.MediaType = stated
	}
	m.Digest, m.Size, m.Descriptor.ArtifactType = d, int64(len(content)), doc.ArtifactType
	if err := m.take(&doc); err != nil {
		return nil, fmt.Errorf("parsing manifest %s: %w", d, err)
	}
	return m, nil
}

// take files the document's descriptors by what they are.
func (m *Manifest) take(doc *document) error {
	m.Blobs = make([]*ocispec.Descriptor, 0, doc.blobs())
	for i := range doc.Manifests {
		if c := slim(&doc.Manifests[i]); isLayerOfIndex(c.MediaType) {
			m.Blobs = append(m.Blobs, c)
		} else {
			m.Manifests = append(m.Manifests, c)
		}
	}
	if doc.Config != nil {
		m.Blobs = append(m.Blobs, slim(doc.Config))
	}
	for _, list := range [][]ocispec.Descriptor{doc.Layers, doc.Blobs} {
		for i := range list {
			m.Blobs = append(m.Blobs, slim(&list[i]))
		}
	}
	for _, l := range doc.FSLayers {
		m.Blobs = append(m.Blobs, &ocispec.Descriptor{Digest: l.BlobSum, Size: -1})
	}
	if len(m.Blobs) == 0 {
		m.Blobs = nil
	}
	if doc.Subject != nil {
		m.Subject = slim(doc.Subject)
	}
	if m.ArtifactType == "" && doc.Config != nil && !IsImageConfig(doc.Config.MediaType) {
		m.ArtifactType = doc.Config.MediaType // OCI image spec, manifest.md: the fallback
	}
	return m.check(doc)
}

// blobs is how many blobs the document names, as far as it is no index.
func (doc *document) blobs() int {
	n := len(doc.Layers) + len(doc.Blobs) + len(doc.FSLayers)
	if doc.Config != nil {
		n++
	}
	return n
}

// check refuses what names nothing or names it wrongly: a path is built from
// every digest that passes here.
func (m *Manifest) check(doc *document) error {
	if m.MediaType == "" || (doc.Config == nil && doc.Layers == nil && doc.Manifests == nil && doc.Blobs == nil && doc.FSLayers == nil) {
		return errNotAManifest
	}
	if strings.ContainsFunc(m.MediaType, unicode.IsControl) { // it goes into a header, which ends there
		return fmt.Errorf("media type %q", clip([]byte(m.MediaType), 100))
	}
	for _, list := range [][]*ocispec.Descriptor{m.Manifests, m.Blobs} {
		for _, c := range list {
			if err := validate(c.Digest); err != nil {
				return fmt.Errorf("digest %q: %w", clip([]byte(c.Digest), 100), err)
			}
			if c.Size < 0 && !IsSchema1(m.MediaType) {
				return fmt.Errorf("blob %s has the size %d", c.Digest, c.Size)
			}
		}
	}
	if m.Subject != nil {
		if err := validate(m.Subject.Digest); err != nil {
			return fmt.Errorf("subject %q: %w", clip([]byte(m.Subject.Digest), 100), err)
		}
	}
	return nil
}

// isLayerOfIndex tells an index's child that is a blob: build caches list
// layers and a config as if they were manifests, and the OCI image spec,
// image-index.md, allows any type. One that is not stated is a manifest's.
func isLayerOfIndex(mediaType string) bool { return mediaType != "" && !IsManifest(mediaType) }

// slim leaves out of a descriptor what nobody asks for and takes memory.
func slim(d *ocispec.Descriptor) *ocispec.Descriptor {
	d.Annotations, d.Data = nil, nil
	return d
}
