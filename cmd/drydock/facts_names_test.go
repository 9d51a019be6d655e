package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
)

// factsOfNames are about projects, repositories and tags.
var factsOfNames = []fact{
	{
		name: "a push to a project that does not exist has the words of a bad password",
		args: []string{"--create-projects=false"},
		code: exitLeftOut, says: []string{"harbor-project-missing", "project fine: it does not exist", "create it in Harbor first"},
		never: []string{"password"},
		tags:  []string{}, then: checks(sentNothing, settled(0, 0, 1)),
	},
	{
		name: "the same, tried with force",
		args: []string{"--create-projects=false", "--force"},
		code: exitLeftOut, says: []string{"401 Unauthorized .*there is no such project, or this account may not push to it"},
		then: settled(0, 0, 1),
	},
	{
		name:  "the existence check answers a project robot",
		setUp: robot("robot$fine+ci", harbortest.Robot{Projects: []string{"fine"}}), user: "robot$fine+ci",
		tags: []string{"fine/app:v1"}, never: []string{"does not exist"},
		then: func(t *testing.T, w *world, _ result) {
			if !w.asked("HEAD", `^/api/v2\.0/projects\?project_name=fine$`) {
				t.Error("nobody asked whether the project exists")
			}
		},
	},
	{
		name:  "the existence check answers a system robot",
		setUp: robot("robot$all", harbortest.Robot{System: true, AllProjects: true, Projects: []string{"fine"}}), user: "robot$all",
		tags: []string{"fine/app:v1"}, never: []string{"does not exist"},
	},
	{
		name:  "the existence check answers a plain user",
		setUp: user("jane", harbortest.Developer), user: "jane",
		tags: []string{"fine/app:v1"}, never: []string{"does not exist"},
	},
	{
		name: "to create a project that exists by then is a conflict",
		setUp: func(t *testing.T, w *world) {
			w.h.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodPost && r.URL.Path == "/api/v2.0/projects" {
					projects("fine")(t, w) // somebody else is faster
				}
				return false
			})
		},
		tags: []string{"fine/app:v1"}, then: settled(1, 0, 0),
	},
	{
		name: "bad project names",
		tree: `
image one amd64 base
tag a__b/app v1 one
tag a---b/app v1 one
tag a-b/app v1 one
tag a_b/app v1 one
tag a.b/app v1 one
tag 1/app v1 one
`,
		code: exitLeftOut, says: []string{`target-name.*a__b.*is no name for a Harbor project`, `target-name.*a---b.*is no name for a Harbor project`},
		tags: []string{"1/app:v1", "a-b/app:v1", "a.b/app:v1", "a_b/app:v1"},
		then: func(t *testing.T, w *world, _ result) {
			if n := w.count("POST", "^/api/v2.0/projects[?]"); n != 4 {
				t.Errorf("%d projects were created, want 4", n)
			}
		},
	},
	{
		name: "a project named with digits only is not the id",
		tree: "image one amd64 base\ntag 1/app v1 one",
		setUp: func(t *testing.T, w *world) { // the id 1 is library's, without a quota
			user("jane", harbortest.ProjectAdmin)(t, w)
			w.h.CreateProject("1", harbortest.Project{StorageLimit: 10})
			w.h.AddMember("1", "jane", harbortest.ProjectAdmin)
		},
		user: "jane", verb: "plan", code: exitLeftOut,
		says: []string{"harbor-quota.*project 1: it may hold 10 B"}, then: sentNothing,
	},
	{
		name: "a repository of one component",
		tree: "image one amd64 base\ntag alpine latest one",
		tags: []string{"library/alpine:latest"},
	},
	{
		name: "a repository of one component, left as it is",
		tree: "image one amd64 base\ntag alpine latest one", args: []string{"--project", ""},
		code: exitLeftOut, says: []string{"target-name.*Harbor keeps repositories in projects"}, tags: []string{}, then: sentNothing,
	},
	{
		name: "nested repositories, doubly encoded in API paths",
		tree: "schema1 old base\nimage one amd64 base\ntag a/b/c/d v1 one\ntag a/b/c/d v0 old",
		tags: []string{"a/b/c/d:v0", "a/b/c/d:v1"},
	},
	{
		name: "bad repository names",
		tree: `
image one amd64 base
tag p/UP v1 one
tag p/a..b v1 one
tag p/-a v1 one
tag p/a. v1 one
tag p/a__b v1 one
tag p/a---b v1 one
`,
		code: exitLeftOut, says: []string{`repository-name.*p/UP`, `repository-name.*p/a\.\.b`, `repository-name.*p/-a`, `repository-name.*p/a\.`},
		tags: []string{"p/a---b:v1", "p/a__b:v1"},
	},
	{
		name: "a repository's path of 245 characters, and longer ones",
		tree: "image one amd64 base\n" + longTag(245) + longTag(246) + longTag(255) + longTag(256),
		code: exitLeftOut, says: []string{"target-name.*246 characters", "target-name.*255 characters", "(target|repository)-name.*x{30}"},
		tags: []string{longName(245) + ":v1"},
	},
	{
		name: "tags of 128 characters, and bad ones",
		tree: "image one amd64 base\ntag p/app " + strings.Repeat("t", 128) + " one\ntag p/app " + strings.Repeat("u", 129) + ` one
tag p/app .x one
tag p/app -x one
tag p/app a+b one
`,
		code: exitLeftOut, says: []string{`tag-name.*uuu`, `tag-name.*\.x`, `tag-name.*-x`, `tag-name.*a\+b`},
		tags: []string{"p/app:" + strings.Repeat("t", 128)},
	},
}

func longName(size int) string {
	name := "p"
	for len(name) < size {
		name += "/" + strings.Repeat("x", min(50, size-len(name)-1))
	}
	return name
}

func longTag(size int) string { return "tag " + longName(size) + " v1 one\n" }

// TestCreatedAtOnce has several runs find the same projects missing: one creates
// them, and the others go on.
func TestCreatedAtOnce(t *testing.T) {
	w := newWorld(t, many(4, "image i%d amd64 base own%d\ntag team%d/app v1 i%d"))
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			r := drydock(t, w.to, "migrate", w.root, fmt.Sprintf("%s/x%d", w.to.url, n%2), "-o", "json", "--layouts", fmt.Sprintf("%s/%d", w.dir, n))
			if r.code != exitDone {
				t.Errorf("exit status %d\n%s%s", r.code, r.failures(), r.stderr)
			}
		})
	}
	all.Wait()
	if got := len(w.to.tags(t)); got != 8 {
		t.Errorf("%d tags, want 8", got)
	}
}
