package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/push"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// base is what a differential bundle builds on: images and blobs that it does
// not hold, since an earlier one brought them.
type base struct {
	index *storage.Index
	to    *plan.Target

	mu     sync.Mutex
	absent map[digest.Digest]string // blobs that it does not have, and where it should
}

var errNoBase = report.WithHint(errors.New("it is not in this bundle, and not in the target either"),
	"push the bundle that this one builds on first, with the same --rewrite and --project")

// differential tells whether anything of a plan lies elsewhere.
func differential(x *storage.Index, p *plan.Plan) bool {
	for _, i := range p.Images {
		if _, away := x.Away(i.Manifest.Digest); away {
			return true
		}
		for _, b := range i.Blobs {
			if _, away := x.Away(b.Digest); away {
				return true
			}
		}
	}
	return false
}

// checkBase asks the target, before anything is sent, for the blobs that are not
// in the bundle. What is there will be mounted from there.
func (s *session) checkBase(ctx context.Context, t *target, p *plan.Plan, b *base, jobs int) error {
	b.absent = map[digest.Digest]string{}
	var carried plan.Plan
	for _, i := range p.Images {
		if _, away := b.index.Away(i.Manifest.Digest); !away {
			carried.Images = append(carried.Images, i)
		}
	}
	return s.each(ctx, &carried, "base", jobs, func(ctx context.Context, i plan.Image) error {
		return b.checkBlobs(ctx, t.registry, i)
	})
}

// checkBlobs asks for the blobs of one image.
func (b *base) checkBlobs(ctx context.Context, r *push.Registry, i plan.Image) error {
	for _, blob := range i.Blobs {
		repository, away := b.index.Away(blob.Digest)
		if !away {
			continue
		}
		repository = b.to.Repository(repository)
		err := r.RelyOn(ctx, repository, blob.Digest)
		switch {
		case errors.Is(err, push.ErrNotFound):
			b.mu.Lock()
			b.absent[blob.Digest] = repository
			b.mu.Unlock()
		case err != nil:
			return err
		}
	}
	return nil
}

// settles gives the outcome of an image of which the bundle does not hold enough
// to push it, or that it does not hold at all.
func (b *base) settles(t *target, i plan.Image) (report.Outcome, bool) {
	if _, away := b.index.Away(i.Manifest.Digest); away {
		return t.failed(i, errNoBase), true
	}
	for _, blob := range i.Blobs {
		if repository, absent := b.absent[blob.Digest]; absent {
			return t.failed(i, fmt.Errorf("blob %s should be in the target, in %s: %w", blob.Digest, repository, errNoBase)), true
		}
	}
	return report.Outcome{}, false
}
