package push

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
)

// VerifyBlobs asks the target for every blob of an image, in the repository where
// it belongs, and compares sizes. It does so by HEAD, which no registry counts as
// a pull, and for each blob once for each repository, however many images have
// it. A *BlobsError names the blobs that are missing or of another size; any
// other error says that one could not be asked for.
func (r *Registry) VerifyBlobs(ctx context.Context, img plan.Image) error {
	sizes := make([]int64, len(img.Blobs))
	g, asking := errgroup.WithContext(ctx)
	g.SetLimit(r.opts.Jobs)
	for n, b := range img.Blobs {
		g.Go(func() (err error) {
			sizes[n], err = r.checks.size(asking, r, img.Target.Repository, b.Digest)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("verifying blobs of %s: %w", img.Target, err)
	}
	wrong := &BlobsError{Image: img.Target}
	for n, b := range img.Blobs {
		switch {
		case sizes[n] == missing:
			wrong.Missing = append(wrong.Missing, b)
		case sizes[n] != b.Size && sizes[n] != unknownSize:
			wrong.Different = append(wrong.Different, BlobSize{*b, sizes[n]})
		}
	}
	if len(wrong.Missing)+len(wrong.Different) > 0 {
		return wrong
	}
	return nil
}

// BlobsError names blobs of an image that the target does not have as they should
// be.
type BlobsError struct {
	Image     plan.Reference // in the target
	Missing   []*ocispec.Descriptor
	Different []BlobSize
}

// BlobSize is a blob that is of another size in the target.
type BlobSize struct {
	ocispec.Descriptor
	Got int64 // bytes
}

func (e *BlobsError) Error() string {
	var parts []string
	for _, b := range e.Missing {
		parts = append(parts, fmt.Sprintf("%s is missing in the target", b.Digest))
	}
	for _, b := range e.Different {
		parts = append(parts, fmt.Sprintf("%s has %d bytes in the target, not %d", b.Digest, b.Got, b.Size))
	}
	if more := len(parts) - shownBlobs; more > 0 {
		parts = append(parts[:shownBlobs], fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("verifying blobs of %s: %s", e.Image, strings.Join(parts, ", "))
}

// Unwrap lets errors.Is find ErrNotFound where a blob is missing.
func (e *BlobsError) Unwrap() error {
	if len(e.Missing) > 0 {
		return ErrNotFound
	}
	return nil
}

// shownBlobs is how many blobs an error puts into words.
const shownBlobs = 5

// What there is in place of a size.
const (
	missing     int64 = -1
	unknownSize int64 = -2 // the registry does not say
)

// blobChecks are the sizes of blobs that the target was asked for.
type blobChecks struct {
	asking *locks // by "repository@digest"
	mu     sync.Mutex
	sizes  map[string]int64 // bytes
}

func newBlobChecks() *blobChecks {
	return &blobChecks{asking: newLocks(), sizes: map[string]int64{}}
}

func (c *blobChecks) size(ctx context.Context, r *Registry, repository string, d digest.Digest) (int64, error) {
	key := manifestKey(repository, d)
	unlock, err := c.asking.lock(ctx, key)
	if err != nil {
		return 0, err
	}
	defer unlock()
	c.mu.Lock()
	size, known := c.sizes[key]
	c.mu.Unlock()
	if known {
		return size, nil
	}
	size, err = r.blobSize(ctx, repository, d)
	if err != nil {
		return 0, fmt.Errorf("blob %s: %w", d, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sizes[key] = size
	return size, nil
}

// blobSize asks how large a blob is in a repository, in bytes; missing where it is
// not there. Where the registry hands HEADs on to its storage, the storage says.
func (r *Registry) blobSize(ctx context.Context, repository string, d digest.Digest) (int64, error) {
	resp, err := r.send(ctx, &request{
		method:    http.MethodHead,
		path:      "/v2/" + repository + "/blobs/" + d.String(),
		scopes:    r.pushScopes(repository, ""),
		accept404: true,
	})
	if err != nil {
		return 0, err
	}
	drain(resp)
	switch {
	case resp.StatusCode == http.StatusNotFound:
		return missing, nil
	case resp.StatusCode != http.StatusOK:
		return 0, errUnexpected(resp)
	case resp.ContentLength < 0:
		return unknownSize, nil
	}
	return resp.ContentLength, nil
}

// hasBlob asks whether a repository has a blob.
func (r *Registry) hasBlob(ctx context.Context, repository string, d digest.Digest) (bool, error) {
	size, err := r.blobSize(ctx, repository, d)
	return err == nil && size != missing, err
}
