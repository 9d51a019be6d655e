package push

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/containers/image/v5/types"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

func hasDigest(content []byte, d digest.Digest) bool { return storage.HasDigest(content, d) }

// Push sends one image from its layout: blobs first, then manifests bottom-up,
// the tag last. An image that the registry has under the same digest is skipped.
//
// The outcome is complete whatever happens; the error is nil unless the outcome
// is failed, and then says more: a *StatusError for what the registry refused.
func (r *Registry) Push(ctx context.Context, layout types.ImageReference, img plan.Image) (report.Outcome, error) {
	o := report.Outcome{
		Source: img.Source.String(),
		Target: r.base.Host + "/" + img.Target.String(),
		Digest: img.Manifest.Digest.String(),
	}
	unlock := r.lockTag(img.Target.String())
	defer unlock()
	there, err := r.Has(ctx, img)
	if err == nil && there {
		o.Status = report.Skipped
		return o, nil
	}
	if err == nil {
		err = r.pushImage(ctx, layout, img, &o)
	}
	if err != nil {
		err = fmt.Errorf("pushing %s: %w", img.Source, err)
		o.Status, o.Error = report.Failed, err.Error()
		return o, err
	}
	o.Status = report.Done
	return o, nil
}

// lockTag keeps two pushes of one tag apart: Harbor can lose one of them.
func (r *Registry) lockTag(target string) (unlock func()) {
	r.mu.Lock()
	l := r.tagLocks[target]
	if l == nil {
		l = &sync.Mutex{}
		r.tagLocks[target] = l
	}
	r.mu.Unlock()
	l.Lock()
	return l.Unlock
}

// Has tells whether the target has the image under the same digest.
func (r *Registry) Has(ctx context.Context, img plan.Image) (bool, error) {
	if img.Target.Tag != "" && !r.tags.mayHave(ctx, img.Target.Repository, img.Target.Tag) {
		return false, nil
	}
	d, err := r.Resolve(ctx, img.Target)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil || d != img.Manifest.Digest {
		return false, err
	}
	r.know(img)
	return true, nil
}

// know remembers what an image that is there brought along.
func (r *Registry) know(img plan.Image) {
	digests := make([]digest.Digest, 0, len(img.Blobs))
	for _, b := range img.Blobs {
		digests = append(digests, b.Digest)
	}
	r.blobs.know(img.Target.Repository, digests)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range img.Manifests {
		r.manifests[img.Target.Repository+"@"+m.Digest.String()] = true
	}
}

func (r *Registry) pushImage(ctx context.Context, layout types.ImageReference, img plan.Image, o *report.Outcome) error {
	src, err := openSource(ctx, layout)
	if err != nil {
		return err
	}
	defer src.Close()
	dest := r.destination(img.Target, img.Manifest.Digest)
	defer dest.Close()
	if err := r.pushBlobs(ctx, src, dest, img.Blobs, o); err != nil {
		return err
	}
	for _, m := range img.Manifests {
		if err := r.pushManifest(ctx, src, dest, m, img); err != nil {
			return err
		}
	}
	r.know(img)
	return nil
}

// pushBlobs brings blobs to the target side by side; how many at once, the
// registry's slots say.
func (r *Registry) pushBlobs(ctx context.Context, src types.ImageSource, dest *destination, blobs []ocispec.Descriptor, o *report.Outcome) error {
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(r.opts.Jobs)
	if !src.HasThreadSafeGetBlob() {
		g.SetLimit(1)
	}
	for _, b := range blobs {
		g.Go(func() error {
			info := types.BlobInfo{Digest: b.Digest, Size: b.Size, MediaType: b.MediaType}
			how, err := dest.reuse(ctx, info)
			if err == nil && how == notReused {
				err = dest.put(ctx, info, blobOpener(ctx, src, info))
			}
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			switch how {
			case mounted:
				o.Mounted++
			case notReused:
				o.Uploaded++
				o.Bytes += b.Size
			}
			return nil
		})
	}
	return g.Wait()
}

// pushManifest sends one manifest of an image. One that is not the image's own
// need not be sent twice to a repository.
func (r *Registry) pushManifest(ctx context.Context, src types.ImageSource, dest *destination, m ocispec.Descriptor, img plan.Image) error {
	top := m.Digest == img.Manifest.Digest
	key := img.Target.Repository + "@" + m.Digest.String()
	r.mu.Lock()
	there := r.manifests[key]
	r.mu.Unlock()
	if there && !top {
		return nil
	}
	content, err := readManifest(ctx, src, m.Digest, top)
	if err != nil {
		return err
	}
	if err := dest.putManifest(ctx, content, m.MediaType, m.Digest, top); err != nil {
		return fmt.Errorf("sending manifest %s: %w", m.Digest, withWhy(err))
	}
	r.mu.Lock()
	r.manifests[key] = true
	r.mu.Unlock()
	return nil
}

// withWhy adds to refusals what they mean and what helps.
func withWhy(err error) error {
	var status *StatusError
	if !errors.As(err, &status) {
		return err
	}
	switch {
	case status.Status == http.StatusPreconditionFailed:
		return report.WithHint(err, "a rule of the project makes the tag immutable, and it has another digest there")
	case status.Status == http.StatusRequestEntityTooLarge:
		return report.WithHint(err, "a proxy before the registry limits the size of requests: raise its limit (nginx: client_max_body_size)")
	case status.Has("DENIED") && strings.Contains(status.Error(), "quota"), strings.Contains(status.Error(), "upper limit"):
		return report.WithHint(err, "raise the project's quota, then run again")
	}
	return err
}

// Verify compares an image with the target: its reference, and every manifest
// below it by digest. The error names the first that is missing or different.
func (r *Registry) Verify(ctx context.Context, img plan.Image) error {
	got, err := r.Resolve(ctx, img.Target)
	switch {
	case errors.Is(err, ErrNotFound):
		return fmt.Errorf("verifying %s: %w in the target", img.Target, err)
	case err != nil:
		return fmt.Errorf("verifying %s: %w", img.Target, err)
	case got != img.Manifest.Digest:
		return fmt.Errorf("verifying %s: the target has %s, the source %s", img.Target, got, img.Manifest.Digest)
	}
	for _, m := range img.Manifests {
		if m.Digest == img.Manifest.Digest {
			continue
		}
		if err := r.verifyManifest(ctx, img.Target.Repository, m.Digest); err != nil {
			return fmt.Errorf("verifying %s: manifest %s: %w", img.Target, m.Digest, err)
		}
	}
	return nil
}

// verifyManifest asks for a manifest by its digest, once for each repository.
func (r *Registry) verifyManifest(ctx context.Context, repository string, d digest.Digest) error {
	key := repository + "@" + d.String()
	r.mu.Lock()
	seen := r.verified[key]
	r.mu.Unlock()
	if seen {
		return nil
	}
	if _, err := r.headManifest(ctx, repository, d.String()); err != nil {
		return err
	}
	r.mu.Lock()
	r.verified[key] = true
	r.mu.Unlock()
	return nil
}
