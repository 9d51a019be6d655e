package harbortest_test

import (
	"strings"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
)

// members starts a Harbor in which mig has one member of each role, and gives
// their clients.
func members(t *testing.T) (*harbortest.Server, map[string]*client) {
	s := start(t, nil)
	s.CreateProject("open", harbortest.Project{Public: true})
	all := accounts(t, s)
	for name, role := range map[string]harbortest.Role{
		"chief": harbortest.ProjectAdmin, "keeper": harbortest.Maintainer, "dev": harbortest.Developer,
		"guest": harbortest.Guest, "visitor": harbortest.LimitedGuest,
	} {
		s.AddUser(name, "pw")
		s.AddMember("mig", name, role)
		all[name] = basic(t, s, name, "pw")
	}
	s.AddRobot("robot$reader", "pw", harbortest.Robot{System: true, Projects: []string{"mig"}, Actions: []string{"push"},
		Rights: []string{"project:read", "quota:read", "quota:list", "immutable-tag:list"}})
	all["robot$reader"] = basic(t, s, "robot$reader", "pw")
	return s, all
}

func TestWhoMayAskWhat(t *testing.T) {
	s, all := members(t)
	s.AddMember("nope", "dev", harbortest.Developer) // nothing happens
	const project, summary, rules, quotas = "/projects/mig", "/projects/mig/summary", "/projects/mig/immutabletagrules", "/quotas"
	for name, want := range map[string]map[string]int{
		"admin":        {project: 200, summary: 200, rules: 200, quotas: 200, "/configurations": 200, "/projects/nope": 404},
		"chief":        {project: 200, summary: 200, rules: 200, quotas: 403, "/configurations": 403, "/projects/nope": 403},
		"keeper":       {project: 200, summary: 200, rules: 200},
		"dev":          {project: 200, summary: 200, rules: 403},
		"guest":        {project: 200, summary: 200, rules: 403},
		"visitor":      {project: 200, summary: 200, rules: 403},
		"jane":         {project: 403, summary: 403, rules: 403, "/projects/open": 200},
		"robot$mig+pr": {project: 403, summary: 403, rules: 403, quotas: 403},
		"robot$sys":    {project: 403, summary: 403, rules: 403, quotas: 403, "/configurations": 403},
		"robot$reader": {project: 200, summary: 200, rules: 200, quotas: 200, "/configurations": 403, "/projects/open/summary": 200},
		"anonymous":    {project: 401, summary: 401, rules: 401, quotas: 401, "/configurations": 401, "/health": 200},
	} {
		for path, status := range want {
			if got := all[name].do("GET", "/api/v2.0"+path, "").status; got != status {
				t.Errorf("%s, %s: %d, want %d", name, path, got, status)
			}
		}
	}
	all["guest"].do("GET", "/api/v2.0"+summary, "").want(t, 200, `"quota":{"hard":{"storage":-1},"used":{"storage":0}}`)
	if body := all["robot$reader"].do("GET", "/api/v2.0/projects/open/summary", "").body; body != `{"repo_count":0}`+"\n" {
		t.Errorf("a project that is not its own: %s", body)
	}
}

func TestWhoPushes(t *testing.T) {
	_, all := members(t)
	for name, want := range map[string]int{"chief": 202, "keeper": 202, "dev": 202, "guest": 401, "visitor": 401, "robot$reader": 202} {
		if got := all[name].do("POST", "/v2/mig/app/blobs/uploads/", "").status; got != want {
			t.Errorf("%s pushes: %d, want %d", name, got, want)
		}
	}
	all["robot$reader"].head("mig/app", "v1").want(t, 401) // it may push, and not pull
}

func TestPermissions(t *testing.T) {
	s, all := members(t)
	s.AddGroupAdmin("boss", "pw")
	all["boss"] = basic(t, s, "boss", "pw")
	const path = "/api/v2.0/users/current/permissions?scope="
	for name, want := range map[string]string{
		"admin": `{"action":"create","resource":"project"}`, "boss": `{"action":"create","resource":"project"}`,
		"jane": "[]\n", "robot$maker": "[]\n", // its right is not shown
	} {
		all[name].do("GET", path+"/system&relative=true", "").want(t, 200, want)
	}
	all["boss"].do("GET", "/api/v2.0/users/current", "").want(t, 200, `"sysadmin_flag":false`)
	all["dev"].do("GET", path+"/project/2&relative=true", "").want(t, 200, `{"action":"push","resource":"repository"}`, `{"action":"read","resource":"quota"}`)
	all["dev"].do("GET", path+"/project/2", "").want(t, 200, `{"action":"push","resource":"/project/2/repository"}`)
	all["dev"].do("GET", path+"/project/mig", "").want(t, 200, "[]")
	all["dev"].do("GET", path+"/project/99", "").want(t, 200, "[]")
	all["anonymous"].do("GET", path+"/system", "").want(t, 401)
	all["robot$sys"].do("GET", "/api/v2.0/users/current", "").want(t, 412, "PRECONDITION", "get current user not available for security context: robot")
}

func TestListByName(t *testing.T) {
	s := start(t, nil)
	s.CreateProject("1", harbortest.Project{})
	s.CreateProject("mig2", harbortest.Project{})
	c := admin(t, s)
	for q, want := range map[string]string{
		`name%3D%7B%22mig%22%20%221%22%20%22nope%22%7D`: `"1" "mig"`, // name={"mig" "1" "nope"}
		`name=mig`:              `"mig"`,
		`name=~mig`:             `"mig" "mig2"`,
		`name=%7Bmig%20mig2%7D`: `"mig" "mig2"`,
	} {
		var got string
		body := c.do("GET", "/api/v2.0/projects?q="+q, "").want(t, 200).body
		for _, name := range []string{`"1"`, `"library"`, `"mig"`, `"mig2"`} {
			if strings.Contains(body, `"name":`+name+",") {
				got += " " + name
			}
		}
		if got != " "+want {
			t.Errorf("%s gives%s, want %s", q, got, want)
		}
	}
	c.do("GET", "/api/v2.0/projects?q=name", "").want(t, 400, "the query string must contain")
	c.do("GET", "/api/v2.0/projects?q=name=%7B%22mig%22", "").want(t, 400, "invalid query string value")
	c.do("GET", "/api/v2.0/projects?q=name=%7B1%7D", "").want(t, 500)
}

func TestSystem(t *testing.T) {
	s := start(t, nil)
	c := admin(t, s)
	s.SetUnhealthy("redis", "no route to host")
	anonymous(t, s).do("GET", "/api/v2.0/health", "").want(t, 200,
		`{"error":"no route to host","name":"redis","status":"unhealthy"}`, `{"name":"core","status":"healthy"}`, `"status":"unhealthy"}`)
	s.SetUnhealthy("redis", "")
	c.do("GET", "/api/v2.0/health", "").want(t, 200, `],"status":"healthy"}`)

	s.SetDefaultQuota(7)
	c.createProject("small").want(t, 201)
	c.do("GET", "/api/v2.0/configurations", "").want(t, 200, `"storage_per_project":{"editable":true,"value":7}`, `"quota_per_project_enable":{"editable":true,"value":true}`)
	c.do("GET", "/api/v2.0/projects/small/summary", "").want(t, 200, `"hard":{"storage":7}`)
	push := func() *response {
		return c.finish(c.startUpload("small/app"), descriptor("", "more than seven").Digest, "more than seven")
	}
	push().want(t, 403, "DENIED")
	s.SetQuotasEnabled(false)
	push().want(t, 201)
	c.do("GET", "/api/v2.0/projects/small/summary", "").want(t, 200, `{"repo_count":`)
	c.do("GET", "/api/v2.0/quotas", "").want(t, 200, `"hard":{"storage":7}`) // still listed
}
