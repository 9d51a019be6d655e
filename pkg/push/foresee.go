package push

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
)

// Foresee is Has, asked before anything is sent, and also tells whether the
// image's tag has another digest in the target. Push does not ask again.
func (r *Registry) Foresee(ctx context.Context, img plan.Image) (there, replaces bool, err error) {
	there, err = r.Has(ctx, img)
	if err != nil {
		return false, false, err
	}
	if !there {
		r.absent.add(imageKey(img))
		if img.Target.Tag != "" {
			replaces, err = r.tags.has(ctx, img.Target.Repository, img.Target.Tag)
		}
	}
	return there, replaces, err
}

// LookUpTags asks which tags the images' repositories have, side by side. It is
// optional, and comes before Foresee and Push: these ask when they come to a
// repository, and where its images follow each other, all workers wait for that one
// answer. It returns no error but that of ctx.
func (r *Registry) LookUpTags(ctx context.Context, images []plan.Image) error {
	asked := map[string]bool{}
	g, asking := errgroup.WithContext(ctx)
	g.SetLimit(r.opts.Jobs)
	for _, i := range images {
		to := i.Target
		if to.Tag == "" || asked[to.Repository] {
			continue
		}
		asked[to.Repository] = true
		g.Go(func() error {
			_, err := r.tags.mayHave(asking, to.Repository, to.Tag)
			return err
		})
	}
	return g.Wait()
}

func imageKey(img plan.Image) string { return img.Target.String() + "@" + img.Manifest.Digest.String() }

// isForeseen tells, once, of an image that Foresee found the target not to have.
func (r *Registry) isForeseen(img plan.Image) bool {
	key := imageKey(img)
	if !r.absent.has(key) {
		return false
	}
	r.absent.remove(key)
	return true
}

// has is true only where the registry lists the tag.
func (l *tagLists) has(ctx context.Context, repository, tag string) (bool, error) {
	if may, err := l.mayHave(ctx, repository, tag); err != nil || !may {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lists[repository].known, nil
}

// StopsProject tells of a refusal that all images of a project will meet: there
// is no room left, or nothing may be written.
func (e *StatusError) StopsProject() bool { return e.overQuota() || e.readOnly() }

// Tags gives the tags of a repository of the target, sorted; none where it is
// not there. A list that is cut off is asked for again.
func (r *Registry) Tags(ctx context.Context, repository string) ([]string, error) {
	for tries := 0; ; tries++ {
		tags, err := r.listTags(ctx, repository)
		switch {
		case err == nil:
			return slices.Sorted(maps.Keys(tags)), nil
		case tries >= r.opts.RetryTimes || ctx.Err() != nil || !errors.Is(err, io.ErrUnexpectedEOF):
			return nil, err
		}
	}
}
