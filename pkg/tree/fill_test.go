package tree_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
	"github.com/seed-5b48bd9d/drydock/pkg/tree"
)

// elsewhere is a directory on another file system than t.TempDir's.
func elsewhere(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "drydock-test-*")
	if err != nil {
		t.Skipf("no second file system: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Link(dir, filepath.Join(t.TempDir(), "x")); !errors.Is(err, syscall.EXDEV) {
		own := filepath.Join(t.TempDir(), "own")
		if err := errors.Join(os.WriteFile(own, nil, 0o600), os.Link(own, filepath.Join(dir, "own"))); !errors.Is(err, syscall.EXDEV) {
			t.Skip("/dev/shm is the file system of the temporary directory")
		}
	}
	return dir
}

// TestOtherFileSystem: where there are no links, blobs are copied, and it is said
// why; unless links are insisted on.
func TestOtherFileSystem(t *testing.T) {
	o := newOrigin(t)
	w := o.open(t, elsewhere(t), tree.Options{})
	if placed := o.put(t, w, "base"); placed != tree.Copied {
		t.Errorf("it was placed so: %d", placed)
	}
	if u := w.Usage(); u.Copied != 70_000 || u.Linked != 0 || !strings.Contains(u.Why, syscall.EXDEV.Error()) {
		t.Errorf("usage %+v", u)
	}
	for _, method := range []link.Method{link.Hardlink, link.Reflink} {
		w := o.open(t, elsewhere(t), tree.Options{Link: method})
		if _, err := w.Blob(t.Context(), o.Digest("base"), 70_000); !link.Refused(err) || report.Advice(err) == "" {
			t.Errorf("%s: error %v", method, err)
		}
	}
}

// TestNoLocalFiles: of an archive that is read in place, blobs are copied.
func TestNoLocalFiles(t *testing.T) {
	o := newOrigin(t)
	o.src = struct{ source.Source }{o.src} // without LocalPath
	if placed := o.put(t, o.open(t, t.TempDir(), tree.Options{}), "base"); placed != tree.Copied {
		t.Errorf("it was placed so: %d", placed)
	}
	if _, err := o.open(t, t.TempDir(), tree.Options{Link: link.Hardlink}).Blob(t.Context(), o.Digest("base"), 70_000); err == nil {
		t.Error("it was hard-linked")
	}
}

// knowing is a source that knows digests, right or wrong.
type knowing struct {
	source.Dir
	digest digest.Digest
	opened bool
}

func (k *knowing) Digest(string, digest.Algorithm) (digest.Digest, bool) { return k.digest, true }

func TestKnownDigest(t *testing.T) {
	o := newOrigin(t, func(b *storagetest.Builder) { b.Corrupt("blob:own") })
	k := &knowing{Dir: o.src.(source.Dir), digest: o.Digest("own")}
	o.src = k
	w := o.open(t, t.TempDir(), tree.Options{})
	if placed := o.put(t, w, "own"); placed != tree.Linked { // it was hashed when it was unpacked
		t.Errorf("it was placed so: %d", placed)
	}
	if _, err := w.Blob(t.Context(), o.Digest("base"), 70_000); !errors.Is(err, tree.ErrWrongBytes) {
		t.Errorf("error %v", err)
	}
}

// TestRoom: what can be linked takes none, and what is there neither.
func TestRoom(t *testing.T) {
	o := newOrigin(t)
	total := int64(0)
	for _, size := range o.blobs() {
		total += size
	}
	total /= 2 // each is named twice
	if room := o.open(t, t.TempDir(), tree.Options{}).Room(o.blobs()); room != 0 {
		t.Errorf("links take %d bytes", room)
	}
	w := o.open(t, t.TempDir(), tree.Options{Link: link.Copy})
	if room := w.Room(o.blobs()); room != total {
		t.Errorf("copies take %d bytes, want %d", room, total)
	}
	o.put(t, w, "base")
	if room := w.Room(o.blobs()); room != total-70_000 {
		t.Errorf("the others take %d bytes, want %d", room, total-70_000)
	}
	if room := o.open(t, elsewhere(t), tree.Options{}).Room(o.blobs()); room != total {
		t.Errorf("elsewhere they take %d bytes, want %d", room, total)
	}
}
