package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"sync"

	"github.com/containers/image/v5/manifest"
	"github.com/containers/image/v5/types"
	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// destination is one image's place in a registry, as containers/image's
// interface has it. All destinations of a Registry share its client, its tokens
// and its knowledge of blobs.
type destination struct {
	r   *Registry
	ref plan.Reference
	top digest.Digest // of the image's own manifest; empty where it is not known yet

	mu     sync.Mutex
	claims map[digest.Digest]*started // blobs that TryReusingBlob left to PutBlob
}

var _ types.ImageDestination = (*destination)(nil)

// started is an upload that the registry said where to send.
type started struct {
	claim    *claim
	location *url.URL
}

// Destination gives a place for an image in the registry, which any user of
// containers/image can write to.
func (r *Registry) Destination(ref plan.Reference) types.ImageDestination {
	return r.destination(ref, ref.Digest)
}

func (r *Registry) destination(ref plan.Reference, top digest.Digest) *destination {
	return &destination{r: r, ref: ref, top: top, claims: map[digest.Digest]*started{}}
}

// Reference implements types.ImageDestination.
func (d *destination) Reference() types.ImageReference { return imageReference{d.r, d.ref} }

// Close gives up what was begun and not finished, so that others may.
func (d *destination) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.claims {
		d.r.blobs.settle(s.claim, false)
	}
	clear(d.claims)
	return nil
}

// SupportedManifestMIMETypes implements types.ImageDestination: all, as they are.
func (d *destination) SupportedManifestMIMETypes() []string { return storage.ManifestMediaTypes }

// SupportsSignatures implements types.ImageDestination: signatures of the
// simple kind are no part of a registry's storage.
func (d *destination) SupportsSignatures(context.Context) error {
	return errors.New("signatures beside the image are not supported")
}

// DesiredLayerCompression implements types.ImageDestination.
func (d *destination) DesiredLayerCompression() types.LayerCompression {
	return types.PreserveOriginal
}

// AcceptsForeignLayerURLs implements types.ImageDestination.
func (d *destination) AcceptsForeignLayerURLs() bool { return true }

// MustMatchRuntimeOS implements types.ImageDestination.
func (d *destination) MustMatchRuntimeOS() bool { return false }

// IgnoresEmbeddedDockerReference implements types.ImageDestination.
func (d *destination) IgnoresEmbeddedDockerReference() bool { return true }

// HasThreadSafePutBlob implements types.ImageDestination.
func (d *destination) HasThreadSafePutBlob() bool { return true }

// TryReusingBlob sees to it that the repository has the blob without sending
// it, and waits for others who are. Where that can't be, the caller has to send
// it with PutBlob, or Close, since others wait for it in turn.
func (d *destination) TryReusingBlob(ctx context.Context, info types.BlobInfo, _ types.BlobInfoCache, _ bool) (bool, types.BlobInfo, error) {
	how, err := d.reuse(ctx, info)
	return how != notPlaced, info, err
}

// placed says how a blob came to be where it is.
type placed int

const (
	notPlaced placed = iota
	wasThere
	mounted
	filed // put into the target by a Placer
	uploaded
)

// bring sees to it that the repository has a blob, and sends it if need be.
func (d *destination) bring(ctx context.Context, info types.BlobInfo, open opener) (placed, error) {
	how, err := d.reuse(ctx, info)
	if err != nil || how != notPlaced {
		return how, err
	}
	return uploaded, d.put(ctx, info, open)
}

func (d *destination) reuse(ctx context.Context, info types.BlobInfo) (placed, error) {
	if d.claimed(info.Digest) {
		return notPlaced, nil
	}
	c, err := d.r.blobs.claim(ctx, info.Digest, d.ref.Repository)
	if err != nil {
		return notPlaced, err
	}
	if c == nil {
		return wasThere, nil
	}
	if d.r.places(c.repository, c.digest) {
		return d.r.placeClaimed(ctx, c, info)
	}
	location, err := d.r.startUpload(ctx, c)
	if err != nil {
		d.r.blobs.settle(c, false)
		return notPlaced, fmt.Errorf("placing blob %s: %w", info.Digest, err)
	}
	if location == nil {
		d.r.blobs.settle(c, true)
		if c.from == c.repository || !mountable(c.digest) {
			return wasThere, nil
		}
		return mounted, nil
	}
	d.mu.Lock()
	d.claims[info.Digest] = &started{claim: c, location: location}
	d.mu.Unlock()
	return notPlaced, nil
}

// claimed tells whether the blob was left to PutBlob before. An image can have
// one twice; to wait for oneself would be to wait for ever.
func (d *destination) claimed(blob digest.Digest) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.claims[blob] != nil
}

// PutBlob sends a blob. A stream that can be wound back is sent again where the
// connection breaks.
func (d *destination) PutBlob(ctx context.Context, stream io.Reader, info types.BlobInfo, _ types.BlobInfoCache, _ bool) (types.BlobInfo, error) {
	return info, d.put(ctx, info, rewind(stream))
}

func (d *destination) put(ctx context.Context, info types.BlobInfo, open opener) (err error) {
	if info.Digest.Validate() != nil || info.Size < 0 {
		return errors.New("sending blob: its digest and size have to be known")
	}
	d.mu.Lock()
	s := d.claims[info.Digest]
	delete(d.claims, info.Digest)
	d.mu.Unlock()
	if s == nil {
		c, err := d.r.blobs.claim(ctx, info.Digest, d.ref.Repository)
		if err != nil || c == nil {
			return err
		}
		s = &started{claim: c}
	}
	defer func() { d.r.blobs.settle(s.claim, err == nil) }()
	if err := d.r.upload(ctx, s.claim, s.location, info.Size, open); err != nil {
		err = fmt.Errorf("sending blob %s: %w", info.Digest, err)
		var status *StatusError
		if errors.As(err, &status) && status.Has("DIGEST_INVALID") {
			d.r.blobs.condemn(info.Digest, err)
		}
		return err
	}
	return nil
}

// rewind makes an opener of a stream: as often as it can be wound back.
func rewind(stream io.Reader) opener {
	used := false
	return func() (io.ReadCloser, error) {
		if used {
			seeker, ok := stream.(io.Seeker)
			if !ok {
				return nil, fmt.Errorf("%w: the stream cannot be read again", errLocal)
			}
			if _, err := seeker.Seek(0, io.SeekStart); err != nil {
				return nil, fmt.Errorf("%w: %w", errLocal, err)
			}
		}
		used = true
		if seeker, ok := stream.(io.ReadSeeker); ok {
			return notClosed{seeker}, nil
		}
		return io.NopCloser(stream), nil
	}
}

// notClosed leaves closing to whoever opened it.
type notClosed struct{ io.ReadSeeker }

func (notClosed) Close() error { return nil }

// PutManifest sends a manifest: under its digest where it is one of an index,
// else under the image's reference. What it names has to be there.
func (d *destination) PutManifest(ctx context.Context, content []byte, instance *digest.Digest) error {
	want := d.top
	switch {
	case instance != nil:
		want = *instance
	case want == "":
		want = digest.FromBytes(content)
	}
	if !storage.HasDigest(content, want) {
		return fmt.Errorf("sending manifest %s: the content is another", want)
	}
	m, err := storage.ParseManifest(content, want, "")
	if err != nil {
		return err
	}
	return d.putManifest(ctx, content, m.MediaType, want, instance == nil)
}

func (d *destination) putManifest(ctx context.Context, content []byte, mediaType string, want digest.Digest, top bool) error {
	name := want.String()
	if top && d.ref.Tag != "" {
		name = d.ref.Tag
	}
	if !storage.IsSchema1(mediaType) {
		return d.r.putManifest(ctx, d.ref.Repository, name, mediaType, content, want)
	}
	return d.putSchema1(ctx, content, name, want)
}

// putSchema1 sends a manifest of docker's first schema. Registries keep what was
// signed and take nothing without a signature: so it gets one, of a key that
// nobody knows, as registries themselves put one on at each pull. The digest is
// that of what was signed, and stays.
func (d *destination) putSchema1(ctx context.Context, content []byte, name string, want digest.Digest) error {
	if _, err := storage.SignedPayload(content); err != nil {
		signed, err := manifest.AddDummyV2S1Signature(content)
		if err != nil {
			return fmt.Errorf("signing schema 1 manifest: %w", err)
		}
		content = signed
	}
	if d.r.tagBy == nil || name == want.String() {
		return d.r.putManifest(ctx, d.ref.Repository, name, storage.MediaTypeDockerSchema1Signed, content, want)
	}
	if err := d.r.putManifest(ctx, d.ref.Repository, want.String(), storage.MediaTypeDockerSchema1Signed, content, want); err != nil {
		return err
	}
	err := d.r.tagBy(ctx, d.ref.Repository, name, want)
	if err != nil && d.r.isThere(ctx, d.ref.Repository, name, want) {
		return nil // set before, and the answer was lost
	}
	return err
}

// PutSignatures implements types.ImageDestination; there are none.
func (d *destination) PutSignatures(_ context.Context, signatures [][]byte, _ *digest.Digest) error {
	if len(signatures) > 0 {
		return d.SupportsSignatures(nil)
	}
	return nil
}

// Commit implements types.ImageDestination; PutManifest has done all.
func (d *destination) Commit(context.Context, types.UnparsedImage) error { return nil }
