package serve_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

// TestDamagedBlobs holds that wrong bytes, found in no other way than by hashing
// them, never come as a whole answer, whatever is asked first.
func TestDamagedBlobs(t *testing.T) {
	for _, size := range []string{"10", "262144", "262145", "524288", "3000000"} {
		for _, header := range []string{"", "Range: bytes=0-", "Range: bytes=0-4", `If-None-Match: "x"`} {
			s := start(t, "random base "+size+"\nimage amd amd64 base\ntag library/app v1 amd\ncorrupt blob:base", plan.Rules{})
			for n := range 2 {
				got := s.ask("GET", "/v2/library/app/blobs/<base>", header)
				sent := got.status == 200 && got.broken
				if !sent && (got.status != 404 || got.code() != "BLOB_UNKNOWN" || got.header.Get("ETag") != "" || got.header.Get("Docker-Content-Digest") != "") {
					t.Errorf("%s bytes, %q, time %d: status %d, %d bytes, broken %v, %v", size, header, n, got.status, len(got.body), got.broken, got.header)
				}
				if n == 1 && sent {
					t.Errorf("%s bytes, %q: begun again though it is known", size, header)
				}
			}
			if head := s.ask("HEAD", "/v2/library/app/blobs/<base>"); head.status != 404 {
				t.Errorf("%s bytes, %q: HEAD: status %d", size, header, head.status)
			}
		}
	}
}

// TestChangedMeanwhile has files change, vanish and become unreadable after they
// were scanned.
func TestChangedMeanwhile(t *testing.T) {
	s := start(t, "random base 3000000\nimage amd amd64 base top\nimage two amd64 base\ntag library/app v1 amd\ntag library/app v2 two", plan.Rules{})
	path := func(name string) string {
		return filepath.Join(s.root, storagetest.V2, storage.BlobPath(s.tree.Digest(name)))
	}
	if got := s.ask("GET", "/v2/library/app/blobs/<base>"); got.status != 200 {
		t.Fatalf("status %d", got.status)
	}
	for _, step := range []struct {
		what   string
		do     func() error
		path   string
		status int
		code   string
	}{
		{"other bytes", func() error { return os.WriteFile(path("base"), make([]byte, 3000000), 0o644) }, "blobs/<base>", 200, ""},
		{"shorter", func() error { return os.Truncate(path("base"), 10) }, "blobs/<base>", 404, "BLOB_UNKNOWN"},
		{"gone", func() error { return os.Remove(path("base")) }, "blobs/<base>", 404, "BLOB_UNKNOWN"},
		{"a directory", func() error { return os.Mkdir(path("base"), 0o755) }, "blobs/<base>", 404, "BLOB_UNKNOWN"},
		{"a FIFO", func() error { os.Remove(path("base")); return syscall.Mkfifo(path("base"), 0o644) }, "blobs/<base>", 404, "BLOB_UNKNOWN"},
		{"a loop", func() error { os.Remove(path("base")); return os.Symlink("data", path("base")) }, "blobs/<base>", 500, "UNKNOWN"},
		{"a manifest's byte", func() error { return os.WriteFile(path("amd"), []byte("{}"), 0o644) }, "manifests/v1", 404, "MANIFEST_UNKNOWN"},
		{"a manifest is a loop", func() error { os.Remove(path("two")); return os.Symlink("data", path("two")) }, "manifests/v2", 500, "UNKNOWN"},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		got := s.ask("GET", "/v2/library/app/"+step.path)
		if got.status != step.status || got.code() != step.code || (got.status == 200 && !got.broken) {
			t.Errorf("%s: status %d, code %q, broken %v", step.what, got.status, got.code(), got.broken)
		}
	}
}

func TestIncomplete(t *testing.T) {
	damaged := tree + "remove blob:top-arm\n"
	s := start(t, damaged, plan.Rules{})
	for path, status := range map[string]int{"manifests/v1": 404, "manifests/v2": 200, "manifests/<multi>": 404, "manifests/<arm>": 404} {
		if got := s.ask("GET", "/v2/library/app/"+path); got.status != status {
			t.Errorf("skip: %s: status %d, want %d", path, got.status, status)
		}
	}
	s = start(t, damaged, plan.Rules{Incomplete: plan.TrimIncomplete})
	got := s.ask("GET", "/v2/library/app/manifests/v1")
	d := got.header.Get("Docker-Content-Digest")
	if got.status != 200 || digest.FromString(got.body).String() != d || strings.Contains(got.body, s.tree.Digest("arm").String()) {
		t.Fatalf("trim: status %d, digest %s: %s", got.status, d, got.body)
	}
	if again := s.ask("GET", "/v2/library/app/manifests/"+d); again.body != got.body {
		t.Errorf("trim, by digest: status %d: %s", again.status, again.body)
	}
	if old := s.ask("GET", "/v2/library/app/manifests/<multi>"); old.status != 404 {
		t.Errorf("trim, old digest: status %d", old.status)
	}
}

// tarOf writes a tree into a tar.
func tarOf(t *testing.T, root string) string {
	t.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := errors.Join(w.AddFS(os.DirFS(root)), w.Close()); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "registry.tar")
	if err := os.WriteFile(name, archive.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// overwrite puts other bytes in the place of the last ones of a blob, in the file
// that they lie in, and holds that this is a later time there.
func overwrite(t *testing.T, name string, blob []byte) {
	t.Helper()
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	content, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(content, blob)
	if at < 0 {
		t.Fatalf("%s has no such blob", name)
	}
	later := time.Now().Add(time.Second)
	if _, err := file.WriteAt([]byte("other bytes"), int64(at+len(blob)-11)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(name, later, later); err != nil {
		t.Fatal(err)
	}
}

// interfering does something when an answer's first bytes come.
type interfering struct {
	*httptest.ResponseRecorder
	do func()
}

func (i *interfering) Write(p []byte) (int, error) {
	if i.do != nil {
		i.do()
		i.do = nil
	}
	return i.ResponseRecorder.Write(p)
}

// TestOverwritten has a blob's bytes change in place, in a directory and in a tar,
// after they were hashed: before the next request, and in the middle of it.
func TestOverwritten(t *testing.T) {
	for _, form := range []string{"directory", "tar"} {
		for _, size := range []string{"100", "3000000"} {
			for _, header := range []string{"", "Range: bytes=20-"} {
				for _, when := range []string{"before", "meanwhile"} {
					t.Run(form+" "+size+" "+header+" "+when, func(t *testing.T) {
						s := start(t, "random base "+size+"\nimage amd amd64 base\ntag library/app v1 amd", plan.Rules{})
						place := filepath.Join(s.root, storagetest.V2, storage.BlobPath(s.tree.Digest("base")))
						if form == "tar" {
							tree := s.tree
							place = tarOf(t, s.root)
							s = open(t, place, plan.Rules{})
							s.tree = tree
						}
						if got := s.ask("GET", "/v2/library/app/blobs/<base>"); got.status != 200 || got.broken {
							t.Fatalf("at first: %d", got.status)
						}
						change := func() { overwrite(t, place, s.tree.Bytes("base")) }
						if when == "before" {
							change()
							change = nil
						}
						req := httptest.NewRequest("GET", s.expand("/v2/library/app/blobs/<base>"), nil)
						if name, value, ok := strings.Cut(header, ": "); ok {
							req.Header.Set(name, value)
						}
						w := &interfering{httptest.NewRecorder(), change}
						func() {
							defer func() {
								if broken := recover(); broken != nil && broken != http.ErrAbortHandler {
									panic(broken)
								}
							}()
							s.ServeHTTP(w, req)
						}()
						small := when == "meanwhile" && size == "100" // read before its first byte goes
						if whole := fmt.Sprint(w.Body.Len()) == w.Header().Get("Content-Length"); whole && w.Code < 300 && !small {
							t.Errorf("status %d, and all of %d wrong bytes", w.Code, w.Body.Len())
						}
					})
				}
			}
		}
	}
}

// TestReplaced has a blob whose bytes are wrong replaced by what it should be, with
// the same size and time, as restoring it from a backup does.
func TestReplaced(t *testing.T) {
	s := start(t, "random base 3000000\nimage amd amd64 base\ntag library/app v1 amd\ncorrupt blob:base", plan.Rules{})
	name := filepath.Join(s.root, storagetest.V2, storage.BlobPath(s.tree.Digest("base")))
	if got := s.ask("GET", "/v2/library/app/blobs/<base>"); !got.broken {
		t.Fatalf("damaged: status %d", got.status)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	right := filepath.Join(t.TempDir(), "data")
	if err := errors.Join(os.WriteFile(right, s.tree.Bytes("base"), 0o644), os.Chtimes(right, info.ModTime(), info.ModTime()), os.Rename(right, name)); err != nil {
		t.Fatal(err)
	}
	if got := s.ask("GET", "/v2/library/app/blobs/<base>"); got.status != 200 || got.broken {
		t.Errorf("restored: status %d, broken %v", got.status, got.broken)
	}
}
