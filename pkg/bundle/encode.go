package bundle

import (
	"bufio"
	"encoding/json"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// formatVersion counts the changes of the inventory's form that a reader has to
// know of.
const formatVersion = 1

// manifestJSON is a manifest as the inventory has it.
type manifestJSON struct {
	Digest       digest.Digest    `json:"digest"`
	MediaType    string           `json:"mediaType"`
	Size         int64            `json:"size"` // bytes
	ArtifactType string           `json:"artifactType,omitempty"`
	Platform     *platformJSON    `json:"platform,omitempty"`
	Subject      *descriptorJSON  `json:"subject,omitempty"`
	Manifests    []descriptorJSON `json:"manifests,omitempty"`
	Blobs        []descriptorJSON `json:"blobs,omitempty"`

	// What the manifest does not state itself, and was worked out.
	MediaTypeImplied    bool `json:"mediaTypeImplied,omitempty"`
	ArtifactTypeImplied bool `json:"artifactTypeImplied,omitempty"`
}

// descriptorJSON is a descriptor without what takes much room and nobody needs.
type descriptorJSON struct {
	Digest       digest.Digest `json:"digest"`
	MediaType    string        `json:"mediaType,omitempty"`
	Size         int64         `json:"size"` // bytes; -1 where a manifest of docker's first schema does not say
	ArtifactType string        `json:"artifactType,omitempty"`
	URLs         []string      `json:"urls,omitempty"`
	Platform     *platformJSON `json:"platform,omitempty"`
}

type platformJSON ocispec.Platform

func encodeManifest(m *storage.Manifest) manifestJSON {
	encoded := manifestJSON{
		Digest: m.Digest, MediaType: m.MediaType, Size: m.Size,
		ArtifactType: m.ArtifactType, Platform: (*platformJSON)(m.Platform),
		Manifests: encodeDescriptors(m.Manifests), Blobs: encodeDescriptors(m.Blobs),
		MediaTypeImplied:    !m.Stated,
		ArtifactTypeImplied: m.ArtifactType != m.Descriptor.ArtifactType,
	}
	if m.Subject != nil {
		subject := encodeDescriptor(m.Subject)
		encoded.Subject = &subject
	}
	return encoded
}

func encodeDescriptors(list []*ocispec.Descriptor) []descriptorJSON {
	encoded := make([]descriptorJSON, 0, len(list))
	for _, d := range list {
		encoded = append(encoded, encodeDescriptor(d))
	}
	return encoded
}

func encodeDescriptor(d *ocispec.Descriptor) descriptorJSON {
	return descriptorJSON{
		Digest: d.Digest, MediaType: d.MediaType, Size: d.Size,
		ArtifactType: d.ArtifactType, URLs: d.URLs, Platform: (*platformJSON)(d.Platform),
	}
}

// WriteTo writes the inventory as JSON, an image, a manifest or a blob a line.
func (inv *Inventory) WriteTo(w io.Writer) (int64, error) {
	counter := &counter{w: w}
	e := encoder{w: bufio.NewWriterSize(counter, 1<<16)}
	e.text(`{"formatVersion":`)
	e.value(formatVersion)
	if inv.Base != "" {
		e.text(",\n" + `"base":`)
		e.value(inv.Base)
	}
	e.list("images", len(inv.Images), func(n int) any { return inv.Images[n] })
	e.list("manifests", len(inv.Manifests), func(n int) any { return encodeManifest(inv.Manifests[n]) })
	e.list("blobs", len(inv.Blobs), func(n int) any { return inv.Blobs[n] })
	e.text("\n}\n")
	if e.err == nil {
		e.err = e.w.Flush()
	}
	return counter.n, e.err
}

// encoder writes JSON piece by piece; it stops at the first error.
type encoder struct {
	w   *bufio.Writer
	err error
}

func (e *encoder) text(s string) {
	if e.err == nil {
		_, e.err = e.w.WriteString(s)
	}
}

func (e *encoder) value(v any) {
	if e.err != nil {
		return
	}
	encoded, err := json.Marshal(v)
	if err != nil {
		e.err = err
		return
	}
	_, e.err = e.w.Write(encoded)
}

func (e *encoder) list(name string, length int, at func(int) any) {
	e.text(",\n\"" + name + "\":[")
	separator := "\n"
	for n := range length {
		e.text(separator)
		e.value(at(n))
		separator = ",\n"
	}
	e.text("]")
}

// counter counts the bytes that go through it.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
