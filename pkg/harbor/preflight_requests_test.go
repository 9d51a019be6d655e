package harbor_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor"
	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
)

// Many projects cost few requests, none of which changes anything.
func TestPreflightRequests(t *testing.T) {
	s := startFull(t)
	ask := harbor.Ask{Username: "admin", Create: true}
	for n := range 150 {
		name := fmt.Sprintf("team-%03d", n)
		s.CreateProject(name, harbortest.Project{})
		s.AddMember(name, "dev", harbortest.Developer)
		ask.Projects = append(ask.Projects, harbor.Need{Name: name, Bytes: 1})
	}
	ask.Projects = append(ask.Projects, harbor.Need{Name: "new", Bytes: 1}, harbor.Need{Name: "42"})
	s.CreateProject("42", harbortest.Project{})
	count := func(account string) map[string]int {
		h := detect(t, s, account)
		seen := watch(s)
		ask.Username = account
		r, err := h.Preflight(t.Context(), ask)
		if err != nil || len(r.Projects) != 152 {
			t.Fatalf("%+v, %v", r, err)
		}
		counts := map[string]int{}
		for _, request := range seen() {
			if strings.HasSuffix(request, "/summary") {
				request = "GET summary"
			}
			counts[request]++
		}
		return counts
	}
	diff(t, map[string]int{
		"GET users/current": 1, "GET health": 1, "GET projects": 4, "HEAD projects": 1, "GET configurations": 1, "GET quotas": 2,
	}, count("admin"))
	diff(t, map[string]int{
		"GET users/current": 1, "GET health": 1, "GET projects": 4, "HEAD projects": 2, "GET /service/token": 4, "GET summary": 150,
	}, count("dev"))
	ask.Projects = ask.Projects[:2]
	for n := range 300 { // two of many: the rest is not worth listing
		s.CreateProject(fmt.Sprintf("other-%03d", n), harbortest.Project{})
	}
	h := detect(t, s, "admin")
	seen := watch(s)
	if _, err := h.Preflight(t.Context(), ask); err != nil {
		t.Fatal(err)
	}
	asked := seen()
	slices.Sort(asked)
	diff(t, []string{
		"GET configurations", "GET health", "GET projects", "GET projects/team-000/summary", "GET projects/team-001/summary", "GET quotas", "GET users/current",
	}, asked)
}

// A Harbor that does not know how to list by name lists the first hundred of
// all: of the others it is known that they exist, and said that no more is.
func TestPreflightOldHarbor(t *testing.T) {
	s := startFull(t)
	for n := range 120 {
		s.CreateProject(fmt.Sprintf("a-%03d", n), harbortest.Project{})
	}
	h := detect(t, s, "admin")
	s.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		query := r.URL.Query()
		query.Del("q")
		r.URL.RawQuery = query.Encode()
		return false
	})
	r, err := h.Preflight(t.Context(), harbor.Ask{Username: "admin", Projects: []harbor.Need{{Name: "a-001"}, {Name: "mig"}, {Name: "new"}}})
	if err != nil {
		t.Fatal(err)
	}
	diff(t, []string{"project project-missing: new", "note unknown: mig (whether it is a proxy cache, and which policies it has)"}, lines(r))
	if of(r, "a-001").ProxyCache != harbor.No || of(r, "mig").Exists != harbor.Yes || of(r, "mig").ProxyCache != harbor.Unknown {
		t.Errorf("%+v", r.Projects)
	}
}
