package tree_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
	"github.com/seed-5b48bd9d/drydock/pkg/tree"
)

// TestWhere: a tree is found from anywhere on the way down to it, and made below
// what is to be a registry's root.
func TestWhere(t *testing.T) {
	o := newOrigin(t)
	v2 := storagetest.V2
	for _, tt := range []struct{ name, there, dir, want string }{
		{"new", "", "a/b", "a/b/" + v2},
		{"new, by its whole path", "", "a/" + v2, "a/" + v2},
		{"new, by half of it", "", "a/docker/registry", "a/" + v2},
		{"an empty directory", "a", "a", "a/" + v2},
		{"a directory of something else", "a/etc", "a", "a/" + v2},
		{"by its root", "a/" + v2 + "/blobs", "a", "a/" + v2},
		{"by docker", "a/" + v2 + "/blobs", "a/docker", "a/" + v2},
		{"by registry", "a/" + v2 + "/repositories", "a/docker/registry", "a/" + v2},
		{"by itself", "a/" + v2 + "/blobs", "a/" + v2, "a/" + v2},
		{"with a name of its own", "a/storage/repositories", "a/storage", "a/storage"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if err := os.MkdirAll(tt.there, 0o755); tt.there != "" && err != nil {
				t.Fatal(err)
			}
			w := o.open(t, tt.dir, tree.Options{})
			here, err := os.Getwd()
			if err != nil {
				t.Fatal(err)
			}
			if w.Dir() != filepath.Join(here, tt.want) {
				t.Errorf("it is in %s", w.Dir())
			}
			o.put(t, w, "base")
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if !sameFile(t, o.file("base"), filepath.Join(tt.want, o.Path("blob:base"))) {
				t.Error("the blob is not there")
			}
		})
	}
}

// TestRefusedTrees: what is no tree to write to is said, and left as it is.
func TestRefusedTrees(t *testing.T) {
	o := newOrigin(t)
	v2 := filepath.Join(o.dir, storagetest.V2)
	before := files(t, o.dir)
	for _, tt := range []struct {
		name     string
		make     func(dir string) error
		dir      string // below dir, or absolute
		existing bool
		advice   bool
	}{
		{"a file", func(dir string) error { return os.WriteFile(dir+"/file", nil, 0o600) }, "file", false, false},
		{"nothing, to be there", nil, "gone", true, false},
		{"no registry, to be there", func(dir string) error { return os.Mkdir(dir+"/a", 0o700) }, "a", true, true},
		{"layouts", func(dir string) error {
			return errors.Join(os.MkdirAll(dir+"/app:v1", 0o700), os.WriteFile(dir+"/app:v1/manifest.json", []byte("{}"), 0o600),
				os.WriteFile(dir+"/app:v1/version", []byte("Directory Transport Version: 1.1\n"), 0o600))
		}, ".", false, true},
		{"a file in the work directory's place", func(dir string) error {
			return errors.Join(os.MkdirAll(dir+"/"+storagetest.V2, 0o700), os.WriteFile(dir+"/"+storagetest.V2+"/.drydock", nil, 0o600))
		}, ".", false, false},
		{"the source", nil, o.dir, false, true},
		{"the source's own directory", nil, v2, true, true},
		{"the source by another name", func(dir string) error { return os.Symlink(o.dir, dir+"/other") }, "other", false, true},
		{"the source's blobs", func(dir string) error {
			return errors.Join(os.MkdirAll(dir+"/"+storagetest.V2, 0o700), os.Symlink(v2+"/blobs", dir+"/"+storagetest.V2+"/blobs"))
		}, ".", false, true},
		{"in the source", nil, v2 + "/blobs/new", false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if tt.make != nil {
				if err := tt.make(dir); err != nil {
					t.Fatal(err)
				}
			}
			there := files(t, dir)
			at := tt.dir
			if !filepath.IsAbs(at) {
				at = filepath.Join(dir, at)
			}
			_, err := tree.Open(at, &tree.Options{Source: o.src, Existing: tt.existing})
			if err == nil || (report.Advice(err) != "") != tt.advice {
				t.Fatalf("error %v, advice %q", err, report.Advice(err))
			}
			unchanged(t, there, files(t, dir))
		})
	}
	for _, method := range []link.Method{link.Symlink, "magic"} {
		if _, err := tree.Open(t.TempDir(), &tree.Options{Link: method}); err == nil || report.Advice(err) == "" {
			t.Errorf("%s: error %v", method, err)
		}
	}
	diff(t, "the source", before, files(t, o.dir))
}

// unchanged holds that nothing was added or changed but for the times of directories.
func unchanged(t *testing.T, before, after map[string]string) {
	t.Helper()
	for name, is := range after {
		was, ok := before[name]
		if is != was && !(ok && strings.HasPrefix(is, "d")) {
			t.Errorf("%s is %s, was %s", name, is, was)
		}
	}
	for name := range before {
		if _, ok := after[name]; !ok {
			t.Errorf("%s is gone", name)
		}
	}
}

// TestAroundTheSource: a source that lies in the tree is not taken either.
func TestAroundTheSource(t *testing.T) {
	dir := t.TempDir()
	w, err := tree.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	inner := filepath.Join(w.Dir(), "repositories", "inner")
	if err := os.MkdirAll(filepath.Join(inner, storagetest.V2, "blobs"), 0o755); err != nil {
		t.Fatal(err)
	}
	src, err := source.Open(t.Context(), inner, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Use(src, nil); err == nil || report.Advice(err) == "" {
		t.Errorf("error %v", err)
	}
}

// TestOneAtATime: two runs are kept apart, and what one left that was killed goes.
func TestOneAtATime(t *testing.T) {
	o := newOrigin(t)
	dir := t.TempDir()
	w := o.open(t, dir, tree.Options{})
	if _, err := tree.Open(dir, &tree.Options{Source: o.src}); err == nil || report.Advice(err) == "" {
		t.Errorf("a second run: error %v", err)
	}
	o.put(t, w, "base")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	work := filepath.Join(w.Dir(), ".drydock")
	left := filepath.Join(work, "new", "7")
	kept := filepath.Join(work, "unpacked")
	if err := errors.Join(os.MkdirAll(left, 0o700), os.WriteFile(left+"/data", []byte("half"), 0o600), os.Mkdir(kept, 0o700), os.WriteFile(kept+"/x", nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	again := o.open(t, dir, tree.Options{})
	if _, err := os.Lstat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was half done is there: %v", err)
	}
	if _, err := os.Lstat(kept + "/x"); err != nil {
		t.Errorf("what was unpacked is gone: %v", err)
	}
	if err := errors.Join(os.RemoveAll(kept), again.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(work); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the work directory is there: %v", err)
	}
}

// TestSymbolicLinks: those within the tree are followed, as a registry does; those
// that lead out of it are not.
func TestSymbolicLinks(t *testing.T) {
	o := newOrigin(t)
	for _, tt := range []struct {
		name, link, to string
		fails          bool
	}{
		{"blobs within", "blobs", "kept", false},
		{"blobs without", "blobs", "../elsewhere", true},
		{"blobs by a whole path", "blobs", "/usr", true},
		{"a repository within", "repositories/library", "other", false},
		{"a repository without", "repositories/library", "../../../elsewhere", true},
		{"a repository nowhere", "repositories/library", "gone", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "docker/registry/v2", tt.link)
			err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Mkdir(dir+"/docker/registry/elsewhere", 0o755), os.Symlink(tt.to, path))
			if !tt.fails {
				err = errors.Join(err, os.Mkdir(filepath.Join(filepath.Dir(path), tt.to), 0o755))
			}
			if err != nil {
				t.Fatal(err)
			}
			w := o.open(t, dir, tree.Options{})
			for _, name := range names {
				if _, e := w.Blob(t.Context(), o.Digest(name), int64(len(o.Bytes(name)))); e != nil {
					err = e
				}
			}
			if _, e := w.Link(o.app()); e != nil {
				err = e
			}
			if (err != nil) != tt.fails {
				t.Errorf("error %v", err)
			}
			if strings.Contains(tt.name, "without") && report.Advice(err) == "" {
				t.Errorf("no advice on %v", err)
			}
			if outside := files(t, dir+"/docker/registry/elsewhere"); len(outside) > 1 {
				t.Errorf("outside there is %v", outside)
			}
			if info, err := os.Lstat(path); err != nil || info.Mode()&fs.ModeSymlink == 0 {
				t.Errorf("the link is gone: %v", err)
			}
		})
	}
}

// TestUnpacked: what is unpacked for the tree is nobody else's, and becomes part
// of it, owner and all.
func TestUnpacked(t *testing.T) {
	o := newOrigin(t)
	dir := t.TempDir()
	w, err := tree.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	unpacked := filepath.Join(w.Unpacked(), "base")
	if err := errors.Join(os.Mkdir(w.Unpacked(), 0o700), os.WriteFile(unpacked, o.Bytes("base"), 0o600)); err != nil {
		t.Fatal(err)
	}
	o.src = unpackedFiles{o.src, unpacked}
	if err := w.Use(o.src, nil); err != nil {
		t.Fatal(err)
	}
	if placed := o.put(t, w, "base"); placed != tree.Linked {
		t.Errorf("it was placed so: %d", placed)
	}
	info, err := os.Stat(filepath.Join(w.Dir(), o.Path("blob:base")))
	if err != nil || info.Mode() != 0o644 {
		t.Errorf("it is %v, error %v", info, err)
	}
}

type unpackedFiles struct {
	source.Source
	path string
}

func (u unpackedFiles) LocalPath(string) (string, bool) { return u.path, true }

// TestLockGone gives a tree up while another process has its files, as one that is
// being started has: who comes next need not wait for that one.
func TestLockGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), storagetest.V2)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	w, err := tree.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.HoldLock(t, w); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := tree.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}
