package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/containers/image/v5/docker/reference"
	"github.com/containers/image/v5/types"
	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
)

// errReadOnly is what a stored image answers when asked to write or delete.
var errReadOnly = errors.New("this reference can only be read")

// Stored refers to an image whose parts lie in a file system, such as that of an
// archive, each where path says for its digest.
func Stored(fsys fs.FS, path func(digest.Digest) string, img plan.Image) types.ImageReference {
	return stored{fsys, path, img}
}

// stored is such an image, as containers/image's interfaces have it.
type stored struct {
	fsys fs.FS
	path func(digest.Digest) string
	img  plan.Image
}

var (
	_ types.ImageReference = stored{}
	_ types.ImageSource    = storedSource{}
)

func (s stored) Transport() types.ImageTransport         { return storedTransport{} }
func (s stored) StringWithinTransport() string           { return s.img.Source.String() }
func (s stored) DockerReference() reference.Named        { return nil }
func (s stored) PolicyConfigurationIdentity() string     { return "" }
func (s stored) PolicyConfigurationNamespaces() []string { return nil }

func (s stored) NewImage(context.Context, *types.SystemContext) (types.ImageCloser, error) {
	return nil, errors.ErrUnsupported
}

func (s stored) NewImageSource(context.Context, *types.SystemContext) (types.ImageSource, error) {
	return storedSource{s}, nil
}

func (s stored) NewImageDestination(context.Context, *types.SystemContext) (types.ImageDestination, error) {
	return nil, errReadOnly
}

func (s stored) DeleteImage(context.Context, *types.SystemContext) error { return errReadOnly }

// storedSource reads such an image.
type storedSource struct{ stored }

// Reference implements types.ImageSource.
func (s storedSource) Reference() types.ImageReference { return s.stored }

// Close implements types.ImageSource; nothing is held open.
func (s storedSource) Close() error { return nil }

// HasThreadSafeGetBlob implements types.ImageSource: each blob is opened on its own.
func (s storedSource) HasThreadSafeGetBlob() bool { return true }

// GetManifest implements types.ImageSource.
func (s storedSource) GetManifest(_ context.Context, instance *digest.Digest) ([]byte, string, error) {
	d := s.img.Manifest.Digest
	if instance != nil {
		d = *instance
	}
	if s.img.Trim != nil && s.img.Trim.Contents[d] != nil {
		return s.img.Trim.Contents[d], "", nil
	}
	f, err := s.fsys.Open(s.path(d))
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err == nil && len(content) > maxManifest {
		err = fmt.Errorf("reading manifest %s: over %d bytes", d, maxManifest)
	}
	return content, "", err
}

// GetBlob implements types.ImageSource.
func (s storedSource) GetBlob(_ context.Context, info types.BlobInfo, _ types.BlobInfoCache) (io.ReadCloser, int64, error) {
	f, err := s.fsys.Open(s.path(info.Digest))
	if err != nil {
		return nil, -1, err
	}
	stat, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, -1, err
	}
	return f, stat.Size(), nil
}

// GetSignatures implements types.ImageSource; there are none beside the image.
func (s storedSource) GetSignatures(context.Context, *digest.Digest) ([][]byte, error) {
	return nil, nil
}

// LayerInfosForCopy implements types.ImageSource: the manifest says it all.
func (s storedSource) LayerInfosForCopy(context.Context, *digest.Digest) ([]types.BlobInfo, error) {
	return nil, nil
}

// storedTransport is the transport of stored.
type storedTransport struct{}

func (storedTransport) Name() string { return "drydock-stored" }

func (storedTransport) ParseReference(s string) (types.ImageReference, error) {
	return nil, fmt.Errorf("%s: a stored image needs a file system; see Stored", s)
}

func (storedTransport) ValidatePolicyConfigurationScope(string) error { return nil }
