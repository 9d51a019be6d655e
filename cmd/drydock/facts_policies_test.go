package main

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
)

const twoProjects = `
random heavy 40000
image one amd64 base heavy
image two amd64 base
tag full/app v1 one
tag full/app v2 one
tag full/other v1 one
tag fine/app v1 two
`

// factsOfPolicies are about quotas, immutable tags, read-only mode and proxy caches.
var factsOfPolicies = []fact{
	{
		name: "a quota, foretold as far as can be", tree: twoProjects, setUp: full, verb: "plan",
		code: exitLeftOut, says: []string{"harbor-quota.*project full: it may hold 20 KiB, and holds 0 B; up to 40 KiB", "raise the project's quota"}, tags: []string{}, then: sentNothing,
	},
	{
		name: "a quota comes after the bytes have travelled", tree: twoProjects, setUp: full, args: []string{"-j", "1"},
		code: exitLeftOut, says: []string{"harbor-quota.*project full: ", "will exceed the configured upper limit", "raise the project's quota"},
		tags: []string{"fine/app:v1"},
		then: checks(settled(1, 0, 3), func(t *testing.T, w *world, _ result) {
			if n := w.putsOf("heavy"); n > 1 {
				t.Errorf("the layer that does not fit was sent %d times", n)
			}
		}),
	},
	{
		name: "a quota that the account may not see", tree: twoProjects,
		setUp: steps(full, robot("robot$all", harbortest.Robot{System: true, AllProjects: true})), user: "robot$all", verb: "push", args: []string{"-j", "1"},
		code: exitLeftOut, says: []string{"harbor-unknown", "will exceed the configured upper limit", "raise the project's quota"},
		tags: []string{"fine/app:v1"}, then: settled(1, 0, 3),
	},
	{
		name: "an immutable tag keeps its digest, foretold", tree: sealedTree, setUp: sealed, verb: "plan",
		code: exitLeftOut, says: []string{"harbor-immutable-tag.*fine/app:v1"}, then: sentNothing,
	},
	{
		name: "an immutable tag keeps its digest; a new tag is taken", tree: sealedTree, setUp: sealed,
		code: exitLeftOut, says: []string{"an immutable tag rule keeps the digest"},
		tags: []string{"fine/app:same", "fine/app:v1", "fine/app:v2"},
		then: checks(settled(1, 1, 1), func(t *testing.T, w *world, _ result) {
			if w.asked("PUT", "fine/app/manifests/(v1|same)") {
				t.Error("a tag was sent that is immutable")
			}
		}),
	},
	{
		name: "an immutable tag keeps its digest, tried with force", tree: sealedTree, setUp: sealed, args: []string{"--force"},
		code: exitLeftOut, says: []string{"412 Precondition Failed.*configured as immutable", "has another digest there"},
		then: checks(settled(1, 1, 1), failsOnce("PUT", "fine/app/manifests/v1")),
	},
	{
		name: "an immutable tag that nobody may list", tree: sealedTree, setUp: steps(sealed, func(_ *testing.T, w *world) {
			w.h.AddUser("jane", "secret")
			w.h.AddMember("fine", "jane", harbortest.Developer) // who may not see the rules
		}), user: "jane",
		code: exitLeftOut, says: []string{"412 Precondition Failed", "has another digest there"}, then: settled(1, 1, 1),
	},
	{
		name:  "read-only mode",
		setUp: func(_ *testing.T, w *world) { w.h.SetReadOnly(true) },
		code:  exitFailed, says: []string{"Harbor would take nothing: .*read.only", "harbor-read-only"}, tags: []string{}, then: sentNothing,
	},
	{
		name:  "read-only mode, tried with force",
		setUp: func(_ *testing.T, w *world) { projects("fine")(nil, w); w.h.SetReadOnly(true) }, args: []string{"--force"},
		code: exitLeftOut, says: []string{"an administrator ends read-only mode"}, tags: []string{},
		then: checks(settled(0, 0, 1), func(t *testing.T, w *world, _ result) {
			if n := w.count("POST", "fine/app/blobs/uploads"); n > 3 {
				t.Errorf("%d uploads were begun of three blobs", n)
			}
		}),
	},
	{
		name: "read-only mode that begins in the middle",
		tree: many(20, "image i%d amd64 base own%d\ntag fine/app%d v1 i%d"),
		setUp: func(_ *testing.T, w *world) {
			var manifests atomic.Int32
			w.h.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") && manifests.Add(1) == 5 {
					w.h.SetReadOnly(true)
				}
				return false
			})
		},
		args: []string{"-j", "1"},
		code: exitLeftOut, says: []string{"an administrator ends read-only mode"},
		then: checks(settled(4, 0, 16), func(t *testing.T, w *world, _ result) {
			refused := 0
			for _, q := range w.h.Requests() {
				if q.Status == http.StatusForbidden {
					refused++
				}
			}
			if refused > 2 {
				t.Errorf("%d requests were refused, though the first said it all", refused)
			}
		}),
	},
	{
		name:  "a proxy cache takes nothing",
		setUp: func(_ *testing.T, w *world) { w.h.CreateProject("fine", harbortest.Project{ProxyCache: true}) },
		code:  exitLeftOut, says: []string{"harbor-proxy-cache.*nobody can push"}, tags: []string{}, then: checks(sentNothing, settled(0, 0, 1)),
	},
}

const sealedTree = `
image one amd64 base
image two amd64 base own
tag fine/app v1 two
tag fine/app v2 two
tag fine/app same two
`

func full(_ *testing.T, w *world) {
	w.h.CreateProject("full", harbortest.Project{StorageLimit: 20000})
	w.h.CreateProject("fine", harbortest.Project{})
}

// sealed puts other images under the tags of sealedTree, but for the same, and
// makes them immutable.
func sealed(t *testing.T, w *world) {
	t.Helper()
	_, root := parsedTree(t, "image one amd64 base\nimage two amd64 base own\ntag fine/app v1 one\ntag fine/app same two")
	if r := drydock(t, w.to, "migrate", root, w.to.url); r.code != exitDone {
		t.Fatal(r.stderr)
	}
	w.h.SetImmutable("fine", true)
	w.h.ResetRequests()
}
