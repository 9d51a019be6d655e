package main

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A maker makes content and keeps it by digest until it is written.
type maker struct {
	dir       string
	seed      uint64
	algorithm digest.Algorithm
	blobs     map[digest.Digest][]byte
}

// A layer is a descriptor with its place in the image's configuration.
type layer struct {
	ocispec.Descriptor
	diffID digest.Digest
}

type image struct {
	platform    *ocispec.Platform
	layers      []layer
	docker      bool // docker's schema 2, not OCI
	noMediaType bool // an OCI manifest may leave its own media type out
}

// image keeps a manifest and its configuration, and returns the manifest's descriptor with the platform.
func (m *maker) image(img image) ocispec.Descriptor {
	return m.manifest(img, m.config(img))
}

func (m *maker) config(img image) ocispec.Descriptor {
	config := ocispec.Image{Created: &epoch, Platform: *img.platform, RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{}}}
	config.Config.Cmd = []string{"/bin/sh"}
	for i, l := range img.layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, l.diffID)
		config.History = append(config.History, ocispec.History{Created: &epoch, CreatedBy: fmt.Sprintf("ADD layer %d", i)})
	}
	mediaType := ocispec.MediaTypeImageConfig
	if img.docker {
		mediaType = dockerConfig
	}
	return m.blob(mediaType, mustJSON(config), nil)
}

func (m *maker) manifest(img image, config ocispec.Descriptor) ocispec.Descriptor {
	manifest := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Config: config}
	if img.docker {
		manifest.MediaType = dockerManifest
	}
	for _, l := range img.layers {
		if img.docker && l.MediaType == ocispec.MediaTypeImageLayerGzip {
			l.MediaType = dockerLayer
		}
		manifest.Layers = append(manifest.Layers, l.Descriptor)
	}
	mediaType := manifest.MediaType
	if img.noMediaType {
		manifest.MediaType = ""
	}
	desc := m.blob(mediaType, mustJSON(manifest), nil)
	desc.Platform = img.platform
	return desc
}

func (m *maker) artifact(artifactType string, blob ocispec.Descriptor, subject *ocispec.Descriptor) ocispec.Descriptor {
	return m.blob(ocispec.MediaTypeImageManifest, mustJSON(ocispec.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    ocispec.MediaTypeImageManifest,
		ArtifactType: artifactType,
		Config:       m.blob(ocispec.MediaTypeEmptyJSON, []byte("{}"), nil),
		Layers:       []ocispec.Descriptor{blob},
		Subject:      subject,
		Annotations:  map[string]string{ocispec.AnnotationCreated: epoch.Format(time.RFC3339)},
	}), nil)
}

func (m *maker) index(children ...ocispec.Descriptor) ocispec.Descriptor {
	return m.blob(ocispec.MediaTypeImageIndex, mustJSON(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex,
		Manifests: children,
	}), nil)
}

func (m *maker) platformImages(name string, platforms ...string) []ocispec.Descriptor {
	var children []ocispec.Descriptor
	for _, p := range platforms {
		layers := append([]layer{m.gzipLayer("base/0")}, m.gzipLayer(name+"/"+p))
		children = append(children, m.image(image{platform: platform(p), layers: layers}))
	}
	return children
}

func (m *maker) gzipLayers(name string, n int) []layer {
	layers := make([]layer, n)
	for i := range layers {
		layers[i] = m.gzipLayer(fmt.Sprintf("%s/%d", name, i))
	}
	return layers
}

func (m *maker) gzipLayer(name string) layer {
	archive := m.filesystem(name)
	return layer{m.blob(ocispec.MediaTypeImageLayerGzip, compress(archive), nil), digest.FromBytes(archive)}
}

func (m *maker) tarLayer(name string) layer {
	archive := m.filesystem(name)
	return layer{m.blob(ocispec.MediaTypeImageLayer, archive, nil), digest.FromBytes(archive)}
}

// foreign is a layer that is somewhere else: its descriptor has URLs, and there is no blob.
func (m *maker) foreign(name, mediaType string) layer {
	archive := m.filesystem(name)
	data := compress(archive)
	dgst := digest.FromBytes(data)
	return layer{ocispec.Descriptor{
		MediaType: mediaType, Digest: dgst, Size: int64(len(data)),
		URLs: []string{"https://foreign.example.com/layers/" + dgst.Encoded()},
	}, digest.FromBytes(archive)}
}

func (m *maker) filesystem(name string) []byte {
	return tarball(map[string]string{
		"etc/" + strings.ReplaceAll(name, "/", "-"): fmt.Sprintf("seed %d\n", m.seed),
		"usr/share/random":                          string(m.bytes("file "+name, 100+m.upTo(name, 1100))),
	})
}

func (m *maker) sbom(name string) []byte {
	return mustJSON(map[string]any{
		"spdxVersion": "SPDX-2.3", "name": name, "documentNamespace": fmt.Sprintf("https://example.com/%d/%s", m.seed, name),
	})
}

// blob keeps data, and returns its descriptor.
func (m *maker) blob(mediaType string, data []byte, annotations map[string]string) ocispec.Descriptor {
	dgst := m.algorithm.FromBytes(data)
	m.blobs[dgst] = data
	return ocispec.Descriptor{MediaType: mediaType, Digest: dgst, Size: int64(len(data)), Annotations: annotations}
}

// bytes returns n pseudo-random bytes that belong to the name.
func (m *maker) bytes(name string, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "%d %s", m.seed, name))).Read(b)
	return b
}

// upTo returns a number below n that belongs to the name.
func (m *maker) upTo(name string, n int) int {
	return int(m.bytes("count "+name, 1)[0]) * n / 256
}
