package plan

import (
	"fmt"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
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
		return nil
	}
	return fmt.Errorf("bad value %q for incomplete: want skip, trim or fail", r.Incomplete)
}

// wants tells whether an image passes the globs.
func (r *Rules) wants(ref Reference) bool {
	return (len(r.Include) == 0 || matchAny(r.Include, ref)) && !matchAny(r.Exclude, ref)
}

// concerns tells whether a finding about a repository as a whole, or about the
// tree, is about what was asked for.
func (r *Rules) concerns(repository string) bool {
	if repository == "" || len(r.Include) == 0 {
		return true
	}
	for _, pattern := range r.Include {
		name, _, _ := strings.Cut(pattern, ":")
		if Match(name, Reference{Repository: repository}) {
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

// expand rewrites a ** that shares its component with other characters, which
// doublestar would take for a single *.
func expand(pattern string) string {
	parts := strings.Split(pattern, "/")
	for i, part := range parts {
		if part != "**" && strings.Contains(part, "**") {
			parts[i] = strings.ReplaceAll(part, "**", "{*,*/**/*}")
		}
	}
	return strings.Join(parts, "/")
}
