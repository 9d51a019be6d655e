package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/seed-5b48bd9d/drydock/pkg/graft"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// look finds the images that the target has, by its own word, though they are not
// as a whole in its storage: a power cut can take away files that were put there
// last, while Harbor's database still has what named them. These images are to be
// done again, and seen is told so.
func (g *grafting) look(ctx context.Context, p *plan.Plan, seen *foreseen, jobs int) error {
	view, err := graft.Look(g.dir)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	lacking := map[plan.Reference]graft.Lack{}
	err = g.session.each(ctx, p, "look", jobs, func(_ context.Context, i plan.Image) error {
		if !seen.there[i.Target] {
			return nil
		}
		lack, err := view.Lacks(i.Target.Repository, i.Blobs, i.Manifests)
		if lack.What != "" {
			mu.Lock()
			defer mu.Unlock()
			lacking[i.Target] = lack
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, i := range p.Images {
		if lacking[i.Target].What != "" {
			g.lacking = append(g.lacking, i)
			seen.there[i.Target] = false
		}
	}
	seen.lacking = lacking
	return nil
}

// tellLacking tells these images, each by a finding.
func (g *grafting) tellLacking(t *target, seen *foreseen) error {
	if len(g.lacking) == 0 {
		return nil
	}
	g.session.note("%s has %s that are not as a whole in %s", t.host(), plural(len(g.lacking), "image", "images"), g.dir)
	for _, i := range g.lacking {
		f := report.TargetLacks.New(seen.lacking[i.Target].What)
		f.Repository, f.Tag, f.Digest = i.Target.Repository, i.Target.Tag, i.Manifest.Digest.String()
		if err := g.session.find(f); err != nil {
			return err
		}
	}
	return nil
}

// lacksBlobs tells of an image whose manifests need not be sent again.
func (f *foreseen) lacksBlobs(i plan.Image) bool {
	lack := f.lacking[i.Target]
	return lack.What != "" && !lack.Manifests
}

// mend places the blobs that the target's storage lacks of an image that the
// target has.
func (t *target) mend(ctx context.Context, i plan.Image) report.Outcome {
	o, err := t.registry.Mend(ctx, i)
	if err != nil {
		return t.failed(i, fmt.Errorf("the target has it, and not all of its blobs: %w", err))
	}
	return t.verifyOne(ctx, i, o)
}
