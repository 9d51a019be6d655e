package main

import (
	"io/fs"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
)

// TestKilledMigrate kills migrations into one target at random moments, without a
// warning. In the end all is there, no blob was sent that was there, and the
// layouts are those of an undisturbed run, with nothing beside them.
func TestKilledMigrate(t *testing.T) {
	t.Parallel()
	tree := "../../testdata/distribution-3"
	root := filepath.Join(t.TempDir(), "registry")
	copyTree(t, tree, root)
	before := fingerprint(t, root)
	args := func(layouts, target string) []string {
		return append([]string{"migrate", root, target, "--untagged", "--layouts", layouts}, mappingOf(tree).flags...)
	}
	whole, other := t.TempDir(), startHarbor(t)
	took := runKilled(t, other, 0, args(whole, other.url))

	to, layouts := startHarbor(t), t.TempDir()
	settle := requestsSettle(to.harbor)
	for range killings() {
		runKilled(t, to, rand.N(took)+time.Millisecond, args(layouts, to.url))
		settle()
	}
	runKilled(t, to, 0, args(layouts, to.url))
	checkSentOnce(t, to.harbor.Requests())
	want := readServed(t, tree)
	to.holdAgainst(t, want, to.expectRefused(want, targets[0].refuses), mappingOf(tree))
	if diff := cmp.Diff(contents(t, whole), contents(t, layouts)); diff != "" {
		t.Errorf("layouts, -undisturbed +killed:\n%s", diff)
	}
	if litter := hidden(t, layouts); len(litter) > 0 {
		t.Errorf("litter among the layouts: %q", litter)
	}
	if diff := cmp.Diff(before, fingerprint(t, root)); diff != "" {
		t.Errorf("the source changed:\n%s", diff)
	}
}

// requestsSettle gives what waits until every request of a run that was killed
// has come to its end in the target.
func requestsSettle(h *harbortest.Server) func() {
	var begun atomic.Int64
	h.Intercept(func(http.ResponseWriter, *http.Request) bool { begun.Add(1); return false })
	return func() {
		for int64(len(h.Requests())) < begun.Load() {
			time.Sleep(time.Millisecond)
		}
	}
}

// checkSentOnce holds that no blob and no tag that the target took was sent to it
// again. A manifest below an index that was not sent yet is: to ask for it would
// cost as much.
func checkSentOnce(t *testing.T, requests []harbortest.Request) {
	t.Helper()
	taken := map[string]int{}
	for _, q := range requests {
		if q.Method != http.MethodPut || q.Status != http.StatusCreated || strings.Contains(q.Path, "/manifests/sha256:") {
			continue
		}
		what := q.Path
		if strings.Contains(q.Path, "/blobs/uploads/") {
			what = mustQuery(t, q.RawQuery).Get("digest")
		}
		taken[what]++
	}
	for what, n := range taken {
		if n > 1 {
			t.Errorf("%s was sent %d times", what, n)
		}
	}
	if len(taken) == 0 {
		t.Error("nothing was sent")
	}
}

// hidden gives the files and directories whose names begin with a dot.
func hidden(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && path != dir && strings.HasPrefix(e.Name(), ".") {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
