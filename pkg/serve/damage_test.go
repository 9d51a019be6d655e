package serve_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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
