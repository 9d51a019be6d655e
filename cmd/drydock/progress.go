package main

import (
	"io"
	"os"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// bars shows progress on a terminal, one bar a stage, and nothing elsewhere. It
// is a report.Handler that listens to progress alone.
type bars struct {
	container *mpb.Progress // nil where there is no terminal
	stages    map[string]*mpb.Bar
}

func newBars(w io.Writer, wanted bool) *bars {
	b := &bars{stages: map[string]*mpb.Bar{}}
	if f, ok := w.(*os.File); ok && wanted && term.IsTerminal(int(f.Fd())) {
		b.container = mpb.New(mpb.WithOutput(f), mpb.WithWidth(40))
	}
	return b
}

// above gives a writer whose lines do not run into the bars, if both go to a
// terminal.
func (b *bars) above(w io.Writer) io.Writer {
	if f, ok := w.(*os.File); ok && b.container != nil && term.IsTerminal(int(f.Fd())) {
		return barWriter{b, w}
	}
	return w
}

// barWriter writes above the bars while they are there.
type barWriter struct {
	b     *bars
	plain io.Writer
}

func (w barWriter) Write(p []byte) (int, error) {
	if w.b.container != nil {
		return w.b.container.Write(p)
	}
	return w.plain.Write(p)
}

// Progress implements report.Handler.
func (b *bars) Progress(p report.Progress) {
	if b.container == nil {
		return
	}
	bar := b.stages[p.Stage]
	if bar == nil {
		bar = b.container.AddBar(p.Total,
			mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(decor.Name(p.Stage, decor.WCSyncSpaceR), counter(p.Unit)),
			mpb.AppendDecorators(decor.Percentage(decor.WCSyncSpace), decor.AverageETA(decor.ET_STYLE_GO, decor.WCSyncSpace)))
		b.stages[p.Stage] = bar
	}
	bar.SetTotal(max(p.Total, p.Done+1), false)
	bar.SetCurrent(p.Done)
	if p.Total > 0 && p.Done >= p.Total {
		bar.SetTotal(p.Total, true)
	}
}

func counter(unit string) decor.Decorator {
	if unit == "bytes" {
		return decor.CountersKibiByte("% .1f / % .1f ", decor.WCSyncSpace)
	}
	return decor.CountersNoUnit("%d / %d "+unit+" ", decor.WCSyncSpace)
}

// clear takes away the bars of stages that have ended.
func (b *bars) clear() {
	for stage, bar := range b.stages {
		bar.Abort(true)
		delete(b.stages, stage)
	}
}

// stop takes all bars away, for good.
func (b *bars) stop() {
	if b.container == nil {
		return
	}
	b.clear()
	b.container.Wait()
	b.container = nil
}

// Image implements report.Handler.
func (b *bars) Image(report.Image) error { return nil }

// Finding implements report.Handler.
func (b *bars) Finding(report.Finding) error { return nil }

// Outcome implements report.Handler.
func (b *bars) Outcome(report.Outcome) error { return nil }

// Close implements report.Handler.
func (b *bars) Close(report.Summary) error { return nil }
