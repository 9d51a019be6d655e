package harbortest_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
)

func TestMissingProject(t *testing.T) {
	s := start(t, nil)
	for name, c := range map[string]*client{"basic": admin(t, s), "bearer": admin(t, s).bearer(push("nope/app"))} {
		t.Run(name, func(t *testing.T) {
			resp := c.do("POST", "/v2/nope/app/blobs/uploads/", "").want(t, 401, "project nope not found: project nope not found")
			if v, ok := resp.header["Www-Authenticate"]; !ok || v[0] != "" {
				t.Errorf("Www-Authenticate %q, want it empty", v)
			}
			c.head("nope/app", "v1").want(t, 401)
		})
	}
}

func TestProjectNames(t *testing.T) {
	tests := map[string]int{
		"a-b": 201, "a_b": 201, "a.b": 201, "1": 201, strings.Repeat("a", 255): 201,
		"": 400, "Bad": 400, "a b": 400, "a/b": 400, "-a": 400, "a-": 400, "a__b": 400, "a..b": 400, "a---b": 400, "a._b": 400,
		strings.Repeat("a", 256): 422,
	}
	s := start(t, nil)
	for name, status := range tests {
		words := ""
		if status == 400 {
			words = "project name is not in lower case or contains illegal characters"
		}
		admin(t, s).createProject(name).want(t, status, words)
	}
}

func TestProjectNamedLikeAnID(t *testing.T) {
	s := start(t, nil)
	s.CreateProject("1", harbortest.Project{})
	admin(t, s).do("GET", "/api/v2.0/projects/1", "").want(t, 200, `"name":"library"`)
	admin(t, s).do("GET", "/api/v2.0/projects/1", "", "X-Is-Resource-Name", "true").want(t, 200, `"name":"1"`)
}

func TestConcurrentCreation(t *testing.T) {
	s := start(t, nil)
	var mu sync.Mutex
	got := map[int]int{}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			status := admin(t, s).createProject("new").status
			mu.Lock()
			defer mu.Unlock()
			got[status]++
		})
	}
	wg.Wait()
	if got[201] != 1 || got[409] != 15 {
		t.Errorf("statuses %v, want one 201 and fifteen 409", got)
	}
}

// accounts adds one of each kind and returns their clients.
func accounts(t *testing.T, s *harbortest.Server) map[string]*client {
	s.AddUser("jane", "pw")
	s.AddRobot("robot$mig+pr", "pw", harbortest.Robot{Projects: []string{"mig"}})
	s.AddRobot("robot$sys", "pw", harbortest.Robot{System: true, AllProjects: true})
	s.AddRobot("robot$maker", "pw", harbortest.Robot{System: true, CanCreateProjects: true})
	all := map[string]*client{"admin": admin(t, s), "anonymous": anonymous(t, s)}
	for _, name := range []string{"jane", "robot$mig+pr", "robot$sys", "robot$maker"} {
		all[name] = basic(t, s, name, "pw")
	}
	return all
}

func TestWhoCreatesProjects(t *testing.T) {
	tests := []struct {
		name, who         string
		everyone, limited int
		words             string
	}{
		{"admin", "admin", 201, 201, ""},
		{"user", "jane", 201, 403, "Only system admin can create project"},
		{"project robot", "robot$mig+pr", 403, 403, "Only system level robot can create project"},
		{"system robot", "robot$sys", 201, 403, "Only system admin can create project"},
		{"system robot with the right", "robot$maker", 201, 201, ""},
		{"nobody", "anonymous", 401, 401, "unauthorized"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, nil)
			c := accounts(t, s)[tt.who]
			c.createProject("one").want(t, tt.everyone)
			s.SetProjectCreationRestriction(harbortest.AdminOnly)
			c.createProject("two").want(t, tt.limited, tt.words)
		})
	}
}

func TestWhoSeesProjects(t *testing.T) {
	s := start(t, nil)
	for name, c := range accounts(t, s) {
		exists, missing := 200, 404
		if name == "anonymous" {
			exists, missing = 401, 401
		}
		c.do("HEAD", "/api/v2.0/projects?project_name=mig", "").want(t, exists)
		c.do("HEAD", "/api/v2.0/projects?project_name=nope", "").want(t, missing)
		if strings.HasPrefix(name, "robot$") {
			c.do("GET", "/api/v2.0/projects/nope", "").want(t, 403)
			c.do("GET", "/api/v2.0/quotas?reference=project", "").want(t, 403, name)
		}
	}
}

func TestStorageLimitOnCreation(t *testing.T) {
	s := start(t, nil)
	all := accounts(t, s)
	create := func(who, name, limit string) *response {
		return all[who].do("POST", "/api/v2.0/projects", `{"project_name":"`+name+`","storage_limit":`+limit+`}`)
	}
	create("admin", "p1", "100").want(t, 201)
	create("robot$maker", "p2", "200").want(t, 201)
	create("jane", "p3", "300").want(t, 201)
	create("admin", "p4", "0").want(t, 201)
	create("admin", "p5", "-2").want(t, 400)
	quotas := all["admin"].do("GET", "/api/v2.0/quotas?reference=project", "").want(t, 200).body
	for name, limit := range map[string]string{"p1": "100", "p2": "200", "p3": "-1", "p4": "-1"} {
		before, _, _ := strings.Cut(quotas, `"name":"`+name+`"`)
		if i := strings.LastIndex(before, `"hard":`); !strings.HasPrefix(before[i:], `"hard":{"storage":`+limit+"}") {
			t.Errorf("%s: %s, want %s", name, before[i:], limit)
		}
	}
}

func TestPages(t *testing.T) {
	s := start(t, nil)
	for _, name := range []string{"a", "b", "c"} {
		s.CreateProject(name, harbortest.Project{})
	}
	c := admin(t, s)
	c.do("GET", "/api/v2.0/projects?page_size=101", "").want(t, 422)
	resp := c.do("GET", "/api/v2.0/projects?page=1&page_size=2", "").want(t, 200, `"name":"a"`, `"name":"b"`)
	if got, want := resp.header.Get("Link"), `</api/v2.0/projects?page=2&page_size=2>; rel="next"`; got != want {
		t.Errorf("Link %s, want %s", got, want)
	}
	if got := resp.header.Get("X-Total-Count"); got != "5" {
		t.Errorf("X-Total-Count %s, want 5", got)
	}
	if link := c.do("GET", "/api/v2.0/projects?page=1&page_size=100", "").header.Get("Link"); link != "" {
		t.Errorf("the only page links to %s", link)
	}
}

func TestReadOnly(t *testing.T) {
	s := start(t, nil)
	c := admin(t, s)
	c.pushImage("mig/app", "v1")
	s.SetReadOnly(true)
	c.do("POST", "/v2/mig/app/blobs/uploads/", "").want(t, 403, "DENIED", "The system is in read only mode")
	c.createProject("new").want(t, 403, "DENIED")
	c.head("mig/app", "v1", "application/vnd.oci.image.manifest.v1+json").want(t, 200)
	s.SetReadOnly(false)
	c.startUpload("mig/app")
}

func TestProxyCacheProject(t *testing.T) {
	s := start(t, nil)
	s.CreateProject("cache", harbortest.Project{ProxyCache: true})
	admin(t, s).do("POST", "/v2/cache/app/blobs/uploads/", "").want(t, 403, "DENIED", "denied: can not push artifact to a proxy project: cache")
	admin(t, s).do("GET", "/api/v2.0/projects/cache", "").want(t, 200, `"registry_id":1`)
}
