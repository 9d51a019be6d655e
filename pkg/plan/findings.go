package plan

import (
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// gatherFindings picks the index's findings that are about chosen images or
// about the tree, and adds what became of images that are not carried as they
// were.
func (p *Plan) gatherFindings(x *storage.Index, rules *Rules) {
	var a *about
	if len(x.Findings()) > 0 {
		a = newAbout(x, rules, p)
	}
	for _, f := range x.Findings() {
		if !a.concerns(f) {
			continue
		}
		if a.cut[report.Name(f.Repository, f.Tag, f.Digest)] {
			f.Level = report.Note // the rest of the image is carried, as asked
		}
		p.Findings = append(p.Findings, f)
	}
	for _, i := range p.Images {
		if i.Recovered {
			p.find(i, report.TagRecovered, "its digest was found in the tag's history, or its link was mended")
		}
		if i.Trim != nil {
			p.find(i, report.IndexTrimmed, "its digest is now "+i.Manifest.Digest.String())
		}
	}
	report.SortFindings(p.Findings)
	p.Findings = slices.Compact(p.Findings)
}

func (p *Plan) find(i Image, code report.Code, detail string) {
	f := code.New(detail)
	f.Repository, f.Tag, f.Digest = i.Source.Repository, i.Source.Tag, i.Source.Digest.String()
	p.Findings = append(p.Findings, f)
}

// about tells which findings concern a plan.
type about struct {
	x     *storage.Index
	rules *Rules

	tags         map[string]bool        // repository:tag of chosen images
	recovered    map[string]report.Code // of those, what was wrong with the tag
	digests      map[string]digests     // by repository, all that chosen images without a tag need
	repositories map[string]bool        // with any chosen image
	explained    map[string]digests     // by repository, what its sound manifests name
	cut          map[string]bool        // what trimmed images go without
}

type digests map[string]bool

func newAbout(x *storage.Index, rules *Rules, p *Plan) *about {
	a := &about{
		x: x, rules: rules,
		tags: map[string]bool{}, recovered: map[string]report.Code{},
		digests: map[string]digests{}, repositories: map[string]bool{}, explained: map[string]digests{},
		cut: map[string]bool{},
	}
	for _, i := range p.Images {
		a.add(i)
	}
	for _, l := range p.LeftOut {
		a.add(l.Image)
	}
	return a
}

func (a *about) add(i Image) {
	repository := i.Source.Repository
	a.repositories[repository] = true
	if i.Trim != nil {
		for _, p := range a.x.Closure(i.Trim.Old).Problems {
			a.cut[report.Name(repository, i.Source.Tag, p.Digest.String())] = true
		}
	}
	if i.Source.Tag != "" {
		a.tags[i.Source.String()] = true
		if i.Recovered {
			a.recovered[i.Source.String()] = a.wasWrong(i.Source)
		}
		return
	}
	if a.digests[repository] == nil {
		a.digests[repository] = digests{}
	}
	needs := a.digests[repository]
	needs[i.Source.Digest.String()] = true
	c := a.x.Closure(i.Source.Digest)
	for _, m := range c.Manifests {
		needs[m.Digest.String()] = true
	}
	for _, b := range c.Blobs {
		needs[b.Digest.String()] = true
	}
	for _, p := range c.Problems {
		needs[p.Digest.String()] = true
	}
}

// wasWrong is what was wrong with a tag that was recovered.
func (a *about) wasWrong(ref Reference) report.Code {
	if t, ok := a.x.Repository(ref.Repository).Tag(ref.Tag); ok && t.Problem != nil {
		return t.Problem.Code
	}
	return report.TagDeleted
}

func (a *about) concerns(f report.Finding) bool {
	switch {
	case f.Tag != "":
		name := report.Name(f.Repository, f.Tag, "")
		return a.tags[name] && a.recovered[name] != f.Code
	case f.Digest == "":
		return a.rules.concerns(f)
	case f.Repository == "":
		return true
	default:
		return a.digests[f.Repository][f.Digest] || a.mayRefer(f)
	}
}

// mayRefer tells whether a finding is about a manifest that no sound one names
// and that cannot be read: it may refer to a chosen image, or be one of those
// without a tag.
func (a *about) mayRefer(f report.Finding) bool {
	if f.Level != report.Skip || !a.wantsUnknown(f) {
		return false
	}
	if a.explained[f.Repository] == nil {
		a.explained[f.Repository] = namedIn(a.x.Repository(f.Repository))
	}
	return !a.explained[f.Repository][f.Digest]
}

func (a *about) wantsUnknown(f report.Finding) bool {
	ref := Reference{Repository: f.Repository, Digest: digest.Digest(f.Digest)}
	if a.rules.Untagged && a.rules.wants(ref) {
		return true
	}
	return !a.rules.NoReferrers && a.repositories[f.Repository] && !matchAny(a.rules.Exclude, ref)
}

func namedIn(r *storage.Repository) digests {
	named := digests{}
	if r == nil {
		return named
	}
	for _, m := range r.Manifests {
		for _, c := range m.Manifests {
			named[c.Digest.String()] = true
		}
		for _, b := range m.Blobs {
			named[b.Digest.String()] = true
		}
	}
	return named
}
