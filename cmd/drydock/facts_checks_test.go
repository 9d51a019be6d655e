package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// factsOfChecks are about looking afterwards, many requests at once, and what
// Harbor keeps on disk.
var factsOfChecks = []fact{
	{
		name: "a manifest is there only for who names its media type, and a GET counts as a pull",
		tree: "image one amd64 base\ndocker two amd64 base\nindex multi one\nlist list two\nschema1 old base\n" +
			"tag fine/app v1 one\ntag fine/app v2 two\ntag fine/app v3 multi\ntag fine/app v4 list\ntag fine/app v5 old",
		setUp: func(t *testing.T, w *world) {
			if r := drydock(t, w.to, "migrate", w.root, w.to.url); r.code != exitDone {
				t.Fatal(r.stdout, r.stderr)
			}
			w.h.ResetRequests()
			w.h.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
				isManifest := strings.Contains(r.URL.Path, "/manifests/")
				if isManifest && r.Method == http.MethodGet {
					t.Errorf("GET %s counts as a pull", r.URL.Path)
				}
				for _, mediaType := range storage.ManifestMediaTypes {
					if isManifest && !slices.Contains(r.Header.Values("Accept"), mediaType) && !strings.Contains(r.Header.Get("Accept"), mediaType) {
						t.Errorf("%s %s does not accept %s", r.Method, r.URL.Path, mediaType)
					}
				}
				return false
			})
		},
		verb: "verify", args: []string{"--deep"},
		then: checks(settled(5, 0, 0), sentNothing),
	},
	{
		name: "pages have a hundred at most",
		tree: many(130, "image i%d amd64 base\ntag team%d/app v1 i%d"),
		setUp: func(t *testing.T, w *world) {
			for n := range 130 {
				w.h.CreateProject(fmt.Sprint("team", n), harbortest.Project{StorageLimit: 1 << 30})
			}
			w.h.SetQuota("team0", 10) // on the last page: the newest come first
		},
		verb: "plan", code: exitLeftOut,
		says: []string{"harbor-quota.*project team0: "},
		then: func(t *testing.T, w *world, _ result) {
			for _, q := range w.h.Requests() {
				if q.Status == http.StatusUnprocessableEntity {
					t.Errorf("%s %s?%s: 422", q.Method, q.Path, q.RawQuery)
				}
			}
		},
	},
	{
		name: "what is different, missing and extra is named",
		tree: "image one amd64 base\nimage two amd64 base own\ntag fine/app v1 one\ntag fine/app v2 one\ntag fine/app v3 one",
		setUp: func(t *testing.T, w *world) {
			_, root := parsedTree(t, "image one amd64 base\nimage two amd64 base own\ntag fine/app v1 one\ntag fine/app v2 two\ntag fine/app v4 one")
			if r := drydock(t, w.to, "migrate", root, w.to.url); r.code != exitDone {
				t.Fatal(r.stderr)
			}
		},
		verb: "verify", args: []string{"--extra"},
		code: exitLeftOut, says: []string{"fine/app:v2: the target has sha256:", "fine/app:v3: not found in the target", `target-extra.*"fine/app".*"v4"`},
		then: settled(1, 0, 2),
	},
	{
		name: "different tags, 64 at once",
		tree: many(120, "image i%d amd64 base own%d\ntag fine/app v%d i%d"), args: []string{"-j", "64"},
		then: settled(120, 0, 0),
	},
	{
		name:  "pushes of one tag that get into each other's way are a 500 in passing",
		setUp: func(_ *testing.T, w *world) { w.h.SetDeadlocks(3) },
		tags:  []string{"fine/app:v1"}, then: settled(1, 0, 0),
	},
	{
		name: "a 500 that stays is reported",
		tree: "image one amd64 base\ntag fine/app v1 one", args: []string{"--retry-times", "3"},
		setUp: func(_ *testing.T, w *world) { w.h.SetDeadlocks(1000) },
		code:  exitLeftOut, says: []string{"500 Internal Server Error: UNKNOWN"},
		then: checks(settled(0, 0, 1), func(t *testing.T, w *world, _ result) {
			if n := w.count("PUT", "fine/app/manifests/v1"); n != 4 {
				t.Errorf("%d tries, want 4", n)
			}
		}),
	},
	{
		name: "two sources of one tag",
		tree: "image one amd64 base\nimage two amd64 base own\ntag a/app v1 one\ntag b/app v1 two\ntag b/app v2 two",
		args: []string{"--rewrite", "a=fine", "--rewrite", "b=fine"},
		code: exitLeftOut, says: []string{"target-collision.*fine/app:v1 would get 2 different images"}, tags: []string{"fine/app:v2"},
	},
	{
		name: "Harbor writes no tags into its own storage",
		tree: "image one amd64 base\npush fine/app one",
		code: exitFailed, says: []string{"no image fits what was asked for", "hint: .*--untagged .*--tags"}, tags: []string{}, then: sentNothing,
	},
	{
		name: "Harbor writes no tags into its own storage: they come from its database",
		tree: "image one amd64 base\npush fine/app one", args: []string{"--tags", "DIR/tags"},
		setUp: func(t *testing.T, w *world) { w.write(t, "tags", "fine/app:v1 "+w.tree.Digest("one").String()+"\n") },
		tags:  []string{"fine/app:v1"},
	},
	{
		name: "a body that an outer proxy finds too large",
		setUp: func(_ *testing.T, w *world) {
			w.h.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
				if r.ContentLength < 1 || !strings.Contains(r.URL.Path, "/blobs/uploads/") {
					return false
				}
				http.Error(rw, "<html>413 Request Entity Too Large</html>", http.StatusRequestEntityTooLarge)
				return true
			})
		},
		code: exitLeftOut, says: []string{"413 Request Entity Too Large", "client_max_body_size"}, tags: []string{}, then: settled(0, 0, 1),
	},
}
