package report

import (
	"cmp"
	"math"
	"strings"
)

// state is what an image came to, finer than Status: a report also has images
// without any outcome.
type state string

// The states, the worst first.
const (
	failed  state = "failed"   // the target does not have it, or could not be shown to
	leftOut state = "left-out" // not whole in the source, or not for this target
	open    state = "open"     // the run ended before it
	planned state = "planned"  // nothing was moved
	whole   state = "whole"    // nothing was to be moved
	done    state = "done"
	there   state = "there"
)

var states = []state{failed, leftOut, open, planned, whole, done, there}

// fate is an image, and what it came to.
type fate struct {
	Verdict
	state  state
	why    string // empty where all is well
	orphan bool   // it has an outcome, and nothing else is known of it
}

// carried tells whether the target has the image.
func (f *fate) carried() bool { return f.state == done || f.state == there }

// tally is a run with the fates of its images counted.
type tally struct {
	run   *Run
	voice *voice
	moved bool // images have outcomes
	fates []fate
	count map[state]int
	size  int64 // bytes of the images that are not left out, added up
	// stray are findings of level skip that are about no image which failed or
	// was left out; obstacles are those of them that are about the target.
	stray, obstacles int
}

func take(run *Run) *tally {
	t := &tally{run: run, moved: len(run.Outcomes) > 0, count: map[state]int{}}
	t.voice = speak(run.Verb, t.moved)
	known := map[string]bool{}
	for _, v := range run.Verdicts() {
		known[v.Name()] = true
		t.add(t.judge(v))
	}
	for n, o := range run.Outcomes {
		if !known[o.Source] {
			known[o.Source] = true
			v := Verdict{Image: Image{Repository: o.Source, Complete: true}, Outcome: &run.Outcomes[n], Reason: o.Error}
			f := t.judge(v)
			f.orphan = true
			t.add(f)
		}
	}
	t.findStray()
	return t
}

func (t *tally) add(f fate) {
	t.fates = append(t.fates, f)
	t.count[f.state]++
	if f.state != leftOut && f.Size > 0 {
		t.size += min(f.Size, math.MaxInt64-t.size) // sizes come from outside
	}
}

func (t *tally) judge(v Verdict) fate {
	why := cmp.Or(v.Image.Reason, v.Reason)
	switch {
	case v.Outcome != nil:
		return outcomeFate(v)
	case !v.Complete, why != "":
		return fate{Verdict: v, state: leftOut, why: why}
	case t.moved:
		return fate{Verdict: v, state: open, why: "the run ended before it came to this image"}
	case t.voice.moves:
		return fate{Verdict: v, state: planned}
	}
	return fate{Verdict: v, state: whole}
}

func outcomeFate(v Verdict) fate {
	switch v.Outcome.Status {
	case Done:
		return fate{Verdict: v, state: done}
	case Skipped:
		return fate{Verdict: v, state: there}
	}
	return fate{Verdict: v, state: failed, why: cmp.Or(v.Outcome.Error, v.Reason, "no reason was given")}
}

func (t *tally) findStray() {
	bad := map[string]bool{}
	for _, f := range t.fates {
		bad[f.Name()] = f.bad()
	}
	for _, f := range t.run.Findings {
		switch {
		case f.Level == Note || bad[f.about()]:
		case f.Code.ofTarget():
			t.obstacles++
		default:
			t.stray++
		}
	}
}

// ofTarget tells whether a finding is about the target, and not the source.
func (c Code) ofTarget() bool { return strings.HasPrefix(string(c), "harbor-") }

// bad tells whether an image is not what was asked for.
func (f *fate) bad() bool { return f.state == failed || f.state == leftOut || f.state == open }

func (t *tally) bad() int { return t.count[failed] + t.count[leftOut] + t.count[open] }

// well tells whether nothing is amiss, as far as the run went. What stood against
// it in the target counts for nothing once every image is there all the same.
func (t *tally) well() bool {
	s := t.run.Summary
	return len(t.fates) > 0 && t.bad() == 0 && t.stray == 0 && (t.obstacles == 0 || t.moved) &&
		s.Error == "" && s.Failed == 0 && s.Incomplete == 0
}

// traffic compares the sizes of images with what they take and what was sent.
type traffic struct {
	Bars  []bar
	Saved string
}

type bar struct {
	Label, Size string
	Percent     int // of the longest
}

// traffic is nil where there is nothing to compare.
func (t *tally) traffic() *traffic {
	s := t.run.Summary
	if t.size == 0 || (s.UniqueBytes <= 0 && t.count[done]+t.count[there] == 0) {
		return nil
	}
	longest := max(t.size, s.UniqueBytes, s.UploadedBytes)
	b := &traffic{Bars: []bar{newBar("Sizes of the images, added up", t.size, longest)}}
	if s.UniqueBytes > 0 {
		b.Bars = append(b.Bars, newBar("Their blobs, each counted once", s.UniqueBytes, longest))
	}
	if t.voice.sends && t.moved {
		b.Bars = append(b.Bars, newBar("Sent in this run", s.UploadedBytes, longest))
	}
	b.Saved = t.saved()
	return b
}

func newBar(label string, bytes, longest int64) bar {
	return bar{Label: label, Size: size(bytes), Percent: int(float64(bytes) / float64(longest) * 100)}
}
