package plan

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// Target says where repositories go.
type Target struct {
	Prefix   string    // everything goes below it; may be empty
	Project  string    // for repositories of one component, where there is no prefix; may be empty
	Rewrites []Rewrite // the first that fits a repository is applied, before anything else
	Harbor   bool      // hold names against Harbor's grammar

	once  sync.Once
	index rewriteIndex // of Rewrites, from the first question on
}

// Rewrite replaces the leading components of a repository's name.
type Rewrite struct{ From, To string }

// ParseRewrite reads FROM=TO. Either may be empty: nothing before, or nothing
// in its place.
func ParseRewrite(s string) (Rewrite, error) {
	from, to, ok := strings.Cut(s, "=")
	w := Rewrite{From: strings.Trim(from, "/"), To: strings.Trim(to, "/")}
	if !ok || w == (Rewrite{}) || !validOrEmpty(w.From) || !validOrEmpty(w.To) {
		return Rewrite{}, report.WithHint(fmt.Errorf("bad rewrite %q", s), "write FROM=TO, both leading components of repositories, such as old/team=team")
	}
	return w, nil
}

func validOrEmpty(repository string) bool {
	return repository == "" || storage.ValidRepository(repository)
}

func (w Rewrite) apply(repository string) (string, bool) {
	rest, ok := repository, true
	if w.From != "" {
		rest, ok = strings.CutPrefix(repository+"/", w.From+"/")
	}
	if !ok {
		return repository, false
	}
	return strings.Trim(w.To+"/"+strings.TrimSuffix(rest, "/"), "/"), true
}

// Repository is where a repository goes.
func (t *Target) Repository(source string) string {
	t.once.Do(func() { t.index = indexRewrites(t.Rewrites) })
	name := source
	if i, ok := t.index.fit(source); ok {
		name, _ = t.Rewrites[i].apply(source)
	}
	switch {
	case t.Prefix != "":
		return t.Prefix + "/" + name
	case t.Project != "" && !strings.Contains(name, "/"):
		return t.Project + "/" + name
	}
	return name
}

// Harbor's own limits, measured on 2.15.2: the grammar of its project names,
// and how long a repository's path may be, the project included.
var projectGrammar = regexp.MustCompile(`^[a-z0-9]+(?:[._-][a-z0-9]+)*$`)

const maxHarborRepository = 245 // characters

// refuses says why the target cannot take a repository's name, or "".
func (t *Target) refuses(repository string) string {
	if !storage.ValidRepository(repository) {
		if len(repository) > 255 {
			return fmt.Sprintf("%d characters; a registry takes 255", len(repository))
		}
		return "a registry takes lower-case letters and digits, separated by single . or _, by __ or by dashes"
	}
	if !t.Harbor {
		return ""
	}
	project, _, nested := strings.Cut(repository, "/")
	switch {
	case !nested:
		return "Harbor keeps repositories in projects: project/repository"
	case !projectGrammar.MatchString(project):
		return fmt.Sprintf("%q is no name for a Harbor project: lower-case letters and digits, separated by single . _ or -", project)
	case len(repository) > maxHarborRepository:
		return fmt.Sprintf("%d characters; Harbor takes %d, the project included", len(repository), maxHarborRepository)
	}
	return ""
}

// mapTargets gives every image its target, and leaves out those that cannot
// have theirs.
func (p *Plan) mapTargets(t *Target) {
	for n := range p.LeftOut {
		p.LeftOut[n].Target.Repository = t.Repository(p.LeftOut[n].Source.Repository)
	}
	kept := p.Images[:0]
	for _, i := range p.Images {
		i.Target.Repository = t.Repository(i.Source.Repository)
		if why := t.refuses(i.Target.Repository); why != "" {
			p.refuse(i, report.TargetName, fmt.Sprintf("%s: %s", i.Target.Repository, why))
			continue
		}
		kept = append(kept, i)
	}
	p.keep(kept)
	p.separate()
}

func (p *Plan) refuse(i Image, code report.Code, detail string) {
	p.find(i, code, detail)
	p.LeftOut = append(p.LeftOut, LeftOut{Image: i, Code: code, Reason: detail})
}

// keep cuts the images to those that were moved to their front.
func (p *Plan) keep(kept []Image) {
	clear(p.Images[len(kept):])
	p.Images = kept
}

// separate leaves out images that would overwrite one another, all of them:
// nobody but their owner can say which is meant. Such are in one repository of
// the target, so that no more than one is looked at at a time.
func (p *Plan) separate() {
	byTarget := map[string][]int{} // by repository in lower case, the images that go there
	for n, i := range p.Images {
		repository := strings.ToLower(i.Target.Repository)
		byTarget[repository] = append(byTarget[repository], n)
	}
	refused := map[int]string{} // by image, why
	for _, images := range byTarget {
		p.collide(images, refused)
	}
	if len(refused) == 0 {
		return
	}
	kept := p.Images[:0]
	for n, i := range p.Images {
		if why := refused[n]; why != "" {
			p.refuse(i, report.TargetCollision, why)
			continue
		}
		kept = append(kept, i)
	}
	p.keep(kept)
}

// collide says which images of one repository of the target are refused, and finds
// those whose names a target that folds case would take for one.
func (p *Plan) collide(images []int, refused map[int]string) {
	digests := map[string][]string{} // by target, the digests it would get
	folded := map[string]string{}    // by target in lower case, the first of them
	for _, n := range images {
		target, d := p.Images[n].Target.String(), p.Images[n].Target.Digest.String()
		if !slices.Contains(digests[target], d) {
			digests[target] = append(digests[target], d)
		}
	}
	for _, n := range images {
		target := p.Images[n].Target.String()
		if len(digests[target]) > 1 {
			refused[n] = fmt.Sprintf("%s would get %d different images", target, len(digests[target]))
			continue
		}
		lower := strings.ToLower(target)
		if first, ok := folded[lower]; ok && first != target {
			f := report.TargetCaseCollision.New(target + " and " + first)
			f.Repository, f.Tag = p.Images[n].Source.Repository, p.Images[n].Source.Tag
			p.Findings = append(p.Findings, f)
		} else {
			folded[lower] = target
		}
	}
}

// Projects gives the leading components of all targets, sorted.
func (p *Plan) Projects() []string {
	projects := map[string]bool{}
	for _, i := range p.Images {
		project, _, _ := strings.Cut(i.Target.Repository, "/")
		projects[project] = true
	}
	return slices.Sorted(maps.Keys(projects))
}
