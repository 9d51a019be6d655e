package push

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/containers/image/v5/types"
	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// A Placer puts a blob of so many bytes into the target by another way than the
// registry's API, and sees that the repository has it. It tells whether the blob
// had to be put, or was there.
type Placer func(ctx context.Context, repository string, d digest.Digest, size int64) (put bool, err error)

// ErrDamaged is wrapped by a Placer's error where the bytes of a blob are wrong in
// the source: nobody need try the same blob again.
var ErrDamaged = errors.New("the source's bytes are not those of the digest")

// PlaceBy has blobs placed by another way than uploads and mounts, such as files
// put into the target's own storage. The registry is not asked about them: Harbor
// answers HEAD and mount of such a blob with 404 until a manifest names it. Where
// it takes no manifest that names one, unseen is told, and the blob is sent after
// all. It comes before the first Push.
func (r *Registry) PlaceBy(place Placer, unseen func(repository string, d digest.Digest)) {
	r.placeBy, r.tellUnseen = place, unseen
}

// places tells whether a blob is to be placed and not sent.
func (r *Registry) places(repository string, d digest.Digest) bool {
	return r.placeBy != nil && !r.unseen.has(manifestKey(repository, d))
}

// placeClaimed has a blob placed, and ends the claim to it.
func (r *Registry) placeClaimed(ctx context.Context, c *claim, info types.BlobInfo) (placed, error) {
	put, err := r.placeBy(ctx, c.repository, c.digest, info.Size)
	if err != nil {
		err = fmt.Errorf("placing blob %s: %w", c.digest, err)
		if errors.Is(err, ErrDamaged) {
			r.blobs.condemn(c.digest, err)
		}
		r.blobs.settle(c, false)
		return notPlaced, err
	}
	r.blobs.settle(c, true)
	switch {
	case put:
		return filed, nil
	case c.from == c.repository:
		return wasThere, nil
	}
	return mounted, nil
}

// doubt has the blobs sent that were placed and that the registry does not find,
// and tells whether there are any. A GET settles it, which Harbor hands on to its
// registry: an index that names layers is refused in the same words, though they
// are there.
func (r *Registry) doubt(ctx context.Context, img plan.Image, refusal error) (found bool) {
	if r.placeBy == nil {
		return false
	}
	for _, b := range img.Blobs {
		if !missesBlob(refusal, b.Digest) {
			continue
		}
		if _, _, err := r.FetchBlob(ctx, img.Target.Repository, b.Digest, 0); !errors.Is(err, ErrNotFound) {
			continue
		}
		found = true
		if r.unseen.addNew(manifestKey(img.Target.Repository, b.Digest)) {
			r.tellUnseen(img.Target.Repository, b.Digest)
		}
	}
	return found
}

// addNew adds a member, and tells whether it was none before.
func (s *set) addNew(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	had := s.members[key]
	s.members[key] = true
	return !had
}

// missesBlob tells whether a refusal of a manifest is for want of a blob. One that
// names no digest, or as many as are read, may mean any.
func missesBlob(refusal error, d digest.Digest) bool {
	var status *StatusError
	if !errors.As(refusal, &status) {
		return false
	}
	names := false
	for _, detail := range status.Details {
		text := fmt.Sprint(detail.Message, detail.Detail)
		if strings.Contains(text, d.String()) {
			return true
		}
		names = names || digest.DigestRegexp.MatchString(text)
	}
	return !names || len(status.Details) == maxDetails
}

// Doubt forgets that the target has an image, as it seemed: Push will not ask.
func (r *Registry) Doubt(img plan.Image) {
	r.forget(img)
	r.absent.add(imageKey(img))
}

// Mend has the blobs of an image placed that the target has, as far as they are not
// there: its manifests are not sent again. It needs PlaceBy, and wants Doubt before.
func (r *Registry) Mend(ctx context.Context, img plan.Image) (report.Outcome, error) {
	o := r.outcome(img)
	o.Status = report.Done
	for _, b := range img.Blobs {
		c, err := r.blobs.claim(ctx, b.Digest, img.Target.Repository)
		if err != nil {
			return o, err
		}
		if c == nil {
			continue
		}
		how, err := r.placeClaimed(ctx, c, types.BlobInfo{Digest: b.Digest, Size: b.Size})
		if err != nil {
			return o, err
		}
		if how == filed {
			o.Placed++
			o.PlacedBytes += b.Size
		}
	}
	return o, nil
}
