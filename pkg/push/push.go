package push

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/containers/image/v5/types"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// outcome is that of an image before anything became of it.
func (r *Registry) outcome(img plan.Image) report.Outcome {
	return report.Outcome{
		Source: img.Source.String(),
		Target: r.base.Host + "/" + img.Target.String(),
		Digest: img.Manifest.Digest.String(),
	}
}

// Push sends one image from its layout: blobs first, then manifests bottom-up,
// the tag last. An image that the registry has under the same digest is skipped.
//
// The outcome is complete whatever happens; the error is nil unless the outcome
// is failed, and then says more: a *StatusError for what the registry refused,
// and a hint where something helps.
func (r *Registry) Push(ctx context.Context, layout types.ImageReference, img plan.Image) (report.Outcome, error) {
	o := r.outcome(img)
	there, err := r.pushOnce(ctx, layout, img, &o)
	switch {
	case err != nil:
		err = withWhy(fmt.Errorf("pushing %s: %w", img.Source, err))
		o.Status, o.Error = report.Failed, err.Error()
		if advice := report.Advice(err); advice != "" {
			o.Error += " (" + advice + ")"
		}
	case there:
		o.Status = report.Skipped
	default:
		o.Status = report.Done
	}
	return o, err
}

// pushOnce keeps two pushes of one tag apart, since Harbor can lose one of them.
func (r *Registry) pushOnce(ctx context.Context, layout types.ImageReference, img plan.Image, o *report.Outcome) (there bool, err error) {
	unlock, err := r.locks.lock(ctx, "image "+img.Target.String())
	if err != nil {
		return false, err
	}
	defer unlock()
	if !r.isForeseen(img) {
		if there, err := r.Has(ctx, img); err != nil || there {
			return there, err
		}
	}
	return false, r.pushImage(ctx, layout, img, o)
}

func (r *Registry) pushImage(ctx context.Context, layout types.ImageReference, img plan.Image, o *report.Outcome) error {
	src, err := openSource(ctx, layout)
	if err != nil {
		return err
	}
	defer src.Close()
	dest := r.destination(img.Target, img.Manifest.Digest)
	defer dest.Close()
	err = r.pushParts(ctx, src, dest, img, o)
	for tries := 0; isMissingPart(err) && tries <= len(img.Manifests); tries++ {
		// Something was taken to be there that is not, or no longer: look again.
		if !r.doubt(ctx, img, err) && tries > 0 {
			break
		}
		r.forget(img)
		err = r.pushParts(ctx, src, dest, img, o)
	}
	return err
}

func isMissingPart(err error) bool {
	var status *StatusError
	return errors.As(err, &status) && status.Status < 500 &&
		(status.Has("MANIFEST_BLOB_UNKNOWN") || status.Has("BLOB_UNKNOWN") || status.Has("MANIFEST_UNKNOWN"))
}

func (r *Registry) pushParts(ctx context.Context, src types.ImageSource, dest *destination, img plan.Image, o *report.Outcome) error {
	if err := r.pushBlobs(ctx, src, dest, img.Blobs, o); err != nil {
		return err
	}
	for _, m := range img.Manifests {
		if err := r.pushManifest(ctx, src, dest, *m, img); err != nil {
			return err
		}
	}
	r.know(img)
	return nil
}

// pushBlobs brings blobs to the target side by side; how many at once, the
// registry's slots say.
func (r *Registry) pushBlobs(ctx context.Context, src types.ImageSource, dest *destination, blobs []*ocispec.Descriptor, o *report.Outcome) error {
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(r.opts.Jobs)
	if !src.HasThreadSafeGetBlob() {
		g.SetLimit(1)
	}
	for _, b := range blobs {
		g.Go(func() error {
			info := types.BlobInfo{Digest: b.Digest, Size: b.Size, MediaType: b.MediaType}
			how, err := r.pushBlob(ctx, dest, info, blobOpener(ctx, src, info))
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			switch how {
			case mounted:
				o.Mounted++
			case filed:
				o.Placed++
				o.PlacedBytes += b.Size
			case uploaded:
				o.Uploaded++
				o.Bytes += b.Size
			}
			return nil
		})
	}
	return g.Wait()
}

// pushBlob brings a blob to an image's repository. One that the registry does not
// have, and that several repositories need, goes to its home and is mounted from
// there: so a run that was interrupted leaves it where the next one looks.
func (r *Registry) pushBlob(ctx context.Context, dest *destination, info types.BlobInfo, open opener) (placed, error) {
	home := r.blobs.homeFor(info.Digest, dest.ref.Repository)
	if home == "" || r.places(dest.ref.Repository, info.Digest) {
		return dest.bring(ctx, info, open)
	}
	how, err := r.destination(plan.Reference{Repository: home}, "").bring(ctx, info, open)
	switch {
	case ctx.Err() != nil || errors.Is(err, errLocal):
		return how, err
	case err != nil: // it may be wanted there in vain, for want of room or of a right
		r.blobs.dropHome(info.Digest)
	}
	own, err := dest.bring(ctx, info, open)
	return max(how, own), err
}

// pushManifest sends one manifest of an image. One that is not the image's own
// need not be sent twice to a repository.
func (r *Registry) pushManifest(ctx context.Context, src types.ImageSource, dest *destination, m ocispec.Descriptor, img plan.Image) error {
	top := m.Digest == img.Manifest.Digest
	key := manifestKey(img.Target.Repository, m.Digest)
	unlock, err := r.locks.lock(ctx, "manifest "+key)
	if err != nil {
		return err
	}
	defer unlock()
	if !top && r.manifests.has(key) {
		return nil
	}
	content, err := readManifest(ctx, src, m.Digest, top)
	if err != nil {
		return err
	}
	if err := dest.putManifest(ctx, content, m.MediaType, m.Digest, top); err != nil {
		return fmt.Errorf("sending manifest %s: %w", m.Digest, err)
	}
	r.manifests.add(key)
	return nil
}
