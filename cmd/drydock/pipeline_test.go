package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// outcomes keeps outcomes; the last of them cannot be written if full is set.
type outcomes struct {
	mu   sync.Mutex
	full error
	all  []string
}

func (w *outcomes) Image(report.Image) error     { return nil }
func (w *outcomes) Finding(report.Finding) error { return nil }
func (w *outcomes) Progress(report.Progress)     {}
func (w *outcomes) Close(report.Summary) error   { return nil }
func (w *outcomes) Outcome(o report.Outcome) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, fmt.Sprintf("%s %s %s", o.Source, o.Status, o.Error))
	return w.full
}

// inStages is a session for images that are called by their depth and number, and
// what is told of them.
func inStages(depths ...int) (*session, *plan.Plan, *outcomes) {
	to := &outcomes{}
	p := &plan.Plan{}
	for n, depth := range depths {
		p.Images = append(p.Images, plan.Image{Source: plan.Reference{Repository: fmt.Sprintf("%d-%d", depth, n), Tag: "v"}, Depth: depth})
	}
	return &session{Tee: report.NewTee(to)}, p, to
}

func done(i plan.Image) report.Outcome {
	return report.Outcome{Source: i.Source.Repository, Status: report.Done}
}

// event is something that happens once, and that others wait for.
type event chan struct{}

// await gives up long after it should have happened.
func (e event) await(ctx context.Context) error {
	select {
	case <-e:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Minute):
		return errors.New("it did not happen")
	}
}

// TestPassOverlaps: with one job, each of the stages has an image under way, and
// not one after the other.
func TestPassOverlaps(t *testing.T) {
	s, p, to := inStages(0, 0, 0, 0)
	var began [3][4]event // by stage and image
	for stage := range began {
		for n := range began[stage] {
			began[stage][n] = make(event)
		}
	}
	// Every stage ends with an image only when the one before has begun with the next.
	at := func(number int) stage {
		return func(ctx context.Context, i plan.Image, o report.Outcome) (report.Outcome, bool) {
			n := slices.IndexFunc(p.Images, func(is plan.Image) bool { return is.Source == i.Source })
			close(began[number][n])
			if number > 0 && n < 3 {
				if err := began[number-1][n+1].await(ctx); err != nil {
					return report.Outcome{Source: i.Source.Repository, Status: report.Failed, Error: err.Error()}, true
				}
			}
			return done(i), number == 2
		}
	}
	if err := s.pass(t.Context(), p, "test", 1, at(0), at(1), at(2)); err != nil {
		t.Error(err)
	}
	want := []string{"0-0 done ", "0-1 done ", "0-2 done ", "0-3 done "}
	if d := cmp.Diff(want, to.all); d != "" {
		t.Error(d)
	}
}

// TestPassOrder: subjects go through all stages before what refers to them, and an
// image that came to its end goes through no further ones.
func TestPassOrder(t *testing.T) {
	s, p, to := inStages(0, 0, 0, 1, 1, 2)
	var mu sync.Mutex
	ended := map[int]int{} // images, by their depth
	late := func(_ context.Context, i plan.Image, o report.Outcome) (report.Outcome, bool) {
		if i.Source.Repository == "0-1" {
			t.Error("an image that failed goes on")
		}
		mu.Lock()
		defer mu.Unlock()
		if i.Depth > 0 && ended[i.Depth-1] == 0 {
			t.Errorf("%s is before its subject", i.Source.Repository)
		}
		ended[i.Depth]++
		return o, true
	}
	first := func(_ context.Context, i plan.Image, _ report.Outcome) (report.Outcome, bool) {
		if i.Source.Repository == "0-1" {
			return report.Outcome{Source: "0-1", Status: report.Failed, Error: "broken"}, true
		}
		return done(i), false
	}
	if err := s.pass(t.Context(), p, "test", 4, first, late); err != nil {
		t.Error(err)
	}
	slices.Sort(to.all)
	want := []string{"0-0 done ", "0-1 failed broken", "0-2 done ", "1-3 done ", "1-4 done ", "2-5 done "}
	if d := cmp.Diff(want, to.all); d != "" {
		t.Error(d)
	}
	if s.summary.Done != 5 || s.summary.Failed != 1 {
		t.Errorf("counted %+v", s.summary)
	}
}

// TestPassStops: it ends with its context, and with output that cannot be written,
// whatever waits in it.
func TestPassStops(t *testing.T) {
	many := make([]int, 100)
	s, p, to := inStages(many...)
	to.full = errors.New("disk full")
	on := func(_ context.Context, i plan.Image, _ report.Outcome) (report.Outcome, bool) { return done(i), false }
	if err := s.pass(t.Context(), p, "test", 3, on, on); !errors.Is(err, to.full) || len(to.all) != 1 {
		t.Errorf("error %v after %d images", err, len(to.all))
	}
	s, p, to = inStages(many...)
	ctx, cancel := context.WithCancel(t.Context())
	began := 0
	ends := func(ctx context.Context, i plan.Image, _ report.Outcome) (report.Outcome, bool) {
		if began++; began == 10 {
			cancel()
			return report.Outcome{Status: report.Failed, Error: ctx.Err().Error()}, true
		}
		return done(i), false
	}
	if err := s.pass(ctx, p, "test", 1, ends, on); !errors.Is(err, context.Canceled) || began != 10 {
		t.Errorf("error %v after %d images", err, began)
	}
	for _, o := range to.all {
		if !strings.HasSuffix(o, " done ") {
			t.Errorf("told: %s", o)
		}
	}
}
