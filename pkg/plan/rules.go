package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// Rules say what is chosen, and where it goes. The zero value chooses every
// tag with what refers to it, and maps nothing.
type Rules struct {
	Include, Exclude []string  // globs on repository:tag; see Match
	Latest           int       // the newest tags of a repository; 0: all
	Since            time.Time // tags pushed since; zero: all
	Untagged         bool      // also manifests that nothing reaches
	NoReferrers      bool      // leave out what refers to a chosen image
	Recover          bool      // take candidates of broken tags
	Incomplete       Incomplete
	Target           *Target // nil: no target, sources only
}

// Incomplete says what becomes of images that lack a part.
type Incomplete string

// The three ways; the zero value means SkipIncomplete.
const (
	SkipIncomplete Incomplete = "skip" // left out and named
	TrimIncomplete Incomplete = "trim" // an index is cut to its whole children
	Fail           Incomplete = "fail" // nothing is done at all
)

// Check refuses bad rules, with a hint.
func (r *Rules) Check() error {
	for _, pattern := range append(append([]string{}, r.Include...), r.Exclude...) {
		if pattern == "" || !doublestar.ValidatePattern(expand(pattern)) {
			return report.WithHint(fmt.Errorf("bad pattern %q", pattern),
				`a pattern is matched against repository:tag; * stays within a component, ** crosses them: "library/*:v1.*", "**:latest"`)
		}
	}
	switch r.Incomplete {
	case "", SkipIncomplete, TrimIncomplete, Fail:
	default:
		return fmt.Errorf("bad value %q for incomplete: want skip, trim or fail", r.Incomplete)
	}
	if r.Target != nil && r.Target.Project != "" && !storage.ValidRepository(r.Target.Project) {
		return report.WithHint(fmt.Errorf("bad project %q", r.Target.Project),
			"a project is made of lower-case letters and digits, separated by single . _ or -")
	}
	return nil
}

// most is about how many images there will be, where everything is asked for: a
// list that grows step by step takes more than twice its room. Else it is 0.
func (r *Rules) most(x *storage.Index) int {
	if len(r.Include) > 0 || r.Latest > 0 || !r.Since.IsZero() {
		return 0
	}
	n := 0
	for repository := range x.Repositories() {
		n += len(repository.Tags)
	}
	return n
}

// wants tells whether an image passes the globs.
func (r *Rules) wants(ref Reference) bool {
	return (len(r.Include) == 0 || matchAny(r.Include, ref)) && !matchAny(r.Exclude, ref)
}

// concerns tells whether a finding that is about no one image may be about one
// that was asked for. A directory that cannot be read hides what is below it.
func (r *Rules) concerns(f report.Finding) bool {
	if f.Repository == "" {
		return true
	}
	whole := strings.HasSuffix(f.Path, "/"+f.Repository) // the directory, with all that is below
	if !whole && matchAny(r.Exclude, Reference{Repository: f.Repository}) {
		return false
	}
	return len(r.Include) == 0 || slices.ContainsFunc(r.Include, func(pattern string) bool {
		return reaches(pattern, f.Repository)
	})
}

// reaches tells whether a pattern may fit images of a repository or of those
// below it. In doubt it does.
func reaches(pattern, repository string) bool {
	name := pattern
	if at := strings.IndexAny(pattern, ":@"); at >= 0 {
		name = pattern[:at]
	}
	if !doublestar.ValidatePattern(expand(name)) {
		return true // cut in the middle of a {…}
	}
	// A wildcard in the last component may stand for the colon and the tag as well.
	last := name[strings.LastIndex(name, "/")+1:]
	if at := strings.IndexAny(last, `*?[{\`); at >= 0 && Match(strings.TrimSuffix(name, last[at:])+"**", Reference{Repository: repository}) {
		return true
	}
	for at, c := range name + "/" {
		if c != '/' {
			continue
		}
		above := name[:at]
		if !doublestar.ValidatePattern(expand(above)) || Match(above, Reference{Repository: repository}) {
			return true
		}
	}
	return false
}

func matchAny(patterns []string, ref Reference) bool {
	for _, pattern := range patterns {
		if Match(pattern, ref) {
			return true
		}
	}
	return false
}

// Match tells whether a glob fits an image, as repository:tag (or
// repository@digest) or by its repository alone. * and ? stay within a path
// component, ** crosses components wherever it stands.
func Match(pattern string, ref Reference) bool {
	pattern = expand(pattern)
	return doublestar.MatchUnvalidated(pattern, ref.String()) ||
		doublestar.MatchUnvalidated(pattern, ref.Repository)
}

// expand rewrites what doublestar would take otherwise: a ** that shares its
// component with other characters, for a single *; and one at the end, for
// nothing at all, so that "library/**" would fit the repository library.
func expand(pattern string) string {
	parts := strings.Split(pattern, "/")
	for i, part := range parts {
		if part != "**" && strings.Contains(part, "**") {
			parts[i] = strings.ReplaceAll(part, "**", "{*,*/**/*}")
		}
	}
	if last := len(parts) - 1; last > 0 && parts[last] == "**" {
		parts = append(parts, "*")
	}
	return strings.Join(parts, "/")
}
