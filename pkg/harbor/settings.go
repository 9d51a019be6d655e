package harbor

import (
	"path"
	"slices"
)

// Settings say how projects are created. Projects that exist keep their own.
// nil makes them private, with the quota that Harbor gives to all.
type Settings struct {
	Public bool      // of projects for which no rule says it
	Rules  []Setting // the first that fits a project is applied, alone
}

// Setting is how the projects are that fit a pattern.
type Setting struct {
	// Match is a pattern on the project's name, as path.Match has it. Names have no
	// slashes, so * fits all of one.
	Match  string
	Public Known // Unknown: as Settings.Public says
	// Quota is the storage limit, bytes; -1 is none, 0 is Harbor's default.
	Quota int64
	// Metadata are further settings of Harbor's, by their names in its API, such as
	// auto_scan and severity.
	Metadata map[string]string

	line int // in the file it was read from
}

// For gives what applies to a project, with Public decided.
func (s *Settings) For(project string) Setting {
	if s == nil {
		return Setting{Public: No}
	}
	own := Setting{}
	if i := slices.IndexFunc(s.Rules, func(r Setting) bool { return r.fits(project) }); i >= 0 {
		own = s.Rules[i]
	}
	if own.Public == Unknown {
		own.Public = known(s.Public)
	}
	return own
}

// Unused gives the patterns of rules that apply to none of the projects: most
// likely they are misspelt, or stand behind one that takes all.
func (s *Settings) Unused(projects []string) (patterns []string) {
	if s == nil {
		return nil
	}
	used := make([]bool, len(s.Rules))
	for _, project := range projects {
		if i := slices.IndexFunc(s.Rules, func(r Setting) bool { return r.fits(project) }); i >= 0 {
			used[i] = true
		}
	}
	for i, r := range s.Rules {
		if !used[i] {
			patterns = append(patterns, r.Match)
		}
	}
	return patterns
}

func (s Setting) fits(project string) bool {
	matched, err := path.Match(s.Match, project)
	return err == nil && matched
}

// shaped tells whether it wants anything but a project as such.
func (s Setting) shaped() bool { return s.Quota != 0 || len(s.Metadata) > 0 || s.Match != "" }
