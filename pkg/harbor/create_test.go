package harbor_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor"
	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

var shaped = &harbor.Settings{Public: true, Rules: []harbor.Setting{
	{Match: "team-*", Public: harbor.No, Quota: 1 << 30, Metadata: map[string]string{"auto_scan": "true"}},
	{Match: "free-*", Quota: -1},
}}

// Each account does what it can, and what it lacks is said.
func TestCreateProjects(t *testing.T) {
	for account, want := range map[string][]string{
		"admin":       nil,
		"user":        {"note quota-ignored: team-a", "note quota-ignored: free-a"},
		"robot$maker": {"note unknown: free-a", "note unknown: team-a"}, // it gets one, and may not look
		"robot$sys":   {"note unknown: free-a", "note unknown: team-a"}, // nor this one, which gets none
	} {
		t.Run(account, func(t *testing.T) {
			s := start(t)
			s.SetDefaultQuota(5000)
			failed, notes := detect(t, s, account).CreateProjects(t.Context(), []string{"team-a", "free-a", "plain"}, shaped)
			if len(failed) > 0 {
				t.Fatal(failed)
			}
			got := lines(&harbor.Report{Problems: notes})
			for i := range got {
				got[i], _, _ = strings.Cut(got[i], " (")
			}
			if len(want) != len(got) {
				t.Errorf("notes %v, want %v", notes, want)
			}
			for _, line := range want {
				if !strings.Contains(strings.Join(got, "\n"), line) {
					t.Errorf("notes %v lack %s", got, line)
				}
			}
			limits := preflight(t, s, harbor.Ask{Username: "admin", Projects: []harbor.Need{
				{Name: "team-a", Bytes: 1}, {Name: "free-a", Bytes: 1}, {Name: "plain", Bytes: 1},
			}})
			honoured := account == "admin" || account == "robot$maker"
			if p := of(limits, "team-a"); p.Public != harbor.No || (p.Limit == 1<<30) != honoured {
				t.Errorf("%+v", p)
			}
			if p := of(limits, "free-a"); p.Public != harbor.Yes || (p.Quota == harbor.No) != honoured {
				t.Errorf("%+v", p)
			}
			if p := of(limits, "plain"); p.Public != harbor.Yes || p.Limit != 5000 {
				t.Errorf("%+v", p)
			}
		})
	}
}

func TestCreateProjectsWords(t *testing.T) {
	s := start(t)
	_, notes := detect(t, s, "user").CreateProjects(t.Context(), []string{"team-a"}, shaped)
	if len(notes) != 1 || notes[0].Hint == "" ||
		notes[0].String() != "project team-a: it was created, but with no quota instead of a quota of 1.0 GiB: Harbor takes quotas from administrators alone" {
		t.Errorf("%v", notes)
	}
}

// Someone else is faster: no error, but the settings were not applied.
func TestCreateProjectsRace(t *testing.T) {
	s := start(t)
	h := detect(t, s, "admin")
	s.CreateProject("team-a", harbortest.Project{})
	failed, notes := h.CreateProjects(t.Context(), []string{"team-a", "mig"}, shaped)
	if len(failed) != 0 {
		t.Error(failed)
	}
	diff(t, []string{"note settings-ignored: team-a"}, lines(&harbor.Report{Problems: notes}))
}

func TestCreateProjectsRefused(t *testing.T) {
	s := start(t)
	failed, notes := detect(t, s, "robot$mig+pr").CreateProjects(t.Context(), []string{"a", "b"}, nil)
	for _, name := range []string{"a", "b"} {
		if err := failed[name]; !errors.Is(err, harbor.ErrForbidden) || !strings.Contains(report.Advice(err), "administrator") {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.SetReadOnly(true)
	failed, notes2 := detect(t, s, "admin").CreateProjects(t.Context(), []string{"a"}, shaped)
	if err := failed["a"]; !errors.Is(err, harbor.ErrForbidden) || !strings.Contains(report.Advice(err), "read-only mode") {
		t.Errorf("%v", err)
	}
	if len(notes)+len(notes2) > 0 {
		t.Errorf("%v, %v", notes, notes2)
	}
}

// What is sent is what Harbor's API takes: settings as strings, and no storage
// limit unless one is wanted.
func TestCreateProjectsBody(t *testing.T) {
	s := start(t)
	h := detect(t, s, "admin")
	bodies := map[string]bool{}
	s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			body := make([]byte, 4096)
			n, _ := r.Body.Read(body)
			bodies[string(body[:n])] = true
			w.WriteHeader(http.StatusCreated)
		}
		return r.Method == http.MethodPost
	})
	for _, name := range []string{"team-a", "free-a", "plain"} {
		h.CreateProjects(t.Context(), []string{name}, shaped)
	}
	h.CreateProjects(t.Context(), []string{"alone"}, nil)
	diff(t, map[string]bool{
		`{"project_name":"team-a","metadata":{"auto_scan":"true","public":"false"},"storage_limit":1073741824}`: true,
		`{"project_name":"free-a","metadata":{"public":"true"},"storage_limit":-1}`:                             true,
		`{"project_name":"plain","metadata":{"public":"true"}}`:                                                 true,
		`{"project_name":"alone","metadata":{"public":"false"}}`:                                                true,
	}, bodies)
}
