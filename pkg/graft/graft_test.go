package graft_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/graft"
	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/push"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
	"github.com/seed-5b48bd9d/drydock/pkg/tree"
)

// oldTree is a source with two layers.
func oldTree(t *testing.T) (b *storagetest.Builder, dir string) {
	t.Helper()
	b = storagetest.New()
	b.Blob("one", "the first layer")
	b.Blob("two", "the second layer")
	b.Image("app", "amd64", "one", "two")
	b.Tag("library/app", "v1", "app")
	return b, b.Dir(t)
}

func openSource(t *testing.T, dir string) source.Source {
	t.Helper()
	src, err := source.Open(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

// serve runs a registry that keeps its blobs in a directory, behind a handler.
func serve(t *testing.T, dir string, before func(next http.Handler) http.Handler) string {
	t.Helper()
	s, err := harbortest.NewRegistry(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if before == nil {
		return s.Listener.Addr().String()
	}
	front := httptest.NewServer(before(s.Config.Handler))
	t.Cleanup(front.Close)
	return front.Listener.Addr().String()
}

func dial(t *testing.T, host string) *push.Registry {
	t.Helper()
	auth := filepath.Join(t.TempDir(), "none.json")
	if err := os.WriteFile(auth, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := push.Dial(t.Context(), plan.Destination{Host: host, PlainHTTP: true}, &push.Options{AuthFile: auth, RetryTimes: -1})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func open(t *testing.T, dir string, src source.Source, opts graft.Options) *graft.Storage {
	t.Helper()
	opts.Patience = 50 * time.Millisecond
	s, err := graft.Open(dir, src, &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// proven is a storage that is the target's, and the directory of its tree.
func proven(t *testing.T, src source.Source, opts graft.Options) (s *graft.Storage, v2 string) {
	t.Helper()
	dir := t.TempDir()
	s = open(t, dir, src, opts)
	if _, err := s.Prove(t.Context(), dial(t, serve(t, dir, nil)), "library/app"); err != nil {
		t.Fatal(err)
	}
	return s, filepath.Join(dir, storage.Root)
}

// files gives the paths of all regular files below a directory, relative to it.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	out, err := exec.Command("find", dir, "-type", "f", "-printf", "%P\n").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	names = strings.Fields(string(out))
	slices.Sort(names)
	return names
}

// TestProve proves the storage of a registry that is new, and of one that is used.
// Of the proof nothing stays but what was pushed.
func TestProve(t *testing.T) {
	_, old := oldTree(t)
	dir := t.TempDir()
	r := dial(t, serve(t, dir, nil))
	s := open(t, dir, openSource(t, old), graft.Options{})
	left, err := s.Prove(t.Context(), r, "library/app")
	if err != nil || left == nil || left.Removed || left.Repository != "library/app" {
		t.Fatalf("%+v, %v", left, err)
	}
	v2 := filepath.Join(dir, storage.Root)
	want := []string{storage.BlobPath(left.Digest), storage.LayerLinkPath("library/app", left.Digest)}
	if diff := cmp.Diff(want, files(t, v2)); diff != "" {
		t.Errorf("what the proof leaves:\n%s", diff)
	}
	if u := s.Usage(); u != (link.Usage{}) {
		t.Errorf("%+v was counted", u)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := open(t, filepath.Join(dir, "docker"), openSource(t, old), graft.Options{}).Prove(t.Context(), r, "another/app")
	if err != nil || again.Digest == left.Digest {
		t.Errorf("%+v, %v", again, err)
	}
}

// TestProveHarbor proves the storage of a Harbor, which lets a blob be removed.
func TestProveHarbor(t *testing.T) {
	_, old := oldTree(t)
	dir := t.TempDir()
	h, err := harbortest.New(&harbortest.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	r, err := push.Dial(t.Context(), plan.Destination{Host: h.Host(), PlainHTTP: true}, &push.Options{Username: "admin", Password: "Harbor12345", RetryTimes: -1})
	if err != nil {
		t.Fatal(err)
	}
	r.UseProjectTokens()
	left, err := open(t, dir, openSource(t, old), graft.Options{}).Prove(t.Context(), r, "library/app")
	if err != nil || !left.Removed {
		t.Fatalf("%+v, %v", left, err)
	}
	if diff := cmp.Diff([]string{storage.BlobPath(left.Digest)}, files(t, filepath.Join(dir, storage.Root))); diff != "" {
		t.Errorf("what the proof leaves:\n%s", diff)
	}
}

// redirecting sends whoever reads a blob elsewhere, as a registry before object
// storage does.
func redirecting(to string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if q.Method == http.MethodGet && strings.Contains(q.URL.Path, "/blobs/") {
				http.Redirect(w, q, to+q.URL.Path, http.StatusTemporaryRedirect)
				return
			}
			next.ServeHTTP(w, q)
		})
	}
}

// answering answers whoever reads a blob with a status.
func answering(status int) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if q.Method == http.MethodGet && strings.Contains(q.URL.Path, "/blobs/") {
				w.WriteHeader(status)
				return
			}
			next.ServeHTTP(w, q)
		})
	}
}

// mirroring copies the storage elsewhere after each request.
func mirroring(from, to string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			next.ServeHTTP(w, q)
			if q.Method == http.MethodPut {
				_ = exec.Command("cp", "-a", from+"/.", to).Run()
			}
		})
	}
}

// TestNotProven tries what is not the target's storage. Nothing stays in it.
func TestNotProven(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("bytes")) }))
	t.Cleanup(elsewhere.Close)
	_, other := oldTree(t)
	mirrored, mirror := t.TempDir(), t.TempDir()
	own, own2 := t.TempDir(), t.TempDir()
	for _, tt := range []struct {
		name, dir, err, hint string
		host                 string
	}{
		{"another registry's", other, "did not appear", "the target's registry itself writes to", serve(t, t.TempDir(), nil)},
		{"empty", t.TempDir(), "did not appear", "the target's registry itself writes to", serve(t, t.TempDir(), nil)},
		{"object storage", t.TempDir(), "sends whoever reads a blob to " + elsewhere.Listener.Addr().String(), "object storage and not in files", serve(t, t.TempDir(), redirecting(elsewhere.URL))},
		{"a mirror", mirror, "does not see what is put into", "mirror", serve(t, mirrored, mirroring(mirrored, mirror))},
		{"unreadable to the registry", own, "cannot read what is put into", "owner and modes", serve(t, own, answering(http.StatusInternalServerError))},
		{"a cache", own2, "does not see what is put into", "cache", serve(t, own2, answering(http.StatusNotFound))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, old := oldTree(t)
			s := open(t, tt.dir, openSource(t, old), graft.Options{})
			before := files(t, tt.dir)
			left, err := s.Prove(t.Context(), dial(t, tt.host), "library/app")
			if err == nil || !strings.Contains(err.Error(), tt.err) || !strings.Contains(report.Advice(err), tt.hint) {
				t.Errorf("%v\nhint: %s", err, report.Advice(err))
			}
			after := slices.DeleteFunc(files(t, tt.dir), func(name string) bool {
				return left != nil && strings.Contains(name, left.Digest.Encoded())
			})
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("what stays in the storage:\n%s", diff)
			}
			if _, err := s.Place(t.Context(), "library/app", digest.FromString("x"), 1); err == nil {
				t.Error("something can be placed")
			}
		})
	}
}

// TestProveOwner gives what is placed to whoever the registry shows itself to be,
// though its storage belongs to root at its top.
func TestProveOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	b, old := oldTree(t)
	dir := t.TempDir()
	asUser := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			next.ServeHTTP(w, q)
			if q.Method == http.MethodPut {
				_ = exec.Command("chown", "-R", "10000:10000", filepath.Join(dir, storage.Root, "blobs/sha256")).Run()
			}
		})
	}
	s := open(t, dir, openSource(t, old), graft.Options{})
	if _, err := s.Prove(t.Context(), dial(t, serve(t, dir, asUser)), "library/app"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Place(t.Context(), "library/app", b.Digest("one"), 15); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, storage.Root, storage.LayerLinkPath("library/app", b.Digest("one"))))
	if err != nil {
		t.Fatal(err)
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid != 10000 {
		t.Errorf("the link belongs to %d", uid)
	}
}

// TestOpen refuses what is no storage, and the source's own.
func TestOpen(t *testing.T) {
	_, old := oldTree(t)
	noRegistry := t.TempDir()
	if err := os.WriteFile(filepath.Join(noRegistry, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	alias := filepath.Join(t.TempDir(), "alias")
	if err := os.Symlink(old, alias); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ dir, err, hint string }{
		{filepath.Join(noRegistry, "nowhere"), "no such file", "/data/registry"},
		{filepath.Join(noRegistry, "file"), "not a directory", "/data/registry"},
		{noRegistry, "no registry's storage is there", storage.Root},
		{old, "the source's own storage", "another registry"},
		{alias, "the source's own storage", "another registry"},
		{filepath.Join(old, storage.Root), "the source's own storage", "another registry"},
	} {
		_, err := graft.Open(tt.dir, openSource(t, old), nil)
		if err == nil || !strings.Contains(err.Error(), tt.err) || !strings.Contains(report.Advice(err), tt.hint) {
			t.Errorf("%s: %v\nhint: %s", tt.dir, err, report.Advice(err))
		}
		if err := graft.Check(tt.dir); (err == nil) != strings.Contains(tt.err, "own storage") {
			t.Errorf("checking %s: %v", tt.dir, err)
		}
	}
}

// TestPlace places blobs, whoever asks for them how often.
func TestPlace(t *testing.T) {
	b, old := oldTree(t)
	s, v2 := proven(t, openSource(t, old), graft.Options{})
	var mu sync.Mutex
	put := map[string]int{}
	var wg sync.WaitGroup
	for n := range 20 {
		wg.Go(func() {
			name := []string{"one", "two"}[n%2]
			made, err := s.Place(t.Context(), fmt.Sprintf("library/app%d", n%4), b.Digest(name), int64(len(b.Bytes(name))))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if made {
				put[name]++
			}
		})
	}
	wg.Wait()
	if diff := cmp.Diff(map[string]int{"one": 1, "two": 1}, put); diff != "" {
		t.Error(diff)
	}
	for _, name := range []string{"one", "two"} {
		d := b.Digest(name)
		from, err := os.Stat(filepath.Join(old, storage.Root, storage.BlobPath(d)))
		if err != nil {
			t.Fatal(err)
		}
		to, err := os.Stat(filepath.Join(v2, storage.BlobPath(d)))
		if err != nil || !os.SameFile(from, to) {
			t.Errorf("%s is not linked: %v", name, err)
		}
		if link, err := os.ReadFile(filepath.Join(v2, storage.LayerLinkPath("library/app"+map[string]string{"one": "0", "two": "1"}[name], d))); string(link) != d.String() {
			t.Errorf("its link is %q: %v", link, err)
		}
	}
	if u := s.Usage(); u != (link.Usage{Linked: 2}) {
		t.Errorf("%+v", u)
	}
}

// TestClose clears up after a run that was interrupted, even where there is nothing
// to place; what is no work of ours stays.
func TestClose(t *testing.T) {
	b, old := oldTree(t)
	s, v2 := proven(t, openSource(t, old), graft.Options{})
	if _, err := s.Place(t.Context(), "library/app", b.Digest("one"), 15); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	want := files(t, v2)
	partial := filepath.Join(v2, ".drydock/new/7/data")
	if err := errors.Join(os.MkdirAll(filepath.Dir(partial), 0o700), os.WriteFile(partial, []byte("the fi"), 0o600)); err != nil {
		t.Fatal(err)
	}
	again, err := graft.Open(filepath.Dir(filepath.Dir(filepath.Dir(v2))), openSource(t, old), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, files(t, v2)); diff != "" {
		t.Error(diff)
	}
}

// TestPlaceDamaged places nothing whose bytes are wrong, unless it is told to
// trust them, and replaces nothing.
func TestPlaceDamaged(t *testing.T) {
	b, old := oldTree(t)
	one, two := b.Digest("one"), b.Digest("two")
	if err := os.WriteFile(filepath.Join(old, storage.Root, storage.BlobPath(one)), []byte("the f1rst layer"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, trust := range []bool{false, true} {
		s, v2 := proven(t, openSource(t, old), graft.Options{Trust: trust})
		_, err := s.Place(t.Context(), "library/app", one, 15)
		_, missing := os.Stat(filepath.Join(v2, storage.BlobPath(one)))
		if errors.Is(err, push.ErrDamaged) == trust || os.IsNotExist(missing) == trust {
			t.Errorf("trusted %v: %v, and in the storage: %v", trust, err, missing)
		}
	}

	s, v2 := proven(t, openSource(t, old), graft.Options{Link: link.Copy})
	there := filepath.Join(v2, storage.BlobPath(two))
	if err := errors.Join(os.MkdirAll(filepath.Dir(there), 0o755), os.WriteFile(there, []byte("the second"), 0o644)); err != nil {
		t.Fatal(err)
	}
	var wrong *tree.WrongSizeError
	if _, err := s.Place(t.Context(), "library/app", two, 16); !errors.As(err, &wrong) || wrong.Size != 10 || wrong.Want != 16 {
		t.Errorf("%v", err)
	}
	if content, err := os.ReadFile(there); string(content) != "the second" {
		t.Errorf("it is %q now: %v", content, err)
	}
	if found := s.Findings(); len(found) != 1 || found[0].Code != report.TargetBlob {
		t.Errorf("%+v", found)
	}
}
