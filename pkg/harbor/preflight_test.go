package harbor_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor"
	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// startFull starts a Harbor with a project of each sort and an account of each
// kind.
func startFull(t *testing.T) *harbortest.Server {
	s := start(t)
	s.CreateProject("cache", harbortest.Project{ProxyCache: true, Public: true})
	s.CreateProject("kept", harbortest.Project{Public: true, Retention: &harbortest.Retention{Cron: "0 0 0 * * *"}})
	s.CreateProject("open", harbortest.Project{Public: true})
	s.CreateProject("strict", harbortest.Project{Metadata: map[string]string{"prevent_vul": "true", "enable_content_trust_cosign": "true"}})
	s.CreateProject("tight", harbortest.Project{StorageLimit: 4096})
	s.AddUser("dev", password)
	for _, project := range []string{"mig", "tight", "kept"} {
		s.AddMember(project, "dev", harbortest.Developer)
	}
	s.AddUser("guest", password)
	s.AddMember("mig", "guest", harbortest.Guest)
	s.AddGroupAdmin("boss", password)
	s.AddRobot("robot$asker", password, harbortest.Robot{System: true, AllProjects: true,
		Rights: []string{"quota:list", "project:read", "quota:read", "immutable-tag:list", "tag-retention:read"}})
	s.AddRobot("bot-deploy", password, harbortest.Robot{Projects: []string{"mig"}})
	s.AddRobot("robot$pusher", password, harbortest.Robot{System: true, Projects: []string{"mig"}, Actions: []string{"push"}})
	return s
}

// everything asks about all of them, and about two that are missing.
func everything(username string, create bool) harbor.Ask {
	ask := harbor.Ask{Username: username, Create: create}
	for _, name := range []string{"tight", "strict", "open", "new-b", "new-a", "mig", "kept", "cache"} {
		ask.Projects = append(ask.Projects, harbor.Need{Name: name, Bytes: 5000})
	}
	return ask
}

func preflight(t *testing.T, s *harbortest.Server, ask harbor.Ask) *harbor.Report {
	t.Helper()
	r, err := detect(t, s, ask.Username).Preflight(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// lines writes problems as "severity code: projects", and those of what could
// not be asked with the question.
func lines(r *harbor.Report) (all []string) {
	for _, p := range r.Problems {
		line := fmt.Sprintf("%s %s: %s", p.Severity, p.Code, strings.Join(p.Projects, " "))
		if p.Code == harbor.NotAsked {
			question, _, _ := strings.Cut(p.Detail, " is not known: ")
			line += " (" + question + ")"
		}
		all = append(all, line)
	}
	return all
}

func diff(t *testing.T, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

const (
	quotaQuestion     = "(how much it may still take)"
	retentionQuestion = "(whether its retention policy deletes tags)"
)

// The same plan, asked as everyone: what each is told, and what it must not
// take for granted.
func TestPreflightAccounts(t *testing.T) {
	policies := []string{"note pull-policy: strict", "note pull-policy: strict"}
	for _, tt := range []struct {
		account, restriction string
		kind                 harbor.Kind
		mayCreate            harbor.Known
		want                 []string
	}{
		{"admin", harbortest.AdminOnly, harbor.Administrator, harbor.Yes, append([]string{
			"project proxy-cache: cache", "project quota: tight"}, append(policies, "note retention: kept")...)},
		{"boss", harbortest.AdminOnly, harbor.Administrator, harbor.Yes, append([]string{
			"project proxy-cache: cache", "project quota: tight"}, append(policies, "note retention: kept")...)},
		{"user", harbortest.Everyone, harbor.User, harbor.Yes, []string{
			"project proxy-cache: cache", "project push-right: kept mig open strict tight",
			"note unknown: new-a new-b (which quota it will get)"}},
		{"user", harbortest.AdminOnly, harbor.User, harbor.No, []string{
			"project project-creation: new-a new-b", "project proxy-cache: cache", "project push-right: kept mig open strict tight"}},
		{"dev", harbortest.Everyone, harbor.User, harbor.Yes, []string{
			"project proxy-cache: cache", "project push-right: open strict", "project quota: tight", "note retention: kept",
			"note unknown: new-a new-b (which quota it will get)"}},
		{"guest", harbortest.Everyone, harbor.User, harbor.Yes, []string{
			"project proxy-cache: cache", "project push-right: kept mig open strict tight",
			"note unknown: new-a new-b (which quota it will get)"}},
		{"robot$mig+pr", harbortest.Everyone, harbor.Robot, harbor.No, []string{
			"project project-creation: new-a new-b", "project proxy-cache: cache", "project push-right: kept open strict tight",
			"note unknown: mig " + quotaQuestion}},
		{"robot$sys", harbortest.Everyone, harbor.Robot, harbor.Yes, append([]string{"project proxy-cache: cache"}, append(policies,
			"note unknown: mig strict tight "+quotaQuestion, "note unknown: kept open "+quotaQuestion,
			"note unknown: kept "+retentionQuestion,
			"note unknown: new-a new-b (which quota it will get)")...)},
		{"robot$maker", harbortest.AdminOnly, harbor.Robot, harbor.Unknown, append([]string{"project proxy-cache: cache"}, append(policies,
			"note unknown: mig strict tight "+quotaQuestion, "note unknown: kept open "+quotaQuestion,
			"note unknown: kept "+retentionQuestion,
			"note unknown: new-a new-b (whether this account may create it)",
			"note unknown: new-a new-b (which quota it will get)")...)},
		{"robot$asker", harbortest.Everyone, harbor.Robot, harbor.Yes, append([]string{"project proxy-cache: cache", "project quota: tight"},
			append(policies, "note retention: kept", "note unknown: new-a new-b (which quota it will get)")...)},
		{"bot-deploy", harbortest.Everyone, harbor.Robot, harbor.Yes, []string{ // its name does not tell that it is mig's alone
			"project proxy-cache: cache", "project push-right: kept open strict tight",
			"note unknown: mig " + quotaQuestion,
			"note unknown: new-a new-b (which quota it will get)"}},
		{"robot$pusher", harbortest.Everyone, harbor.Robot, harbor.Yes, []string{ // it may push to mig, but not pull
			"project proxy-cache: cache", "project push-right: kept mig open strict tight",
			"note unknown: new-a new-b (which quota it will get)"}},
	} {
		t.Run(tt.account+" "+tt.restriction, func(t *testing.T) {
			s := startFull(t)
			s.SetProjectCreationRestriction(tt.restriction)
			r := preflight(t, s, everything(tt.account, true))
			slices.Sort(tt.want)
			got := lines(r)
			slices.Sort(got)
			diff(t, tt.want, got)
			if r.Account != (harbor.Account{Name: tt.account, Kind: tt.kind}) || r.MayCreate != tt.mayCreate {
				t.Errorf("account %+v, may create %s; want %s, %s", r.Account, r.MayCreate, tt.kind, tt.mayCreate)
			}
			if r.Stopped() || r.ReadOnly != harbor.No || r.Healthy != harbor.Yes || r.Version == "" {
				t.Errorf("%+v", r)
			}
			for _, p := range r.Projects {
				if missing := strings.HasPrefix(p.Name, "new-"); p.Exists != map[bool]harbor.Known{true: harbor.No, false: harbor.Yes}[missing] {
					t.Errorf("%s exists: %s", p.Name, p.Exists)
				}
			}
			for _, p := range r.Problems {
				if (p.Hint == "") != (p.Code == harbor.NotAsked) || p.Detail == "" || strings.Contains(p.Detail, password) {
					t.Errorf("%+v", p)
				}
			}
		})
	}
}

func TestPreflightFacts(t *testing.T) {
	s := startFull(t)
	r := preflight(t, s, everything("admin", true))
	got := map[string]string{}
	for _, p := range r.Projects {
		got[p.Name] = fmt.Sprintf("exists %s public %s cache %s push %s quota %s %d/%d", p.Exists, p.Public, p.ProxyCache, p.MayPush, p.Quota, p.Used, p.Limit)
	}
	diff(t, map[string]string{
		"cache":  "exists yes public yes cache yes push yes quota unknown 0/0",
		"kept":   "exists yes public yes cache no push yes quota no 0/0",
		"mig":    "exists yes public no cache no push yes quota no 0/0",
		"new-a":  "exists no public unknown cache unknown push unknown quota no 0/0",
		"new-b":  "exists no public unknown cache unknown push unknown quota no 0/0",
		"open":   "exists yes public yes cache no push yes quota no 0/0",
		"strict": "exists yes public no cache no push yes quota no 0/0",
		"tight":  "exists yes public no cache no push yes quota yes 0/4096",
	}, got)
	refused := r.Refused()
	if len(refused) != 1 || report.Advice(refused["cache"]) == "" || !strings.Contains(refused["cache"].Error(), "project cache: it is a proxy cache") {
		t.Errorf("refused: %v", refused)
	}
	if want := "project tight: it may hold 4.0 KiB, and holds 0 B; up to 4.9 KiB would be sent to it"; r.Problems[1].String() != want {
		t.Errorf("%s, want %s", r.Problems[1], want)
	}
}

func TestPreflightCredentials(t *testing.T) {
	s := startFull(t)
	s.AddRobot("robot$gone", "another", harbortest.Robot{System: true})
	for name, want := range map[string]string{
		"robot$gone": "Harbor refuses the user name or password of robot$gone: 401 Unauthorized",
		"stranger":   "Harbor refuses the user name or password of stranger: 401 Unauthorized",
		"":           "Harbor is asked as nobody",
	} {
		t.Run(name, func(t *testing.T) {
			h, err := harbor.Detect(t.Context(), dialUnchecked(s, name, password))
			if err != nil {
				t.Fatal(err)
			}
			seen := watch(s)
			r, err := h.Preflight(t.Context(), everything(name, true))
			if err != nil || !r.Stopped() || len(r.Problems) != 1 || r.Problems[0].Code != harbor.BadCredentials || r.Problems[0].Hint == "" {
				t.Fatalf("%+v, %v", r, err)
			}
			if !strings.HasPrefix(r.Problems[0].String(), want) || strings.Contains(r.Problems[0].String(), password) {
				t.Errorf("%s, want %s", r.Problems[0], want)
			}
			diff(t, []string{"GET users/current"}, seen())
			for _, p := range r.Projects {
				if p.Exists != harbor.Unknown || p.MayPush != harbor.Unknown {
					t.Errorf("%+v is taken for known", p)
				}
			}
		})
	}
}

func TestPreflightSingleSignOn(t *testing.T) {
	s := start(t)
	s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/api/v2.0/systeminfo" {
			return false
		}
		answerJSON(w, http.StatusOK, `{"auth_mode":"oidc_auth","oidc_provider_name":"corp"}`)
		return true
	})
	h, err := harbor.Detect(t.Context(), dialUnchecked(s, "jane", "of the sign-on"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := h.Preflight(t.Context(), harbor.Ask{Username: "jane"})
	if err != nil || !r.Stopped() || !strings.Contains(r.Problems[0].Hint, "CLI secret") {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestPreflightState(t *testing.T) {
	ask := harbor.Ask{Username: "admin", Projects: []harbor.Need{{Name: "mig"}}}
	t.Run("read-only", func(t *testing.T) {
		s := start(t)
		s.SetReadOnly(true)
		r := preflight(t, s, ask)
		diff(t, []string{"everything read-only: "}, lines(r))
		if !r.Stopped() || r.ReadOnly != harbor.Yes {
			t.Errorf("%+v", r)
		}
	})
	for component, want := range map[string]string{
		"registry": "everything unhealthy: ", "database": "everything unhealthy: ", "redis": "everything unhealthy: ",
		"jobservice": "note unhealthy: ", "registryctl": "note unhealthy: ", "portal": "note unhealthy: ",
	} {
		t.Run(component, func(t *testing.T) {
			s := start(t)
			s.SetUnhealthy(component, "dial tcp: \x1b[31mno route")
			r := preflight(t, s, ask)
			diff(t, []string{want}, lines(r))
			if r.Healthy != harbor.No || !strings.Contains(r.Problems[0].Detail, component) || strings.Contains(r.Problems[0].Detail, "\x1b") {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestPreflightMissingProjects(t *testing.T) {
	s := startFull(t)
	r := preflight(t, s, harbor.Ask{Username: "admin", Projects: []harbor.Need{{Name: "new"}, {Name: "mig"}, {Name: "new"}}})
	diff(t, []string{"project project-missing: new"}, lines(r))
	if len(r.Projects) != 2 {
		t.Errorf("projects %+v", r.Projects)
	}
}

func indexWith(annotation string) []byte {
	return fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"manifests":[],"annotations":{"n":%q}}`, ocispec.MediaTypeImageIndex, annotation)
}
