package harbor_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor"
	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/push"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

const password, adminPassword = "sEcReT", "Harbor12345"

// start starts a Harbor with one account of each kind, and the project mig.
func start(t *testing.T) *harbortest.Server {
	t.Helper()
	s, err := harbortest.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.CreateProject("mig", harbortest.Project{})
	s.AddUser("user", password)
	s.AddRobot("robot$mig+pr", password, harbortest.Robot{Projects: []string{"mig"}})
	s.AddRobot("robot$sys", password, harbortest.Robot{System: true, AllProjects: true})
	s.AddRobot("robot$maker", password, harbortest.Robot{System: true, AllProjects: true, CanCreateProjects: true})
	return s
}

var accounts = []string{"admin", "user", "robot$mig+pr", "robot$sys", "robot$maker"}

func dial(t *testing.T, host, username string) *push.Registry {
	t.Helper()
	opts := &push.Options{Username: username, Password: password, RetryDelay: time.Millisecond, RetryTimes: 2}
	if username == "admin" {
		opts.Password = adminPassword
	}
	opts.AuthFile = filepath.Join(t.TempDir(), "auth.json")
	if err := os.WriteFile(opts.AuthFile, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := push.Dial(t.Context(), plan.Destination{Host: host, PlainHTTP: true}, opts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func detect(t *testing.T, s *harbortest.Server, username string) *harbor.Harbor {
	t.Helper()
	h, err := harbor.Detect(t.Context(), dial(t, s.Host(), username))
	if err != nil || h == nil {
		t.Fatalf("%v, %v", h, err)
	}
	return h
}

func TestDetect(t *testing.T) {
	registry := func(answer http.HandlerFunc) string {
		mux := http.NewServeMux()
		mux.HandleFunc("/v2/", func(http.ResponseWriter, *http.Request) {})
		mux.HandleFunc("/", answer)
		s := httptest.NewServer(mux)
		t.Cleanup(s.Close)
		return s.Listener.Addr().String()
	}
	say := func(status int, contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	for _, test := range []struct {
		name, host string
		want, err  bool
	}{
		{"Harbor", start(t).Host(), true, false},
		{"plain registry", registry(http.NotFound), false, false},
		{"a page", registry(say(200, "text/html", "<html>")), false, false},
		{"a page that says it is JSON", registry(say(200, "application/json", "<html>")), false, false},
		{"other JSON", registry(say(200, "application/json", `{"status":"up"}`)), false, false},
		{"not implemented", registry(say(501, "text/plain", "")), false, false},
		{"forbidden", registry(say(403, "application/json", "{}")), false, false},
		{"a Harbor that is down", registry(say(502, "text/html", "<html>")), false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, err := harbor.Detect(t.Context(), dial(t, test.host, ""))
			if (h != nil) != test.want || (err != nil) != test.err {
				t.Errorf("got %+v, %v", h, err)
			}
		})
	}
	if h := detect(t, start(t), "admin"); !strings.HasPrefix(h.Version, "v2.") || h.ReadOnly || h.Storage != "filesystem" {
		t.Errorf("as administrator: %+v", h)
	}
}

func TestProjectExists(t *testing.T) {
	s := start(t)
	s.CreateProject("42", harbortest.Project{})
	for _, name := range accounts {
		h := detect(t, s, name)
		got := map[string]bool{}
		for _, p := range []string{"mig", "library", "42", "nope", "1"} {
			exists, err := h.ProjectExists(t.Context(), p)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			got[p] = exists
		}
		if diff := cmp.Diff(map[string]bool{"mig": true, "library": true, "42": true, "nope": false, "1": false}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		missing, err := h.Missing(t.Context(), []string{"z", "mig", "a", "z"})
		if diff := cmp.Diff([]string{"a", "z"}, missing); diff != "" || err != nil {
			t.Errorf("%s: missing (-want +got), %v:\n%s", name, err, diff)
		}
	}
	if _, err := detect(t, s, "").ProjectExists(t.Context(), "mig"); err == nil || !strings.Contains(err.Error(), "looking up project mig: 401") {
		t.Errorf("nobody: %v", err)
	}
}

func TestCreateProject(t *testing.T) {
	for _, test := range []struct {
		account, restriction, project string
		want                          string // in the error; empty for none
		forbidden                     bool
	}{
		{"admin", harbortest.AdminOnly, "new", "", false},
		{"user", harbortest.Everyone, "new", "", false},
		{"user", harbortest.AdminOnly, "new", "Only system admin can create project", true},
		{"robot$mig+pr", harbortest.Everyone, "new", "Only system level robot can create project", true},
		{"robot$sys", harbortest.Everyone, "new", "", false},
		{"robot$sys", harbortest.AdminOnly, "new", "403 Forbidden", true},
		{"robot$maker", harbortest.AdminOnly, "new", "", false},
		{"", harbortest.Everyone, "new", "401 Unauthorized", true},
		{"admin", harbortest.Everyone, "mig", "", false}, // someone was faster
		{"admin", harbortest.Everyone, "Bad_Name", "illegal characters", false},
		{"admin", harbortest.Everyone, "", "400 Bad Request", false},
		{"admin", harbortest.Everyone, strings.Repeat("x", 256), "422", false},
	} {
		t.Run(test.account+" "+test.restriction+" "+test.project[:min(len(test.project), 10)], func(t *testing.T) {
			s := start(t)
			s.SetProjectCreationRestriction(test.restriction)
			err := detect(t, s, test.account).CreateProject(t.Context(), test.project, false)
			if test.want == "" && err != nil {
				t.Fatal(err)
			}
			if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), password)) {
				t.Errorf("error %v, want %q in it", err, test.want)
			}
			if got := errors.Is(err, harbor.ErrForbidden); got != test.forbidden || (report.Advice(err) != "") != test.forbidden {
				t.Errorf("forbidden %t, want %t; hint %q", got, test.forbidden, report.Advice(err))
			}
			exists, err := detect(t, s, "admin").ProjectExists(t.Context(), test.project)
			if err != nil || exists != (test.want == "") {
				t.Errorf("exists %t: %v", exists, err)
			}
		})
	}
}

func TestCreateRace(t *testing.T) {
	s := start(t)
	h := detect(t, s, "admin")
	var wg sync.WaitGroup
	var failed atomic.Int64
	for range 16 {
		wg.Go(func() {
			if err := h.CreateProject(t.Context(), "new", true); err != nil {
				failed.Add(1)
			}
		})
	}
	wg.Wait()
	if n := failed.Load(); n > 0 {
		t.Errorf("%d of 16 failed", n)
	}
	failures, _ := h.CreateProjects(t.Context(), []string{"one", "Two", "three"}, nil)
	if len(failures) != 1 || failures["Two"] == nil {
		t.Errorf("failures %v", failures)
	}
}

// What fails in passing is repeated.
func TestRetry(t *testing.T) {
	s := start(t)
	h := detect(t, s, "admin")
	var n atomic.Int64
	s.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		if n.Add(1) > 1 {
			return false
		}
		w.WriteHeader(http.StatusBadGateway)
		return true
	})
	if err := h.CreateProject(t.Context(), "new", false); err != nil {
		t.Error(err)
	}
	if n.Load() != 2 {
		t.Errorf("%d requests, want 2", n.Load())
	}
}

func TestAddTag(t *testing.T) {
	s := start(t)
	r := dial(t, s.Host(), "admin")
	h, err := harbor.Detect(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	for _, repository := range []string{"mig/app", "mig/a/b/c/d", "mig/a__b.c-d"} {
		d := putEmpty(t, r, repository)
		if err := h.AddTag(t.Context(), repository, "v1", d); err != nil {
			t.Error(err)
			continue
		}
		got, err := r.Resolve(t.Context(), plan.Reference{Repository: repository, Tag: "v1"})
		if err != nil || got != d {
			t.Errorf("%s has %s: %v, want %s", repository, got, err, d)
		}
		err = h.AddTag(t.Context(), repository, "v1", d)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("tagging %s:v1: 409", repository)) {
			t.Errorf("a tag that is there: %v", err)
		}
	}
	if err := h.AddTag(t.Context(), "mig/nope", "v1", digest.FromString("nothing")); err == nil {
		t.Error("an artifact that is not there was tagged")
	}
}

// putEmpty pushes an index of nothing.
func putEmpty(t *testing.T, r *push.Registry, repository string) digest.Digest {
	t.Helper()
	content := []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`)
	d := digest.FromBytes(content)
	dest := r.Destination(plan.Reference{Repository: repository, Digest: d})
	defer dest.Close()
	if err := dest.PutManifest(t.Context(), content, nil); err != nil {
		t.Fatal(err)
	}
	return d
}

func FuzzDetect(f *testing.F) {
	f.Add([]byte(`{"auth_mode":"db_auth","harbor_version":"v2.15.2-080b0220","read_only":false}`))
	f.Add([]byte(`{"auth_mode":1}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := harbor.Detect(t.Context(), fixed(body)); err != nil {
			t.Error(err)
		}
	})
}
