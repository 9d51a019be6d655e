package report

import (
	"fmt"
	"strings"
)

// Verdict is an image and what became of it.
type Verdict struct {
	Image
	Outcome *Outcome // nil where the run moved nothing
	Reason  string   // why it is not whole or was not carried; empty where all is well
}

// Verdicts joins images with their outcomes.
func (r *Run) Verdicts() []Verdict {
	outcomes := map[string]*Outcome{}
	for i := range r.Outcomes {
		outcomes[r.Outcomes[i].Source] = &r.Outcomes[i]
	}
	against := map[string][]Finding{}
	for _, f := range r.Findings {
		if f.Level == Skip {
			against[f.about()] = append(against[f.about()], f)
		}
	}
	var verdicts []Verdict
	for _, i := range r.Images {
		v := Verdict{Image: i, Outcome: outcomes[i.Name()]}
		switch found := against[i.Name()]; {
		case v.Outcome != nil && v.Outcome.Status == Failed:
			v.Reason = v.Outcome.Error
		case !i.Complete, v.Outcome == nil && refused(found):
			v.Reason = reason(found)
		}
		verdicts = append(verdicts, v)
	}
	return verdicts
}

// Unclaimed are the findings of level skip that are about no image of the run:
// about the tree, a repository, or what might have been an image.
func (r *Run) Unclaimed() []Finding {
	images := map[string]bool{}
	for _, i := range r.Images {
		images[i.Name()] = true
	}
	var unclaimed []Finding
	for _, f := range r.Findings {
		if f.Level == Skip && !images[f.about()] {
			unclaimed = append(unclaimed, f)
		}
	}
	return unclaimed
}

// Well tells whether the run came to its end, nothing failed and nothing was
// left out.
func (r *Run) Well() bool {
	for _, f := range r.Findings {
		if f.Level == Skip {
			return false
		}
	}
	return r.Summary.Error == "" && r.Summary.Failed == 0 && r.Summary.Incomplete == 0
}

// about names the image that a finding is about, as Image.Name does.
func (f Finding) about() string { return Name(f.Repository, f.Tag, f.Digest) }

// refused tells whether the target cannot take an image that is whole.
func refused(findings []Finding) bool {
	for _, f := range findings {
		if f.Code == TargetName || f.Code == TargetCollision {
			return true
		}
	}
	return false
}

// reason gathers what findings say against an image.
func reason(findings []Finding) string {
	var reasons []string
	for _, f := range findings {
		text := fmt.Sprintf("%s: %s", f.Code, f.Code.Kind().Means)
		for _, more := range []string{f.Digest, f.Detail} {
			if more != "" {
				text += " " + more
			}
		}
		reasons = append(reasons, text)
	}
	if len(reasons) == 0 {
		return "incomplete"
	}
	return strings.Join(reasons, "; ")
}
