package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
)

// factsOfAccounts are about credentials, tokens and robots.
var factsOfAccounts = []fact{
	{
		name: "a wrong password gets a token that allows nothing",
		user: "admin", // whose password is another
		code: exitFailed, says: []string{`refuses the user name \\?"admin\\?" with this password`, "hint: check user name and password"},
		never: []string{"not found", "does not exist"},
		tags:  []string{}, then: sentNothing,
	},
	{
		name: "a token that was fetched before its project existed has no actions",
		tree: "image one amd64 base own\ntag fine/app v1 one\ntag finer/app v1 one",
		tags: []string{"fine/app:v1", "finer/app:v1"},
		then: func(t *testing.T, w *world, _ result) {
			for _, q := range w.h.Requests() {
				if q.Status == http.StatusUnauthorized && q.Path != "/v2/" {
					t.Errorf("%s %s: 401", q.Method, q.Path)
				}
			}
		},
	},
	{
		name:  "the actions of a token come from the rights: a guest",
		setUp: user("jane", harbortest.Guest), user: "jane",
		code: exitLeftOut, says: []string{"harbor-push-right.*project fine: this account may not push", "role of a developer"},
		tags: []string{}, then: checks(sentNothing, settled(0, 0, 1)),
	},
	{
		name:  "the actions of a token come from the rights: a robot that may only pull",
		setUp: robot("robot$fine+ci", harbortest.Robot{Projects: []string{"fine"}, Actions: []string{"pull"}}), user: "robot$fine+ci",
		code: exitLeftOut, says: []string{"harbor-push-right", "give the robot the permissions"},
		tags: []string{}, then: sentNothing,
	},
	{
		name:  "the actions of a token come from the rights: a guest, with force",
		setUp: user("jane", harbortest.Guest), user: "jane", args: []string{"--force"},
		code: exitLeftOut, says: []string{"this account may not push"}, tags: []string{}, then: settled(0, 0, 1),
	},
	{
		name: "a token of many scopes is too long for a header",
		tree: many(120, "image i%d amd64 base\ntag team%d/app v1 i%d"),
		then: func(t *testing.T, w *world, r result) {
			settled(120, 0, 0)(t, w, r)
			if tokens := w.count("GET", "^/service/token[?]"); tokens > 2*120+10 {
				t.Errorf("%d tokens", tokens)
			}
			for _, q := range w.h.Requests() {
				if n := strings.Count(q.RawQuery, "scope="); n > 40 || q.Status == http.StatusBadRequest || q.Status == http.StatusRequestURITooLong {
					t.Errorf("%s %s: %d scopes, status %d", q.Method, q.Path, n, q.Status)
				}
			}
		},
	},
	{
		name: "a session cookie that is sent back makes a request one of a browser",
		setUp: func(t *testing.T, w *world) {
			w.h.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
				if len(r.Cookies()) > 0 {
					t.Errorf("%s %s has a cookie", r.Method, r.URL.Path)
				}
				return false
			})
		},
		tags: []string{"fine/app:v1"}, never: []string{"CSRF"},
	},
	{
		name: "an anonymous push",
		user: "-",
		code: exitFailed, says: []string{"wants a user name and a password, and none was given", "hint: set HARBOR_USERNAME"},
		tags: []string{}, then: sentNothing,
	},
	{
		name:  "a project robot pushes to its project, and to no other",
		tree:  "image one amd64 base\ntag fine/app v1 one\ntag other/app v1 one",
		setUp: steps(projects("other"), robot("robot$fine+ci", harbortest.Robot{Projects: []string{"fine"}})), user: "robot$fine+ci",
		code: exitLeftOut, says: []string{"harbor-push-right.*project other: "},
		tags: []string{"fine/app:v1"}, then: settled(1, 0, 1),
	},
	{
		name:  "a project robot creates no project",
		tree:  "image one amd64 base\ntag fine/app v1 one\ntag other/app v1 one",
		setUp: robot("robot$fine+ci", harbortest.Robot{Projects: []string{"fine"}}), user: "robot$fine+ci",
		code: exitLeftOut, says: []string{"project other: .*this account may not create it", "create the project in Harbor first"},
		tags: []string{"fine/app:v1"}, then: settled(1, 0, 1),
	},
	{
		name:  "a system robot creates projects",
		setUp: robot("robot$all", harbortest.Robot{System: true, AllProjects: true}), user: "robot$all",
		tags: []string{"fine/app:v1"},
	},
	{
		name:  "a system robot without the right, where administrators alone create projects",
		setUp: steps(adminOnly, robot("robot$all", harbortest.Robot{System: true, AllProjects: true})), user: "robot$all",
		code: exitLeftOut, says: []string{"this account may not (create it|do that)", "system robot with that right"}, tags: []string{}, then: settled(0, 0, 1),
	},
	{
		name:  "a system robot with the right, where administrators alone create projects",
		setUp: steps(adminOnly, robot("robot$all", harbortest.Robot{System: true, AllProjects: true, CanCreateProjects: true})), user: "robot$all",
		tags: []string{"fine/app:v1"},
	},
	{
		name:  "a plain user, where administrators alone create projects",
		setUp: steps(adminOnly, user("jane", 0)), user: "jane",
		code: exitLeftOut, says: []string{"harbor-project-creation.*this account may not create it"}, tags: []string{}, then: sentNothing,
	},
	{
		name: "a plain user creates projects", setUp: user("jane", 0), user: "jane",
		tags: []string{"fine/app:v1"},
	},
	{
		name: "an administrator by a group",
		setUp: func(_ *testing.T, w *world) {
			w.h.SetProjectCreationRestriction(harbortest.AdminOnly)
			w.h.AddGroupAdmin("root", "secret")
		},
		user: "root", tags: []string{"fine/app:v1"},
	},
	{
		name: "a storage limit of the administrator's is honoured", files: quotaFile, args: []string{"--project-settings", "DIR/projects.yaml"},
		never: []string{"quota-ignored"}, then: quotaIs("50 MiB"),
	},
	{
		name: "a storage limit of a robot with the right is honoured", files: quotaFile, args: []string{"--project-settings", "DIR/projects.yaml"},
		setUp: robot("robot$all", harbortest.Robot{System: true, AllProjects: true, CanCreateProjects: true}), user: "robot$all",
		then: quotaIs("50 MiB"),
	},
	{
		name: "a storage limit of a plain user is passed over", files: quotaFile, args: []string{"--project-settings", "DIR/projects.yaml"},
		setUp: user("jane", 0), user: "jane",
		says: []string{"harbor-quota-ignored"}, tags: []string{"fine/app:v1"}, then: quotaIs("none"),
	},
	{
		name: "a storage limit of -2", args: []string{"--project-settings", "DIR/projects.yaml"},
		files: map[string]string{"projects.yaml": "- match: fine\n  quota: -2\n"},
		code:  exitFailed, says: []string{"quota"}, tags: []string{}, then: sentNothing,
	},
	{
		name: "tokens are costly",
		tree: many(40, "image i%d amd64 base own%d\ntag fine/app%d v1 i%d"),
		then: func(t *testing.T, w *world, r result) {
			settled(40, 0, 0)(t, w, r)
			if tokens := w.count("GET", "^/service/token[?]"); tokens > 4 {
				t.Errorf("%d tokens for forty images of one project", tokens)
			}
		},
	},
}

var quotaFile = map[string]string{"projects.yaml": "- match: fine\n  quota: 50MiB\n"}

func adminOnly(_ *testing.T, w *world) {
	w.h.SetProjectCreationRestriction(harbortest.AdminOnly)
}

func steps(all ...func(*testing.T, *world)) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		for _, s := range all {
			s(t, w)
		}
	}
}

// quotaIs asks as the administrator how much the project fine may hold.
func quotaIs(want string) func(*testing.T, *world, result) {
	return func(t *testing.T, w *world, _ result) {
		t.Helper()
		shown := "none"
		if body := string(w.to.get(t, "/api/v2.0/projects/fine/summary")); strings.Contains(body, `"hard":{"storage":52428800}`) {
			shown = "50 MiB"
		} else if !strings.Contains(body, `"hard":{"storage":-1}`) {
			shown = body
		}
		if shown != want {
			t.Errorf("the quota is %s, want %s", shown, want)
		}
	}
}
