package harbor

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// Known is the answer to a question that not every account may ask.
type Known int

// The three answers; the zero value is that there is none.
const (
	Unknown Known = iota
	No
	Yes
)

func known(yes bool) Known {
	if yes {
		return Yes
	}
	return No
}

func (k Known) String() string { return [...]string{"unknown", "no", "yes"}[k] }

// Severity says how much a problem stops.
type Severity int

// From the most to the least.
const (
	StopsAll     Severity = iota // nothing can be pushed
	StopsProject                 // some or all images of these projects cannot
	StopsImages                  // the named images of these projects cannot
	Note                         // nothing is known to be refused
)

func (s Severity) String() string { return [...]string{"everything", "project", "images", "note"}[s] }

// Code names a kind of problem, for programs.
type Code string

// All kinds of problems.
const (
	BadCredentials  Code = "credentials"      // Harbor does not know the account, or its password is another
	ReadOnlyMode    Code = "read-only"        // nobody may push
	Unhealthy       Code = "unhealthy"        // a component of Harbor says so itself
	ProjectMissing  Code = "project-missing"  // and is not to be created
	CreateForbidden Code = "project-creation" // the project is missing, and this account may not create it
	ProxyCache      Code = "proxy-cache"      // nobody can push to a proxy cache
	PushForbidden   Code = "push-right"       // this account may not push, or not pull, which a push needs too
	OverQuota       Code = "quota"            // what would be sent is more than what is left
	QuotaIgnored    Code = "quota-ignored"    // a quota that the settings want is not set for this account
	ImmutableTag    Code = "immutable-tag"    // a rule refuses to give the tag another digest
	PullPolicy      Code = "pull-policy"      // images can be pushed, but not be looked at afterwards
	RetentionPolicy Code = "retention"        // tags may be deleted again
	NotAsked        Code = "unknown"          // something could not be asked
	SettingsIgnored Code = "settings-ignored" // a project was there already, and keeps its settings
)

// Problem is one thing that stands in the way, or may.
type Problem struct {
	Code     Code
	Severity Severity
	Projects []string // sorted; empty where it is about no project
	Detail   string   // a sentence, without its place
	Hint     string   // what to do; may be empty
}

// shownNames is how many names are given before "and N more".
const shownNames = 5

// String is the problem with its place: "projects a, b: nobody can push …".
func (p Problem) String() string {
	switch len(p.Projects) {
	case 0:
		return p.Detail
	case 1:
		return fmt.Sprintf("project %s: %s", p.Projects[0], p.Detail)
	}
	return fmt.Sprintf("projects %s: %s", enumerate(p.Projects), p.Detail)
}

// enumerate names the first few.
func enumerate(names []string) string {
	if more := len(names) - shownNames; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:shownNames], ", "), more)
	}
	return strings.Join(names, ", ")
}

// Err is the problem as an error with its hint.
func (p Problem) Err() error {
	err := errors.New(p.String())
	if p.Hint == "" {
		return err
	}
	return report.WithHint(err, p.Hint)
}

// problems are collected so that what is said of many projects is said once.
type problems []Problem

func (all *problems) add(p Problem) {
	for i := range *all {
		same := &(*all)[i]
		if same.Code == p.Code && same.Severity == p.Severity && same.Detail == p.Detail && same.Hint == p.Hint {
			same.Projects = append(same.Projects, p.Projects...)
			return
		}
	}
	*all = append(*all, p)
}

// sort puts what stops most first.
func (all problems) sort() {
	for i := range all {
		slices.Sort(all[i].Projects)
		all[i].Projects = slices.Compact(all[i].Projects)
	}
	slices.SortFunc(all, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Code, b.Code), slices.Compare(a.Projects, b.Projects), cmp.Compare(a.Detail, b.Detail))
	})
}
