package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/containers/image/v5/directory"
	"github.com/containers/image/v5/types"
	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// Layout refers to a dir: layout, for Push.
func Layout(dir string) (types.ImageReference, error) {
	ref, err := directory.NewReference(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errLocal, err)
	}
	return ref, nil
}

// concurrentSource is a source whose blobs can be read side by side: of a
// layout, each is a file of its own, opened for each read.
type concurrentSource struct{ types.ImageSource }

// HasThreadSafeGetBlob implements types.ImageSource.
func (concurrentSource) HasThreadSafeGetBlob() bool { return true }

// openSource opens a layout for reading.
func openSource(ctx context.Context, layout types.ImageReference) (types.ImageSource, error) {
	src, err := layout.NewImageSource(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errLocal, err)
	}
	if layout.Transport().Name() == directory.Transport.Name() {
		return concurrentSource{src}, nil
	}
	return src, nil
}

// readManifest reads a manifest of a source and holds it against its digest.
func readManifest(ctx context.Context, src types.ImageSource, d digest.Digest, top bool) ([]byte, error) {
	instance := &d
	if top {
		instance = nil
	}
	content, _, err := src.GetManifest(ctx, instance)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errLocal, err)
	}
	if !storage.HasDigest(content, d) {
		return nil, fmt.Errorf("%w: manifest %s is not what it was planned to be", errLocal, d)
	}
	return content, nil
}

// blobOpener opens a blob anew for each try.
func blobOpener(ctx context.Context, src types.ImageSource, info types.BlobInfo) opener {
	return func() (io.ReadCloser, error) {
		stream, size, err := src.GetBlob(ctx, info, nil)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errLocal, err)
		}
		if size >= 0 && size != info.Size {
			stream.Close()
			return nil, fmt.Errorf("%w: blob %s has %d bytes, not %d", errLocal, info.Digest, size, info.Size)
		}
		return &localReader{stream}, nil
	}
}

// localReader marks errors of reading as this machine's own.
type localReader struct{ io.ReadCloser }

func (l *localReader) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	var path *os.PathError
	if errors.As(err, &path) {
		err = fmt.Errorf("%w: %w", errLocal, err)
	}
	return n, err
}

// Seek winds the file, where it is one that can be wound.
func (l *localReader) Seek(offset int64, whence int) (int64, error) {
	if s, ok := l.ReadCloser.(io.Seeker); ok {
		return s.Seek(offset, whence)
	}
	return 0, errors.ErrUnsupported
}
