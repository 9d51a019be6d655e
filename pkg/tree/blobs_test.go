package tree_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
	"github.com/seed-5b48bd9d/drydock/pkg/tree"
)

// TestDamagedSource: no wrong byte gets into the tree, nor anything else of what
// is in a blob's place; and nothing is left of it in the work directory.
func TestDamagedSource(t *testing.T) {
	place := "blob:base"
	for _, tt := range []struct {
		name   string
		damage func(*storagetest.Builder)
		err    error // nil: any
	}{
		{"a bit", func(b *storagetest.Builder) { b.Corrupt(place) }, tree.ErrWrongBytes},
		{"shorter", func(b *storagetest.Builder) { b.Truncate(place, 7) }, nil},
		{"longer", func(b *storagetest.Builder) { b.Truncate(place, 80_000) }, nil},
		{"gone", func(b *storagetest.Builder) { b.Remove(place) }, os.ErrNotExist},
		{"a directory", func(b *storagetest.Builder) { b.Mkdir(place) }, nil},
		{"a FIFO", func(b *storagetest.Builder) { b.Mkfifo(place) }, source.ErrNotRegular},
	} {
		for _, method := range []link.Method{link.Auto, link.Copy} {
			t.Run(tt.name+" by "+string(method), func(t *testing.T) {
				o := newOrigin(t, tt.damage)
				dir := filepath.Join(t.TempDir(), "new")
				w := o.open(t, dir, tree.Options{Link: method})
				for range 2 {
					_, err := w.Blob(t.Context(), o.Digest("base"), 70_000)
					if err == nil || tt.err != nil && !errors.Is(err, tt.err) {
						t.Errorf("error %v", err)
					}
				}
				diff(t, "usage", link.Usage{}, w.Usage())
				for name := range contents(t, dir) {
					t.Errorf("there is %s", name)
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("a tree of nothing is left: %v", err)
				}
			})
		}
	}
}

// TestTrust: who says so has links made of what is there, unread.
func TestTrust(t *testing.T) {
	o := newOrigin(t, func(b *storagetest.Builder) { b.Corrupt("blob:base") })
	w := o.open(t, t.TempDir(), tree.Options{Trust: true})
	if placed := o.put(t, w, "base"); placed != tree.Linked {
		t.Errorf("it was placed so: %d", placed)
	}
	for _, size := range []int64{69_999, 70_001} {
		if _, err := o.open(t, t.TempDir(), tree.Options{Trust: true}).Blob(t.Context(), o.Digest("base"), size); err == nil {
			t.Errorf("with %d bytes, not 70,000, it is taken", size)
		}
	}
	byCopy := o.open(t, t.TempDir(), tree.Options{Trust: true, Link: link.Copy})
	if _, err := byCopy.Blob(t.Context(), o.Digest("base"), 70_000); !errors.Is(err, tree.ErrWrongBytes) {
		t.Errorf("copied: error %v", err)
	}
}

// opening is a source that counts how often files are opened.
type opening struct {
	source.Source
	times *int
}

func (o opening) Open(name string) (fs.File, error) {
	*o.times++
	return o.Source.Open(name)
}

// TestHashedOnce: a blob is read once, right or wrong, however many images need it.
func TestHashedOnce(t *testing.T) {
	o := newOrigin(t, func(b *storagetest.Builder) { b.Corrupt("blob:own") })
	times := 0
	o.src = opening{o.src, &times}
	w := o.open(t, t.TempDir(), tree.Options{})
	for range 3 {
		o.put(t, w, "base")
		if _, err := w.Blob(t.Context(), o.Digest("own"), int64(len(o.Bytes("own")))); !errors.Is(err, tree.ErrWrongBytes) {
			t.Errorf("error %v", err)
		}
	}
	if times != 2 {
		t.Errorf("files were opened %d times", times)
	}
}

// TestExistingBlob: what is in a blob's place is never replaced, nor opened.
func TestExistingBlob(t *testing.T) {
	o := newOrigin(t)
	d, size := o.Digest("base"), int64(70_000)
	for _, tt := range []struct {
		name  string
		make  func(path string) error
		fails bool
		finds bool
	}{
		{"of this size", func(path string) error { return os.WriteFile(path, make([]byte, size), 0o600) }, false, false},
		{"of another size", func(path string) error { return os.WriteFile(path, []byte("half"), 0o600) }, true, true},
		{"of no size", func(path string) error { return os.WriteFile(path, nil, 0o600) }, true, true},
		{"a directory", func(path string) error { return os.Mkdir(path, 0o700) }, true, false},
		{"a FIFO", func(path string) error { return syscall.Mkfifo(path, 0o600) }, true, false},
		{"a link out of it", func(path string) error { return os.Symlink(o.file("base"), path) }, true, false},
		{"a link to nothing", func(path string) error { return os.Symlink("nothing", path) }, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, storagetest.V2, o.Path("blob:base"))
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), tt.make(path)); err != nil {
				t.Fatal(err)
			}
			before := files(t, filepath.Join(dir, storagetest.V2, "blobs"))
			w := o.open(t, dir, tree.Options{Existing: true})
			for range 2 {
				placed, err := w.Blob(t.Context(), d, size)
				wrong, finds := errors.AsType[*tree.WrongSizeError](err)
				if placed != tree.WasThere || (err != nil) != tt.fails || finds != tt.finds {
					t.Errorf("it was placed so: %d, error %v", placed, err)
				}
				if finds && (wrong.Digest != d || wrong.Want != size || wrong.Path != o.Path("blob:base")) {
					t.Errorf("it says %+v", wrong)
				}
			}
			if found := w.Findings(); tt.finds != (len(found) == 1 && found[0].Code == report.TargetBlob && found[0].Path == o.Path("blob:base")) {
				t.Errorf("found %+v", found)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			diff(t, "blobs", before, files(t, filepath.Join(dir, storagetest.V2, "blobs")))
		})
	}
}

// TestEmptyDirectory: what a registry leaves of a blob that it deleted is no blob.
func TestEmptyDirectory(t *testing.T) {
	for _, refuse := range []bool{false, true} {
		if refuse {
			tree.RefuseMoves(t)
		}
		o := newOrigin(t)
		dir := t.TempDir()
		path := filepath.Join(dir, storagetest.V2, o.Path("blob:base"))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if placed := o.put(t, o.open(t, dir, tree.Options{}), "base"); placed != tree.Linked || !sameFile(t, path, o.file("base")) {
			t.Errorf("it was placed so: %d", placed)
		}
	}
}

func TestContent(t *testing.T) {
	o := newOrigin(t)
	dir := t.TempDir()
	w := o.open(t, dir, tree.Options{})
	content := []byte("content")
	for _, d := range []digest.Digest{digest.FromBytes(content), digest.SHA512.FromBytes(content)} {
		if placed, err := w.Content(t.Context(), d, content); placed != tree.Copied || err != nil {
			t.Errorf("it was placed so: %d, error %v", placed, err)
		}
		path := filepath.Join(w.Dir(), "blobs", d.Algorithm().String(), d.Encoded()[:2], d.Encoded(), "data")
		if got, err := os.ReadFile(path); string(got) != "content" || err != nil {
			t.Errorf("%q is there, error %v", got, err)
		}
	}
	if _, err := w.Content(t.Context(), digest.FromString("another"), content); !errors.Is(err, tree.ErrWrongBytes) {
		t.Errorf("error %v", err)
	}
	for _, d := range []digest.Digest{"", "sha256:../../../../x", "md5:00", "sha256:00"} {
		if _, err := w.Content(t.Context(), d, content); err == nil {
			t.Errorf("%q is a digest", d)
		}
	}
}

// TestSideBySide places blobs and links from many sides.
func TestSideBySide(t *testing.T) {
	o := newOrigin(t)
	dir := t.TempDir()
	w := o.open(t, dir, tree.Options{})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for _, name := range names {
				if _, err := w.Blob(t.Context(), o.Digest(name), int64(len(o.Bytes(name)))); err != nil {
					t.Error(err)
				}
			}
			if _, err := w.Link(o.app()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	diff(t, "usage", link.Usage{Linked: len(names)}, w.Usage())
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	diff(t, "the tree", contents(t, o.dir), contents(t, dir))
}

func TestCancelled(t *testing.T) {
	o := newOrigin(t)
	for _, method := range []link.Method{link.Auto, link.Copy} {
		w := o.open(t, t.TempDir(), tree.Options{Link: method})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := w.Blob(ctx, o.Digest("base"), 70_000); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		if placed := o.put(t, w, "base"); placed == tree.WasThere {
			t.Error("it is there")
		}
	}
}
