package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/push"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// The stages of a migration, in their order. Each command is a row of them.

// makePlan applies the rules. Where they say to stop at incomplete images, it
// tells which ones these are.
func (s *session) makePlan(x *storage.Index, rules plan.Rules) (*plan.Plan, error) {
	p, err := plan.New(x, rules)
	switch {
	case errors.Is(err, plan.ErrIncomplete):
		return nil, errors.Join(s.tellPlan(p), report.WithHint(err, "nothing was written; see the findings, or use --incomplete=skip"))
	case err != nil:
		return nil, usageError{err}
	}
	return p, nil
}

// errNothing ends a run that was asked to move nothing: most likely by mistake.
var errNothing = errors.New("no image fits what was asked for")

func nothingChosen(p *plan.Plan) error {
	if len(p.Images)+len(p.LeftOut) > 0 {
		return nil
	}
	hint := `see drydock list; a pattern is matched against repository:tag, * stays within a component and ** crosses them: "library/*", "**:latest"`
	if p.Untagged > 0 {
		hint = "no tag leads to what is there: see --untagged and, for Harbor's own storage, --tags"
	}
	return report.WithHint(errNothing, hint)
}

// choose makes a plan of something to do, and tells it.
func (s *session) choose(x *storage.Index, rules plan.Rules) (*plan.Plan, error) {
	p, err := s.makePlan(x, rules)
	if err != nil {
		return nil, err
	}
	return p, errors.Join(s.tellPlan(p), nothingChosen(p))
}

// planFor reaches the target, makes the plan for it, and tells it.
func (s *session) planFor(ctx context.Context, x *storage.Index, r *request) (*target, *plan.Plan, error) {
	t, err := dial(ctx, r.to, r.options)
	if err != nil {
		return nil, nil, err
	}
	r.rules.Target.Harbor = t.harbor != nil
	p, err := s.makePlan(x, r.rules)
	if err != nil {
		return nil, nil, err
	}
	s.tellUnused(x, r, p)
	return t, p, errors.Join(s.tellPlan(p), nothingChosen(p))
}

// tellUnused says which lines of the files about projects apply to nothing: most
// likely they are misspelt.
func (s *session) tellUnused(x *storage.Index, r *request, p *plan.Plan) {
	names := func(yield func(string) bool) {
		for repository := range x.Repositories() {
			if !yield(repository.Name) {
				return
			}
		}
	}
	for _, w := range plan.UnusedRewrites(r.rules.Target.Rewrites, names) {
		s.note("no repository of the source is mapped by %s=%s", w.From, w.To)
	}
	for _, pattern := range r.target.settings.Unused(p.Projects()) {
		s.note("no project of the plan fits %s in %s", pattern, r.target.settingsFile)
	}
}

// target is a registry that is pushed to, and its Harbor, if it is one.
type target struct {
	registry *push.Registry
	harbor   *harbor.Harbor // nil for any other registry
	grafting *grafting      // nil where blobs are sent
}

func dial(ctx context.Context, to plan.Destination, opts *push.Options) (*target, error) {
	registry, err := push.Dial(ctx, to, opts)
	if err != nil {
		return nil, err
	}
	h, err := harbor.Detect(ctx, registry)
	if err != nil {
		return nil, err
	}
	if h != nil {
		if registry.Username() == "" {
			return nil, report.WithHint(fmt.Errorf("Harbor at %s wants a user name and a password, and none was given", registry.URL().Host),
				"set HARBOR_USERNAME and HARBOR_PASSWORD, use --username, or log in with docker or podman first")
		}
		registry.UseProjectTokens()
		registry.TagBy(h.AddTag)
	}
	return &target{registry: registry, harbor: h}, nil
}

func (t *target) host() string { return t.registry.URL().Host }

// missingProjects gives the plan's projects that the target does not have.
func (t *target) missingProjects(ctx context.Context, p *plan.Plan) ([]string, error) {
	if t.harbor == nil {
		return nil, nil
	}
	return t.harbor.Missing(ctx, p.Projects())
}

// prepare creates the projects that are missing, and tells the registry what to
// expect.
func (s *session) prepare(ctx context.Context, t *target, p *plan.Plan, seen *foreseen, f *targetFlags) error {
	if t.harbor != nil && f.createProject {
		missing := slices.DeleteFunc(slices.Clone(seen.missing), func(name string) bool { return seen.refused[name] != nil && !f.force })
		failed, notes := t.harbor.CreateProjects(ctx, missing, f.settings)
		for name, err := range failed {
			seen.refused[name] = err
		}
		for _, n := range notes {
			if err := s.find(problemFinding(n)); err != nil {
				return err
			}
		}
	}
	t.registry.Expect(slices.DeleteFunc(slices.Clone(p.Images), func(i plan.Image) bool {
		_, kept := seen.keptBack(t, i, f.force)
		return kept
	}))
	return ctx.Err()
}

// project is an image's project in Harbor: the first component of its target.
func project(i plan.Image) string {
	name, _, _ := strings.Cut(i.Target.Repository, "/")
	return name
}

// waves splits a plan's images so that each wave refers only to earlier ones.
func waves(images []plan.Image) [][]plan.Image {
	var all [][]plan.Image
	for from := 0; from < len(images); {
		to := from
		for to < len(images) && images[to].Depth == images[from].Depth {
			to++
		}
		all = append(all, images[from:to])
		from = to
	}
	return all
}

// largestFirst gives a plan in the order in which its images are best sent: the
// largest first at each depth, so that none of them is left to the end, when
// there is nothing else to send beside it.
func largestFirst(p *plan.Plan) *plan.Plan {
	ordered := *p
	ordered.Images = slices.Clone(p.Images)
	slices.SortStableFunc(ordered.Images, func(a, b plan.Image) int {
		return cmp.Or(cmp.Compare(a.Depth, b.Depth), cmp.Compare(b.Size, a.Size))
	})
	return &ordered
}

// each does something with every image of a plan, several side by side,
// subjects before what refers to them. Only the end of ctx and output that
// cannot be written stop it.
func (s *session) each(ctx context.Context, p *plan.Plan, stage string, jobs int, do func(context.Context, plan.Image) error) error {
	done := &progress{session: s, stage: stage, total: int64(len(p.Images))}
	for _, wave := range waves(p.Images) {
		g, running := errgroup.WithContext(ctx)
		g.SetLimit(jobs)
		for _, i := range wave {
			g.Go(func() error {
				if err := running.Err(); err != nil {
					return err
				}
				err := do(running, i)
				done.step()
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (t *target) failed(i plan.Image, err error) report.Outcome {
	o := t.outcome(i, report.Failed)
	o.Error = withAdvice(err)
	return o
}

// failedProject is failed for what concerns all images of a project alike.
func (t *target) failedProject(i plan.Image, err error) report.Outcome {
	o := t.failed(i, err)
	o.Cause = "project " + project(i)
	return o
}

// withAdvice puts an error and what to do about it into one line.
func withAdvice(err error) string {
	if advice := report.Advice(err); advice != "" {
		return err.Error() + " (" + advice + ")"
	}
	return err.Error()
}

func (t *target) outcome(i plan.Image, status report.Status) report.Outcome {
	return outcomeOf(i, t.host()+"/"+i.Target.String(), status)
}

func outcomeOf(i plan.Image, target string, status report.Status) report.Outcome {
	return report.Outcome{Source: i.Source.String(), Target: target, Digest: i.Manifest.Digest.String(), Status: status}
}

// written is the outcome of an image that was made here, or was there.
func written(i plan.Image, target string, made bool, err error) report.Outcome {
	o := outcomeOf(i, target, report.Skipped)
	switch {
	case err != nil:
		o.Status, o.Error = report.Failed, withAdvice(err)
	case made:
		o.Status = report.Done
	}
	return o
}

// pushOne pushes an image from its layout.
func (t *target) pushOne(ctx context.Context, dir string, i plan.Image, seen *foreseen) report.Outcome {
	layout, err := push.Layout(dir)
	if err != nil {
		return t.failed(i, err)
	}
	o, err := t.registry.Push(ctx, layout, i)
	return seen.after(i, o, err)
}

// verifyOne turns the outcome of an image that the target does not have, after
// all, into a failure.
func (t *target) verifyOne(ctx context.Context, i plan.Image, o report.Outcome) report.Outcome {
	if o.Status == report.Failed {
		return o
	}
	if err := t.registry.Verify(ctx, i); err != nil {
		o.Status, o.Error = report.Failed, err.Error()
	}
	return o
}

// progress counts the images of a stage.
type progress struct {
	session *session
	stage   string
	total   int64
	done    atomic.Int64
}

func (p *progress) step() {
	p.session.Progress(report.Progress{Stage: p.stage, Done: p.done.Add(1), Total: p.total, Unit: "images"})
}
