package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

// lose removes files of a storage as a power cut does: Harbor's database has what
// named them.
func lose(t *testing.T, to *registryUnderTest, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.Remove(filepath.Join(to.storage, storage.Root, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// lacking are the images that a run tells its target to have in part.
func (r result) lacking() (names []string) {
	for line := range strings.Lines(r.stdout) {
		var f report.Finding
		if json.Unmarshal([]byte(line), &f) == nil && f.Code == report.TargetLacks {
			names = append(names, report.Name(f.Repository, f.Tag, f.Digest))
		}
	}
	slices.Sort(names)
	return names
}

// TestGraftLost has the storage lose blobs and links of images that Harbor has. A
// plan says so, the next run puts them back and sends no manifest for it, and the
// run after that finds nothing to do.
func TestGraftLost(t *testing.T) {
	t.Parallel()
	b, root := smallTree(t)
	to := startHarborOnDisk(t)
	first := drydock(t, to, graftArgs(root, to, mapping{}, "--exclude", "team0/app:v9")...)
	before := fingerprint(t, root)
	intact := checkTrueNames(t, to.storage)
	base1 := b.Digest("base1") // of v1, v5 and v9
	lose(t, to, storage.BlobPath(base1), storage.LayerLinkPath("team0/app", b.Digest("own3")), storage.LayerLinkPath("team2/app", b.Digest("base2")))

	want := []string{"team0/app:v3", "team1/app:v1", "team2/app:v2", "team2/app:v5"}
	planned := drydock(t, to, "plan", root, to.url, "--graft", to.storage, "--exclude", "team0/app:v9", "-o", "json")
	if diff := cmp.Diff(want, planned.lacking()); diff != "" || planned.code != exitDone {
		t.Errorf("exit status %d; images that the plan tells:\n%s", planned.code, diff)
	}
	if g := planned.summary.Forecast; g == nil || g.Linked != int64(len(b.Bytes("base1"))) || g.Manifests != 0 || g.There == 0 || g.Why != "" {
		t.Errorf("what the plan foresees: %+v", g)
	}

	to.harbor.ResetRequests()
	second := drydock(t, to, graftArgs(root, to, mapping{})...)
	if s := second.summary; second.code != exitDone || s.Done != 5 || s.Skipped != first.summary.Done-4 || s.PlacedBlobs != 3 || s.UploadedBlobs != 0 {
		t.Errorf("exit status %d, %+v\n%s", second.code, s, second.failures())
	}
	if diff := cmp.Diff(want, second.lacking()); diff != "" {
		t.Errorf("images that the run tells:\n%s", diff)
	}
	checkNoRefusals(t, to.harbor.Requests(), "/v2/team0/app/manifests/v9")
	if got := checkTrueNames(t, to.storage); got != intact+4 { // what v9 brings, and a probe
		t.Errorf("%d blobs are there, were %d", got, intact)
	}
	if r := drydock(t, to, "verify", root, to.url, "--deep"); r.code != exitDone {
		t.Errorf("exit status %d\n%s", r.code, r.stderr)
	}

	to.harbor.ResetRequests()
	third := drydock(t, to, graftArgs(root, to, mapping{})...)
	if s := third.summary; third.code != exitDone || s.Done != 0 || len(third.lacking()) > 0 {
		t.Errorf("exit status %d, %+v", third.code, s)
	}
	checkNoRefusals(t, to.harbor.Requests())
	if diff := cmp.Diff(before, fingerprint(t, root)); diff != "" {
		t.Errorf("the source changed:\n%s", diff)
	}
}

// checkNoRefusals holds that no manifest was sent but some, and none in vain.
func checkNoRefusals(t *testing.T, requests []harbortest.Request, sent ...string) {
	t.Helper()
	var got []string
	for _, q := range requests {
		if q.Method != http.MethodPut || !strings.Contains(q.Path, "/manifests/") {
			continue
		}
		got = append(got, q.Path)
		if q.Status != http.StatusCreated {
			t.Errorf("%s %s: %d", q.Method, q.Path, q.Status)
		}
	}
	if diff := cmp.Diff(sent, got); diff != "" {
		t.Errorf("manifests that were sent:\n%s", diff)
	}
}

// TestGraftLostForGood has the storage damaged where nothing may be replaced: the
// images that need it are never called the same. A source that lacks what the
// storage lost does not help either.
func TestGraftLostForGood(t *testing.T) {
	t.Parallel()
	b, root := smallTree(t)
	to := startHarborOnDisk(t)
	drydock(t, to, graftArgs(root, to, mapping{})...)
	at := func(name string) string { return filepath.Join(to.storage, storage.Root, name) }
	blob, link := at(storage.BlobPath(b.Digest("own3"))), at(storage.LayerLinkPath("team1/app", b.Digest("own4")))
	if err := os.Remove(blob); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(blob, []byte("cut off"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(link, 0); err != nil {
		t.Fatal(err)
	}
	lose(t, to, storage.BlobPath(b.Digest("own5")))
	if err := os.WriteFile(filepath.Join(root, storage.Root, storage.BlobPath(b.Digest("own5"))), make([]byte, len(b.Bytes("own5"))), 0o644); err != nil {
		t.Fatal(err)
	}
	r := drydock(t, to, graftArgs(root, to, mapping{})...)
	if s := r.summary; r.code != exitLeftOut || s.Failed != 3 || s.Done != 0 || s.PlacedBlobs != 0 {
		t.Errorf("exit status %d, %+v\n%s", r.code, s, r.failures())
	}
	for _, want := range []string{"is there with 7 bytes", "holds \"\"", "bytes are not those of the digest"} {
		if !strings.Contains(r.failures(), want) {
			t.Errorf("nothing says %q:\n%s", want, r.failures())
		}
	}
	for _, code := range []report.Code{report.TargetBlob, report.TargetLink} {
		if !strings.Contains(r.stdout, `"code":"`+string(code)+`"`) {
			t.Errorf("there is no finding %s", code)
		}
	}
	content, err := os.ReadFile(blob)
	if link, failed := os.ReadFile(link); err != nil || failed != nil || string(content) != "cut off" || len(link) > 0 {
		t.Errorf("they are %q and %q now: %v, %v", content, link, err, failed)
	}
	if _, err := os.Lstat(at(storage.BlobPath(b.Digest("own5")))); err == nil {
		t.Error("wrong bytes were placed")
	}
}

// TestGraftWrongStorage gives, for what Harbor has already, another registry's
// storage: it is not taken for one that lost everything.
func TestGraftWrongStorage(t *testing.T) {
	t.Parallel()
	_, root := smallTree(t)
	to := startHarborOnDisk(t)
	drydock(t, to, graftArgs(root, to, mapping{})...)
	other := filepath.Join(t.TempDir(), "other")
	copyTree(t, "../../testdata/distribution-3", other)
	before := fingerprint(t, other)
	r := drydock(t, to, "migrate", root, to.url, "--graft", other)
	if r.code != exitFailed || !strings.Contains(r.stderr, "is not the storage of") {
		t.Errorf("exit status %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	if diff := cmp.Diff(before, fingerprint(t, other)); diff != "" {
		t.Errorf("it changed:\n%s", diff)
	}
}

// TestGraftOtherwise leaves alone what the target has otherwise than a graft would
// make it: a layer that is kept elsewhere, and was not pushed though the source has
// it, and a blob that registries keep under its sha256.
func TestGraftOtherwise(t *testing.T) {
	t.Parallel()
	b := storagetest.New()
	b.Image("win", "amd64", "foreign:base", "own")
	b.Tag("windows/nano", "v1", "win")
	root := filepath.Join(t.TempDir(), "registry")
	copyTree(t, "../../testdata/distribution-3", root)
	if err := b.WriteTo(root); err != nil {
		t.Fatal(err)
	}
	to := startHarborOnDisk(t)
	include := []string{"--include", "windows/**", "--include", "library/sha512*", "--untagged"}
	pushed := drydock(t, to, append([]string{"migrate", root, to.url, "--layouts", t.TempDir(), "-o", "json"}, include...)...)
	foreign := filepath.Join(root, storage.Root, storage.BlobPath(b.Digest("base")))
	if err := errors.Join(os.MkdirAll(filepath.Dir(foreign), 0o755), os.WriteFile(foreign, b.Bytes("base"), 0o644)); err != nil {
		t.Fatal(err)
	}
	aliases, err := filepath.Glob(filepath.Join(to.storage, storage.Root, "repositories/library/sha512/_layers/sha512/*/link"))
	if err != nil || len(aliases) == 0 {
		t.Fatalf("nothing was pushed under sha512: %v", err)
	}
	for _, name := range aliases {
		if content, err := os.ReadFile(name); err != nil || digest.Digest(content).Algorithm() != digest.Canonical {
			t.Fatalf("%s holds %q: %v", name, content, err)
		}
	}
	before := fingerprint(t, to.storage)
	r := drydock(t, to, graftArgs(root, to, mapping{}, include...)...)
	if r.code != exitDone || r.summary.Done != 0 || r.summary.Skipped != pushed.summary.Done || len(r.lacking()) > 0 {
		t.Errorf("exit status %d, %+v\n%s", r.code, r.summary, r.stdout)
	}
	if diff := cmp.Diff(before, fingerprint(t, to.storage)); diff != "" {
		t.Errorf("the storage changed:\n%s", diff)
	}
}

// TestGraftLostManifest has the storage lose a manifest that the target still
// answers for, as a Harbor does that keeps manifests in a cache: it is sent again.
func TestGraftLostManifest(t *testing.T) {
	t.Parallel()
	b, root := smallTree(t)
	to := startHarborOnDisk(t)
	drydock(t, to, graftArgs(root, to, mapping{})...)
	app := b.Digest("app3")
	lose(t, to, storage.BlobPath(app), storage.RevisionLinkPath("team0/app", app))
	const path = "/v2/team0/app/manifests/"
	var sent atomic.Bool
	to.harbor.Intercept(func(w http.ResponseWriter, q *http.Request) bool {
		switch {
		case q.Method == http.MethodPut && q.URL.Path == path+"v3":
			sent.Store(true)
		case q.Method == http.MethodHead && !sent.Load() && (q.URL.Path == path+"v3" || q.URL.Path == path+app.String()):
			w.Header().Set("Docker-Content-Digest", app.String())
			w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
			return true
		}
		return false
	})
	to.harbor.ResetRequests()
	r := drydock(t, to, graftArgs(root, to, mapping{})...)
	if s := r.summary; r.code != exitDone || s.Done != 1 || s.PlacedBlobs != 0 || s.UploadedBlobs != 0 {
		t.Errorf("exit status %d, %+v\n%s", r.code, s, r.failures())
	}
	if diff := cmp.Diff([]string{"team0/app:v3"}, r.lacking()); diff != "" {
		t.Errorf("images that the run tells:\n%s", diff)
	}
	checkNoRefusals(t, to.harbor.Requests(), path+"v3")
	if r := drydock(t, to, "verify", root, to.url, "--deep"); r.code != exitDone {
		t.Errorf("exit status %d\n%s", r.code, r.stderr)
	}
}

// TestGraftForgetful has the target take a manifest and not keep it, as registries
// do whose cache has a file that was lost: it is said what helps.
func TestGraftForgetful(t *testing.T) {
	t.Parallel()
	_, root := smallTree(t)
	to := startHarborOnDisk(t)
	to.harbor.Intercept(func(w http.ResponseWriter, q *http.Request) bool {
		forgets := q.Method == http.MethodPut && strings.Contains(q.URL.Path, "/manifests/")
		if forgets {
			w.WriteHeader(http.StatusCreated)
		}
		return forgets
	})
	r := drydock(t, to, graftArgs(root, to, mapping{}, "--include", "team0/app:v3")...)
	if r.code != exitLeftOut || !strings.Contains(r.failures(), "not found in the target") || !strings.Contains(r.failures(), "restart the registry") {
		t.Errorf("exit status %d\n%s", r.code, r.failures())
	}
}
