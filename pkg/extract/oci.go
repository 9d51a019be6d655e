package extract

import (
	"bytes"
	"context"
	"encoding/json"
	"path"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// writeOCI writes an OCI layout: what it is, what is in it, and then the blobs,
// manifests among them, each once.
func (i *Image) writeOCI(ctx context.Context, to sink) error {
	layout, err := json.Marshal(ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})
	if err != nil {
		return err
	}
	index, err := i.ociIndex()
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name    string
		content []byte
	}{{ocispec.ImageLayoutFile, layout}, {ocispec.ImageIndexFile, index}} {
		if err := to.write(f.name, int64(len(f.content)), bytes.NewReader(f.content)); err != nil {
			return err
		}
	}
	for _, list := range [][]*ocispec.Descriptor{i.Manifests, i.Blobs} {
		for _, d := range list {
			name := path.Join(ocispec.ImageBlobsDir, d.Digest.Algorithm().String(), d.Digest.Encoded())
			if err := i.copy(ctx, to, name, d.Digest, d.Size); err != nil {
				return err
			}
		}
	}
	return to.finish()
}

// wholeName is containerd's annotation for a name with its repository, which podman
// load goes by too: of a tag alone, it would make the name of a repository.
const wholeName = "io.containerd.image.name"

// ociIndex names the image: by its tag, as the OCI image spec has it (annotations.md),
// and as a whole.
func (i *Image) ociIndex() ([]byte, error) {
	d := ocispec.Descriptor{MediaType: i.Manifest.MediaType, Digest: i.Manifest.Digest, Size: i.Manifest.Size, Platform: i.Manifest.Platform}
	if tag := i.Reference.Tag; tag != "" {
		d.Annotations = map[string]string{ocispec.AnnotationRefName: tag, wholeName: i.Reference.Repository + ":" + tag}
	}
	return json.Marshal(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{d},
	})
}
