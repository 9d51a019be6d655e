package tree

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// blob is content that can be written as often as is wanted.
type blob struct {
	ocispec.Descriptor
	write func(io.Writer) error
}

// layer is a blob, and the digest of its tar.
type layer struct {
	blob
	diffID digest.Digest
}

// epoch is the time of everything that has one.
var epoch = time.Date(2024, time.February, 29, 12, 0, 0, 0, time.UTC)

// stream is a source of random bytes that belongs to a name.
func stream(seed uint64, name string) *rand.ChaCha8 {
	return rand.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "%d %s", seed, name)))
}

// content is a blob of these bytes.
func content(mediaType string, b []byte) blob {
	return blob{
		Descriptor: ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))},
		write:      func(w io.Writer) error { _, err := w.Write(b); return err },
	}
}

// makeJSON is a blob of a value as JSON.
func makeJSON(mediaType string, v any) (blob, error) {
	b, err := json.Marshal(v)
	return content(mediaType, b), err
}

// keepBelow is up to how many bytes a layer is kept in memory and not made twice.
const keepBelow = 4 << 20

// makeLayer is a layer with one file of random bytes. It is made to know its
// digest and, where it is large, again whenever it is written.
func makeLayer(seed uint64, name string, size int64) (layer, error) {
	write := func(w io.Writer) (digest.Digest, error) { return writeLayer(w, seed, name, size) }
	sum, count := sha256.New(), &counter{}
	var kept bytes.Buffer
	to := io.MultiWriter(sum, count)
	if size < keepBelow {
		to = io.MultiWriter(sum, count, &kept)
	}
	diffID, err := write(to)
	if err != nil {
		return layer{}, fmt.Errorf("making layer %s: %w", name, err)
	}
	l := layer{diffID: diffID}
	l.Descriptor = ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: sumDigest(sum), Size: count.n}
	l.write = func(w io.Writer) error {
		if size < keepBelow {
			_, err := w.Write(kept.Bytes())
			return err
		}
		_, err := write(w)
		return err
	}
	return l, nil
}

func writeLayer(w io.Writer, seed uint64, name string, size int64) (diffID digest.Digest, err error) {
	zip, err := gzip.NewWriterLevel(w, gzip.NoCompression)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	archive := tar.NewWriter(io.MultiWriter(zip, sum))
	header := &tar.Header{Name: "data", Mode: 0o644, Size: size, ModTime: epoch, Format: tar.FormatUSTAR}
	if err := archive.WriteHeader(header); err != nil {
		return "", err
	}
	if _, err := io.CopyBuffer(archive, io.LimitReader(stream(seed, name), size), make([]byte, min(size, 256<<10))); err != nil {
		return "", err
	}
	if err := archive.Close(); err != nil {
		return "", err
	}
	return sumDigest(sum), zip.Close()
}

func sumDigest(sum hash.Hash) digest.Digest { return digest.NewDigest(digest.SHA256, sum) }

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// platforms are those of an index. An image of one platform has the first.
var platforms = [2]ocispec.Platform{
	{OS: "linux", Architecture: "amd64"},
	{OS: "linux", Architecture: "arm64", Variant: "v8"},
}

// makeConfig is an image's config. What it is created by makes it unlike any other.
func makeConfig(createdBy string, platform ocispec.Platform, layers []layer) (blob, error) {
	config := ocispec.Image{
		Created: &epoch, Platform: platform,
		Config: ocispec.ImageConfig{Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin"}, Cmd: []string{"/data"}},
		RootFS: ocispec.RootFS{Type: "layers"},
	}
	for _, l := range layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, l.diffID)
		config.History = append(config.History, ocispec.History{Created: &epoch, CreatedBy: createdBy})
	}
	return makeJSON(ocispec.MediaTypeImageConfig, config)
}

func makeManifest(config blob, layers []layer) (blob, error) {
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Config: config.Descriptor}
	for _, l := range layers {
		m.Layers = append(m.Layers, l.Descriptor)
	}
	return makeJSON(ocispec.MediaTypeImageManifest, m)
}

// makeIndex is an index of one image for each platform, in their order.
func makeIndex(images []blob) (blob, error) {
	x := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	for n, i := range images {
		d := i.Descriptor
		d.Platform = &platforms[n]
		x.Manifests = append(x.Manifests, d)
	}
	return makeJSON(ocispec.MediaTypeImageIndex, x)
}
