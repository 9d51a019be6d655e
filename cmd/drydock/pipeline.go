package main

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// stage is one part of what is done with an image. It gets what became of the
// image so far, and says whether that is the end of it: then the stages after
// this one leave it alone.
type stage func(ctx context.Context, i plan.Image, o report.Outcome) (_ report.Outcome, over bool)

// passage is an image on its way through stages.
type passage struct {
	image   plan.Image
	outcome report.Outcome
	over    bool
}

// pass sends every image of a plan through stages, subjects before what refers to
// them, and tells what became of each. Every stage has so many images under way
// as there are jobs, whatever the others do: while one image waits for the disk,
// others are on the wire, and others are looked up. No stage gets further ahead
// of the next than that. Only the end of ctx and output that cannot be written
// stop it.
func (s *session) pass(ctx context.Context, p *plan.Plan, name string, jobs int, stages ...stage) error {
	done := &progress{session: s, stage: name, total: int64(len(p.Images))}
	for _, wave := range waves(p.Images) {
		g, running := errgroup.WithContext(ctx)
		next := enter(running, g, wave)
		for _, do := range stages {
			next = through(running, g, jobs, next, do)
		}
		g.Go(func() error {
			for at := range next {
				if err := s.outcome(running, at.outcome); err != nil {
					return err
				}
				done.step()
			}
			return nil
		})
		if err := g.Wait(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// enter gives images in their order.
func enter(ctx context.Context, g *errgroup.Group, images []plan.Image) <-chan passage {
	out := make(chan passage)
	g.Go(func() error {
		defer close(out)
		for _, i := range images {
			select {
			case out <- passage{image: i}:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return out
}

// through gives what a stage leaves of the images that come in.
func through(ctx context.Context, g *errgroup.Group, jobs int, in <-chan passage, do stage) <-chan passage {
	out := make(chan passage)
	var workers sync.WaitGroup
	workers.Add(jobs)
	for range jobs {
		g.Go(func() error {
			defer workers.Done()
			for at := range in {
				if err := ctx.Err(); err != nil {
					return err
				}
				if !at.over {
					at.outcome, at.over = do(ctx, at.image, at.outcome)
				}
				select {
				case out <- at:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
	}
	g.Go(func() error {
		workers.Wait()
		close(out)
		return nil
	})
	return out
}
