package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/graft"
	"github.com/seed-5b48bd9d/drydock/pkg/harbor"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/push"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// foreseen is what the target says of a plan before anything is sent.
type foreseen struct {
	missing  []string                // projects
	there    map[plan.Reference]bool // images that the target has
	replaced map[plan.Reference]bool // images whose tag has another digest there
	refused  map[string]error        // why a project takes nothing, or not everything
	held     map[plan.Reference]error
	lacking  map[plan.Reference]graft.Lack // images that the target has, and what its storage lacks of them
	doubtful bool                          // not everything would be taken

	mu     sync.Mutex
	closed map[string]error // projects that were found full or closed on the way
}

// foresee asks the target which images it has, and Harbor for whatever would
// refuse the others. All that is found is told, with what to do about it.
func (s *session) foresee(ctx context.Context, t *target, p *plan.Plan, f *targetFlags, jobs int) (*foreseen, error) {
	seen := &foreseen{there: map[plan.Reference]bool{}, replaced: map[plan.Reference]bool{}, refused: map[string]error{}, closed: map[string]error{}}
	var err error
	if seen.missing, err = t.missingProjects(ctx, p); err != nil {
		return nil, err
	}
	if err := s.lookUp(ctx, t, p, seen, jobs); err != nil {
		return nil, err
	}
	if t.harbor == nil {
		return seen, nil
	}
	r, err := t.harbor.Preflight(ctx, harbor.Ask{
		Username: t.registry.Username(), Create: f.createProject, Settings: f.settings, Projects: seen.needs(p),
	})
	if err != nil {
		return nil, err
	}
	seen.refused, seen.held = r.Refused(), seen.heldBack(p, r)
	for _, problem := range r.Problems {
		if err := s.find(problemFinding(problem)); err != nil {
			return nil, err
		}
		seen.doubtful = seen.doubtful || problem.Severity != harbor.Note
	}
	if err := s.Flush(); err != nil {
		return nil, err
	}
	return seen, stopped(r, f.force)
}

// lookUp asks for every image. In a project that is missing there are none; where
// this account may not ask, Preflight says so.
func (s *session) lookUp(ctx context.Context, t *target, p *plan.Plan, seen *foreseen, jobs int) error {
	hopeless := func(i plan.Image) bool { return slices.Contains(seen.missing, project(i)) }
	if err := t.registry.LookUpTags(ctx, slices.DeleteFunc(slices.Clone(p.Images), hopeless)); err != nil {
		return err
	}
	var mu sync.Mutex
	return s.each(ctx, p, "plan", jobs, func(ctx context.Context, i plan.Image) error {
		if hopeless(i) {
			return nil
		}
		there, replaced, err := t.registry.Foresee(ctx, i)
		var status *push.StatusError
		if err != nil && t.harbor != nil && errors.As(err, &status) && (status.Status == 401 || status.Status == 403) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("asking the target for %s: %w", i.Target, err)
		}
		mu.Lock()
		defer mu.Unlock()
		seen.there[i.Target], seen.replaced[i.Target] = there, replaced
		return nil
	})
}

// needs is what each project is to take.
func (f *foreseen) needs(p *plan.Plan) []harbor.Need {
	has := map[string]map[digest.Digest]bool{} // by project
	parts := func(i plan.Image) [][]*ocispec.Descriptor { return [][]*ocispec.Descriptor{i.Blobs, i.Manifests} }
	for _, i := range p.Images {
		own := has[project(i)]
		if own == nil {
			own = map[digest.Digest]bool{}
			has[project(i)] = own
		}
		if f.there[i.Target] {
			for _, list := range parts(i) {
				for _, d := range list {
					own[d.Digest] = true
				}
			}
		}
	}
	var needs []harbor.Need
	for _, i := range p.Images {
		need := harbor.Need{Name: project(i)}
		if f.there[i.Target] {
			needs = append(needs, need)
			continue
		}
		for _, list := range parts(i) {
			for _, d := range list {
				if !has[need.Name][d.Digest] {
					has[need.Name][d.Digest] = true
					need.Bytes += d.Size
				}
			}
		}
		if f.replaced[i.Target] {
			need.Replaced = []harbor.Tag{{Repository: i.Target.Repository, Name: i.Target.Tag}}
		}
		needs = append(needs, need)
	}
	return needs
}

// heldBack gives the images whose tag an immutable rule keeps as it is.
func (f *foreseen) heldBack(p *plan.Plan, r *harbor.Report) map[plan.Reference]error {
	rules := map[string]bool{}
	for _, own := range r.Projects {
		for _, tag := range own.Immutable {
			rules[tag.String()] = true
		}
	}
	held := map[plan.Reference]error{}
	for _, i := range p.Images {
		if f.replaced[i.Target] && rules[i.Target.Repository+":"+i.Target.Tag] {
			held[i.Target] = report.WithHint(errors.New("an immutable tag rule keeps the digest that the tag has there"),
				"take the rule away for the time of the migration, or map the repository elsewhere")
		}
	}
	return held
}

// keptBack says why an image need not be tried.
func (f *foreseen) keptBack(t *target, i plan.Image, force bool) (report.Outcome, bool) {
	f.mu.Lock()
	err := f.closed[project(i)]
	f.mu.Unlock()
	if err == nil && !force {
		err = f.refused[project(i)]
	}
	if err != nil {
		return t.failedProject(i, err), true
	}
	if force {
		return report.Outcome{}, false
	}
	if err := f.held[i.Target]; err != nil {
		return t.failed(i, err), true
	}
	return report.Outcome{}, false
}

// after looks at what became of an image. Where its project is full or closed,
// those after it are not tried: their bytes would travel in vain.
func (f *foreseen) after(i plan.Image, o report.Outcome, err error) report.Outcome {
	var status *push.StatusError
	if errors.As(err, &status) && status.StopsProject() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.closed[project(i)] == nil {
			f.closed[project(i)] = err
		}
		o.Cause = "project " + project(i)
	}
	return o
}

// problemFinding is a problem as a finding. Of many projects, the detail names some.
func problemFinding(p harbor.Problem) report.Finding {
	f := report.Code("harbor-" + string(p.Code)).New(p.String())
	f.Level = report.Skip
	if p.Severity == harbor.Note {
		f.Level = report.Note
	}
	if p.Hint != "" {
		f.Detail += " (" + p.Hint + ")"
	}
	return f
}

// stopped is the error of a run that nothing can come of.
func stopped(r *harbor.Report, force bool) error {
	var why []string
	hint := ""
	for _, p := range r.Problems {
		if p.Severity != harbor.StopsAll {
			continue
		}
		if force && p.Code != harbor.BadCredentials {
			continue // whoever asks for it may try
		}
		why = append(why, p.String())
		if hint == "" {
			hint = p.Hint
		}
	}
	if len(why) == 0 {
		return nil
	}
	return report.WithHint(fmt.Errorf("Harbor would take nothing: %s", strings.Join(why, "; ")), hint)
}
