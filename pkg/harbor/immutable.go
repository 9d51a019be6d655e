package harbor

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// selector is one condition of a rule (api/v2.0/swagger.yaml,
// ImmutableSelector).
type selector struct {
	Kind       string `json:"kind"`
	Decoration string `json:"decoration"`
	Pattern    string `json:"pattern"`
}

// immutableRule forbids to give a tag another digest. Harbor looks at the first
// selector of each sort, and passes over a rule that lacks one
// (src/pkg/immutable/match/rule/match.go).
type immutableRule struct {
	Disabled bool                  `json:"disabled"`
	Tags     []selector            `json:"tag_selectors"`
	Scopes   map[string][]selector `json:"scope_selectors"`
}

// errSelector is a selector that Harbor 2.15 does not have.
var errSelector = errors.New("a rule is of a kind that is not known")

// fits tells whether a rule is about a tag. The repository is without its
// project.
func (r *immutableRule) fits(repository, tag string) (bool, error) {
	repositories := r.Scopes["repository"]
	if r.Disabled || len(repositories) == 0 || len(r.Tags) == 0 {
		return false, nil
	}
	matched, err := repositories[0].fits(repository, "repoMatches", "repoExcludes")
	if err != nil || !matched {
		return false, err
	}
	return r.Tags[0].fits(tag, "matches", "excludes")
}

func (s selector) fits(name, matches, excludes string) (bool, error) {
	if s.Kind != "doublestar" || s.Decoration != matches && s.Decoration != excludes {
		return false, fmt.Errorf("%w: %.40q, %.40q", errSelector, s.Kind, s.Decoration)
	}
	matched, err := globMatch(s.Pattern, name)
	if err != nil {
		return false, fmt.Errorf("a rule's pattern %.100q: %w", s.Pattern, err)
	}
	return matched == (s.Decoration == matches), nil
}

// askRules reads the rules of projects in which tags would be replaced.
func (p *preflight) askRules(ctx context.Context) {
	open := p.those(func(own *Project) bool { return own.Exists != No && own.takes() && len(own.need.Replaced) > 0 })
	p.forEach(ctx, "which of its tags are immutable", open, p.askRulesOf)
}

func (p *preflight) askRulesOf(ctx context.Context, own *Project) error {
	rules, err := p.listRules(ctx, own.Name)
	if err != nil {
		return err
	}
	for _, tag := range own.need.Replaced {
		refused, err := anyFits(rules, tag)
		if err != nil {
			return err
		}
		if refused {
			own.Immutable = append(own.Immutable, tag)
		}
	}
	own.ImmutableChecked = Yes
	return nil
}

func anyFits(rules []immutableRule, tag Tag) (bool, error) {
	_, repository, _ := strings.Cut(tag.Repository, "/")
	for _, rule := range rules {
		if fits, err := rule.fits(repository, tag.Name); fits || err != nil {
			return fits, err
		}
	}
	return false, nil
}

func (p *preflight) listRules(ctx context.Context, project string) (rules []immutableRule, err error) {
	for number := 1; number <= maxPages; number++ {
		query := url.Values{"page": {strconv.Itoa(number)}, "page_size": {strconv.Itoa(pageSize)}}
		var rows []immutableRule
		header, err := p.Harbor.ask(ctx, projectPath(project, "immutabletagrules"), query, &rows)
		if err != nil {
			return nil, err
		}
		rules = append(rules, rows...)
		if len(rows) == 0 || number*pageSize >= totalOf(header) {
			return rules, nil
		}
	}
	return nil, fmt.Errorf("more than %d rules", maxPages*pageSize)
}

// judgeTags says which tags would not be taken: by name, as far as they are few.
func (p *preflight) judgeTags(own *Project) {
	if len(own.Immutable) == 0 {
		return
	}
	var names []string
	for _, tag := range own.Immutable {
		names = append(names, tag.String())
	}
	detail := fmt.Sprintf("a rule makes %s immutable, and it has another digest there", names[0])
	if len(names) > 1 {
		detail = fmt.Sprintf("rules make %d tags immutable that have another digest there: %s", len(names), enumerate(names))
	}
	p.problem(ImmutableTag, StopsImages, "leave these tags out, map them elsewhere, or take the rule away in the project's settings", detail, own.Name)
}
