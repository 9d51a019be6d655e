package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// write makes DIR/<id>, with the manifest and everything below it.
func (m *maker) write(id string, desc ocispec.Descriptor) error {
	dir := filepath.Join(m.dir, id)
	if err := m.writeBlobs(dir, desc); err != nil {
		return fmt.Errorf("writing %s: %w", id, err)
	}
	desc.Annotations = map[string]string{ocispec.AnnotationRefName: "image"}
	desc.Platform = nil
	index := mustJSON(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{desc},
	})
	for name, data := range map[string][]byte{
		filepath.Join(dir, "index.json"):   index,
		filepath.Join(dir, "oci-layout"):   mustJSON(ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion}),
		filepath.Join(m.dir, id+".digest"): []byte(desc.Digest.String() + "\n"),
	} {
		if err := os.WriteFile(name, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (m *maker) writeBlobs(dir string, desc ocispec.Descriptor) error {
	if len(desc.URLs) > 0 {
		return nil
	}
	data, ok := m.blobs[desc.Digest]
	if !ok {
		return fmt.Errorf("no blob %s", desc.Digest)
	}
	file := filepath.Join(dir, "blobs", desc.Digest.Algorithm().String(), desc.Digest.Encoded())
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		return err
	}
	var below struct {
		Config            *ocispec.Descriptor
		Layers, Manifests []ocispec.Descriptor
	}
	switch desc.MediaType {
	case dockerManifest, ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex:
		if err := json.Unmarshal(data, &below); err != nil {
			return err
		}
	}
	if below.Config != nil {
		below.Layers = append(below.Layers, *below.Config)
	}
	for _, d := range append(below.Layers, below.Manifests...) {
		if err := m.writeBlobs(dir, d); err != nil {
			return err
		}
	}
	return nil
}

// read returns the digest of an image that was written.
func (m *maker) read(id string) (digest.Digest, error) {
	data, err := os.ReadFile(filepath.Join(m.dir, id+".digest"))
	if err != nil {
		return "", err
	}
	return digest.Parse(strings.TrimSpace(string(data)))
}

// platform reads os/architecture[/variant].
func platform(s string) *ocispec.Platform {
	parts := append(strings.Split(s, "/"), "")
	return &ocispec.Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]}
}

func windows() *ocispec.Platform {
	return &ocispec.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.17763.5458"}
}

// tarball is a tar of those files, sorted.
func tarball(files map[string]string) []byte {
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range names {
		must(w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name])), ModTime: epoch}))
		_, err := io.WriteString(w, files[name])
		must(err)
	}
	must(w.Close())
	return b.Bytes()
}

func compress(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(data)
	must(err)
	must(w.Close())
	return b.Bytes()
}

func mustJSON(v any) []byte {
	data, err := json.Marshal(v)
	must(err)
	return data
}

// must is for what cannot fail, as nothing is read or written outside of memory.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
