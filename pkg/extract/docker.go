package extract

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// dockerManifest says in an archive for docker load which images are in it. The
// format is defined by docker's source, image/tarexport; layers may be compressed
// in any way that docker knows, and have any name.
type dockerManifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// writeDocker writes an archive for docker load. Layers stay as compressed as they
// are, so that they can be held against their digests, and go through as they come.
func (i *Image) writeDocker(ctx context.Context, to sink) error {
	raw, err := i.content(i.Manifest.Digest, i.Manifest.Size)
	if err != nil {
		return err
	}
	m, err := storage.ParseManifest(raw, i.Manifest.Digest, i.Manifest.MediaType)
	if err != nil {
		return err
	}
	list := []dockerManifest{{Config: dockerName(m.Blobs[0], 0), RepoTags: []string{}, Layers: []string{}}}
	if i.Reference.Tag != "" {
		list[0].RepoTags = append(list[0].RepoTags, i.Reference.String())
	}
	for n, l := range m.Blobs[1:] {
		list[0].Layers = append(list[0].Layers, dockerName(l, n+1))
	}
	manifest, err := json.Marshal(list)
	if err != nil {
		return err
	}
	if err := to.write("manifest.json", int64(len(manifest)), bytes.NewReader(manifest)); err != nil {
		return err
	}
	written := map[string]bool{}
	for n, b := range m.Blobs {
		name := dockerName(b, n)
		if written[name] {
			continue
		}
		written[name] = true
		size, _ := i.index.Blob(b.Digest)
		if err := i.copy(ctx, to, name, b.Digest, size); err != nil {
			return err
		}
	}
	return to.finish()
}

// dockerName is a file's name: that of the config is the image's id in docker.
func dockerName(d *ocispec.Descriptor, n int) string {
	switch {
	case n == 0:
		return d.Digest.Encoded() + ".json"
	case strings.HasSuffix(d.MediaType, "gzip"):
		return d.Digest.Encoded() + ".tar.gz"
	case strings.HasSuffix(d.MediaType, "zstd"):
		return d.Digest.Encoded() + ".tar.zst"
	default:
		return d.Digest.Encoded() + ".tar"
	}
}
