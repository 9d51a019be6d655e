package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// session is one run of a command: what it tells, and what it counts.
type session struct {
	*report.Tee
	bars   *bars
	in     io.Reader        // standard input, which may be a source
	notes  io.Writer        // what a person is told beforehand; nil for nobody
	mapped bool             // images have targets in a registry
	found  []report.Finding // beside those of the plan

	finished, interrupted bool // the run came to its end, or was ended
	closed                bool // everything is told
	started               time.Time

	mu      sync.Mutex // several images come to an end at once
	summary report.Summary
}

// verb is what the output needs to know of a command.
type verb struct {
	name, source, target string
	images               bool // its images are data
	targets              bool // with their targets
	findings             bool // its findings and its summary are data
	notes                bool // even those that are only notes
	closing              func(report.Summary) []string
	out                  io.Writer // for words, where standard output is for something else; nil: as usual
}

func (a *app) newSession(v verb, f *runFlags) (*session, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	s := &session{started: time.Now(), mapped: v.targets, in: a.in}
	s.bars = newBars(a.err, !f.noProgress && !f.quiet)
	if !f.quiet {
		s.notes = s.bars.above(a.err)
	}
	text := report.TextOptions{
		Out: s.bars.above(cmp.Or(v.out, a.out)), Err: s.bars.above(a.err),
		Images: v.images, Targets: v.targets, FindingsAreData: v.findings, Notes: v.notes,
		Quiet: f.quiet,
	}
	if !f.quiet {
		text.Closing = func(summary report.Summary) []string {
			switch {
			case s.interrupted:
				return []string{fmt.Sprintf("interrupted: %s done, %d there already, of %d", plural(summary.Done, "image", "images"), summary.Skipped, summary.Images)}
			case !s.finished:
				return nil
			}
			return append(s.unasked(), v.closing(summary)...)
		}
	}
	handlers := []report.Handler{s.bars}
	switch f.output {
	case "json":
		handlers = append(handlers, report.NewJSON(cmp.Or(v.out, a.out)))
	case "names": // on standard output nothing else; what went wrong is still said
		text.Out, text.Images, text.Quiet = text.Err, false, true
		handlers = append(handlers, report.NewNames(cmp.Or(v.out, a.out)), report.NewText(text))
	default:
		handlers = append(handlers, report.NewText(text))
	}
	if f.report != "" {
		file, err := report.NewFile(f.report, report.Run{
			Verb: v.name, Asked: a.asked, Source: v.source, Target: v.target, Started: s.started.UTC(), Version: version(),
		})
		if errors.Is(err, report.ErrUnknownForm) {
			err = usageError{err}
		}
		if err != nil {
			return nil, err
		}
		handlers = append(handlers, file)
	}
	if f.sideBySide && f.jobs < f.asked {
		s.note("at most %d images side by side, not %d: this process may have %d files open (ulimit -n)", f.jobs, f.asked, openFiles())
	}
	s.Tee = report.NewTee(handlers...)
	a.session = s
	return s, nil
}

// tellPlan tells every image of a plan and every finding.
func (s *session) tellPlan(p *plan.Plan) error {
	if len(s.found) > 0 {
		p.Findings = append(slices.Clone(p.Findings), s.found...)
		report.SortFindings(p.Findings)
	}
	if err := s.tellImages(p); err != nil {
		return err
	}
	for _, f := range p.Findings {
		if err := s.Finding(f); err != nil {
			return err
		}
	}
	s.summary.Images = len(p.Images) + len(p.LeftOut)
	s.summary.UniqueBytes, _ = p.Bytes()
	s.summary.Unasked = p.Untagged
	s.summary.Findings = len(p.Findings)
	return nil
}

// tellImages tells those that are carried and those that are left out, by their
// names. Each is described when its turn comes: there may be very many.
func (s *session) tellImages(p *plan.Plan) error {
	type row struct {
		image   *plan.Image
		leftOut *plan.LeftOut // nil where the image is carried
	}
	rows := make([]row, 0, len(p.Images)+len(p.LeftOut))
	for n := range p.Images {
		rows = append(rows, row{image: &p.Images[n]})
	}
	for n := range p.LeftOut {
		l := &p.LeftOut[n]
		rows = append(rows, row{&l.Image, l})
		if l.Incomplete() {
			s.summary.Incomplete++
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return a.image.Source.Compare(b.image.Source) })
	for _, r := range rows {
		if err := s.Image(s.describe(*r.image, r.leftOut)); err != nil {
			return err
		}
	}
	return nil
}

// find tells a finding that is not the plan's.
func (s *session) find(f report.Finding) error {
	s.summary.Findings++
	return s.Finding(f)
}

func (s *session) findAll(findings []report.Finding) error {
	var errs []error
	for _, f := range findings {
		errs = append(errs, s.find(f))
	}
	return errors.Join(errs...)
}

// unasked says what is in the source and was not asked for.
func (s *session) unasked() []string {
	if s.summary.Unasked == 0 {
		return nil
	}
	return []string{plural(s.summary.Unasked, "manifest", "manifests") + " without a tag: not asked for; --untagged takes them along"}
}

// tellRefused tells the outcome of images that their target cannot take. Where is
// what its names begin with.
func (s *session) tellRefused(p *plan.Plan, where string) error {
	var errs []error
	for _, l := range p.LeftOut {
		if !l.Incomplete() {
			o := outcomeOf(l.Image, where+l.Target.String(), report.Failed)
			o.Error = l.Reason
			errs = append(errs, s.count(o))
		}
	}
	return errors.Join(errs...)
}

// outcome tells what became of an image. One that was under way when the run was
// interrupted came to no end: it is neither done nor failed.
func (s *session) outcome(ctx context.Context, o report.Outcome) error {
	if o.Status == report.Failed && ctx.Err() != nil {
		return ctx.Err()
	}
	return s.count(o)
}

func (s *session) count(o report.Outcome) error {
	s.mu.Lock()
	s.summary.Add(o)
	s.mu.Unlock()
	return s.Outcome(o)
}

// close tells the summary, and says by its error whether all is well.
func (s *session) close(ctx context.Context, whole bool) error {
	s.summary.Seconds = time.Since(s.started).Round(time.Millisecond).Seconds()
	s.finished, s.interrupted = true, ctx.Err() != nil
	if err := s.end(ctx.Err()); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case !whole || s.summary.Failed > 0:
		return errLeftOut
	}
	return nil
}

// end tells what is left to tell, once: findings, and the summary so far. A run
// that fails ends with it too, so that nothing found is lost; why says what kept
// it from its end.
func (s *session) end(why error) error {
	if s == nil || s.closed {
		return nil
	}
	s.closed = true
	switch {
	case errors.Is(why, context.Canceled):
		s.summary.Error = "interrupted"
	case why != nil && !errors.Is(why, errLeftOut):
		s.summary.Error = why.Error()
	}
	s.bars.stop()
	if err := s.Close(s.summary); err != nil {
		return fmt.Errorf("writing output: %w", err)
	}
	return nil
}

// describe makes a planned image into one to tell.
func (s *session) describe(i plan.Image, leftOut *plan.LeftOut) report.Image {
	r := report.Image{
		Repository: i.Source.Repository, Tag: i.Source.Tag, Digest: i.Source.Digest.String(),
		MediaType: i.Manifest.MediaType, ArtifactType: i.ArtifactType, Platforms: i.Platforms,
		Size: i.Size, Complete: leftOut == nil || !leftOut.Incomplete(), Updated: inSeconds(i.Updated),
		Subject: i.Subject.String(), Recovered: i.Recovered,
	}
	if s.mapped {
		r.Target = i.Target.String()
	}
	if i.Trim != nil {
		r.Trimmed = i.Manifest.Digest.String()
	}
	if leftOut != nil {
		r.Reason = leftOut.Reason
		for _, d := range leftOut.Missing {
			r.Missing = append(r.Missing, d.String())
		}
	}
	return r
}

// inSeconds leaves out what an archive does not keep of a time.
func inSeconds(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Second)
}

func size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return humanize.Comma(int64(n)) + " " + many
}
