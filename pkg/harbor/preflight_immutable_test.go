package harbor_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor"
	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
)

func TestPreflightImmutable(t *testing.T) {
	rules := func(rules ...harbortest.ImmutableRule) harbortest.Project { return harbortest.Project{Rules: rules} }
	s := startFull(t)
	s.CreateProject("all", rules(harbortest.ImmutableRule{Repositories: "**", Tags: "**"}))
	s.CreateProject("some", rules(
		harbortest.ImmutableRule{Repositories: "**", Tags: "**", Disabled: true},
		harbortest.ImmutableRule{Repositories: "web/**", Tags: "{v*,release-*}"},
		harbortest.ImmutableRule{Repositories: "web/**", Tags: "latest", ExceptTags: true, ExceptRepositories: true},
	))
	s.CreateProject("bad", rules(harbortest.ImmutableRule{Repositories: "[", Tags: "**"}))
	s.AddMember("all", "dev", harbortest.Developer)
	s.AddMember("some", "dev", harbortest.Maintainer)
	ask := func(account string) harbor.Ask {
		a := harbor.Ask{Username: account}
		for _, project := range []string{"all", "some", "bad", "mig"} {
			n := harbor.Need{Name: project}
			for _, repository := range []string{"/app", "/web/front"} {
				for _, tag := range []string{"v1", "release-2", "latest", "main"} {
					n.Replaced = append(n.Replaced, harbor.Tag{Repository: project + repository, Name: tag})
				}
			}
			a.Projects = append(a.Projects, n)
		}
		return a
	}
	r := preflight(t, s, ask("admin"))
	diff(t, []string{"images immutable-tag: all", "images immutable-tag: some", "note unknown: bad (which of its tags are immutable)"}, lines(r))
	got := map[string]string{}
	for _, p := range r.Projects {
		got[p.Name] = fmt.Sprintf("%s%v", p.ImmutableChecked, p.Immutable)
	}
	diff(t, map[string]string{
		"all":  "yes[all/app:v1 all/app:release-2 all/app:latest all/app:main all/web/front:v1 all/web/front:release-2 all/web/front:latest all/web/front:main]",
		"some": "yes[some/app:v1 some/app:release-2 some/app:main some/web/front:v1 some/web/front:release-2]",
		"bad":  "unknown[]",
		"mig":  "yes[]",
	}, got)
	if want := "project some: rules make 5 tags immutable that have another digest there: some/app:v1, some/app:release-2, some/app:main, some/web/front:v1, some/web/front:release-2"; r.Problems[1].String() != want {
		t.Errorf("%s, want %s", r.Problems[1], want)
	}
	if !strings.Contains(r.Problems[0].Detail, "and 3 more") || len(r.Refused()) != 0 {
		t.Errorf("%s; refused %v", r.Problems[0], r.Refused())
	}
	// A developer may not read the rules, a maintainer may.
	diff(t, []string{
		"project push-right: bad", "images immutable-tag: some", "note unknown: all mig (which of its tags are immutable)",
	}, lines(preflight(t, s, ask("dev"))))
}

// What preflight says of immutable tags is what becomes of them.
func TestPreflightImmutableComesTrue(t *testing.T) {
	s := startFull(t)
	r := dial(t, s.Host(), "admin")
	putTagged(t, r, "mig/app", "v1", "1")
	putTagged(t, r, "mig/app", "main", "1")
	s.CreateProject("mig", harbortest.Project{Rules: []harbortest.ImmutableRule{{Repositories: "app", Tags: "v*"}}})
	report := preflight(t, s, harbor.Ask{Username: "admin", Projects: []harbor.Need{
		{Name: "mig", Replaced: []harbor.Tag{{Repository: "mig/app", Name: "v1"}, {Repository: "mig/app", Name: "main"}}},
	}})
	diff(t, []harbor.Tag{{Repository: "mig/app", Name: "v1"}}, report.Projects[0].Immutable)
	if err := tryPut(t, r, "mig/app", "v1", "2"); err == nil || !strings.Contains(err.Error(), "immutable") {
		t.Errorf("v1 was replaced: %v", err)
	}
	if err := tryPut(t, r, "mig/app", "main", "2"); err != nil {
		t.Error(err)
	}
}
