package tree_test

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
	"github.com/seed-5b48bd9d/drydock/pkg/tree"
)

// origin is a registry that blobs come from.
type origin struct {
	*storagetest.Builder
	dir string
	src source.Source
}

// names are the blobs and manifests of library/app.
var names = []string{"base", "own", "amd-config", "amd"}

// newOrigin writes the tree of library/app:v1, with more in it or damage to it.
func newOrigin(t *testing.T, more ...func(*storagetest.Builder)) origin {
	t.Helper()
	b := storagetest.New()
	b.Random("base", 70_000)
	b.Image("amd", "amd64", "base", "own")
	b.Tag("library/app", "v1", "amd")
	for _, do := range more {
		do(b)
	}
	o := origin{Builder: b, dir: filepath.Join(t.TempDir(), "origin")}
	if err := b.WriteTo(o.dir); err != nil {
		t.Fatal(err)
	}
	var err error
	if o.src, err = source.Open(t.Context(), o.dir, nil); err != nil {
		t.Fatal(err)
	}
	return o
}

// file is the path of a blob's file.
func (o origin) file(name string) string {
	return filepath.Join(o.dir, storagetest.V2, o.Path("blob:"+name))
}

func (o origin) open(t *testing.T, dir string, opts tree.Options) *tree.Tree {
	t.Helper()
	opts.Source = o.src
	w, err := tree.Open(dir, &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// put places a blob, and says how it came there.
func (o origin) put(t *testing.T, w *tree.Tree, name string) tree.Placed {
	t.Helper()
	placed, err := w.Blob(t.Context(), o.Digest(name), int64(len(o.Bytes(name))))
	if err != nil {
		t.Fatal(err)
	}
	return placed
}

// app is all that makes library/app:v1.
func (o origin) app() tree.Links {
	return tree.Links{
		Repository: "library/app", Tag: "v1", Updated: storagetest.Epoch,
		Layers:    []digest.Digest{o.Digest("amd-config"), o.Digest("base"), o.Digest("own"), o.Digest("base")},
		Revisions: []digest.Digest{o.Digest("amd")},
	}
}

// files gives every path below a directory with its mode, time and content.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		found[name] = fmt.Sprintf("%s %s", info.Mode(), info.ModTime())
		if !info.Mode().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		found[name] += fmt.Sprintf(" %x", sha256.Sum256(content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// contents is files, of regular files and without modes; times only of those
// links that say when an image was pushed.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for name, is := range files(t, dir) {
		switch at := strings.LastIndexByte(is, ' '); {
		case strings.Contains(name, "_manifests/") && strings.HasSuffix(name, "/link"):
			found[name] = is
		case strings.HasPrefix(is, "-"):
			found[name] = is[at:]
		}
	}
	return found
}

func diff(t *testing.T, what string, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func sameFile(t *testing.T, a, b string) bool {
	t.Helper()
	x, err := os.Stat(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.Stat(b)
	if err != nil {
		t.Fatal(err)
	}
	return os.SameFile(x, y)
}

// TestWrite puts an image into a new tree, in every way: it is then what the
// registry that it comes from wrote itself.
func TestWrite(t *testing.T) {
	for _, method := range []link.Method{"", link.Auto, link.Hardlink, link.Copy} {
		t.Run("by "+string(method), func(t *testing.T) { testWrite(t, method) })
	}
	t.Run("without moves", func(t *testing.T) {
		tree.RefuseMoves(t)
		testWrite(t, link.Auto)
	})
}

func testWrite(t *testing.T, method link.Method) {
	o := newOrigin(t)
	before := files(t, o.dir)
	dir := filepath.Join(t.TempDir(), "new")
	w := o.open(t, dir, tree.Options{Link: method})
	want := tree.Linked
	usage := link.Usage{Linked: len(names)}
	if method == link.Copy {
		want, usage = tree.Copied, link.Usage{}
	}
	for _, name := range names {
		if placed := o.put(t, w, name); placed != want {
			t.Errorf("%s was placed so: %d", name, placed)
		}
		if placed := o.put(t, w, name); placed != tree.WasThere {
			t.Errorf("%s was placed again: %d", name, placed)
		}
		if method == link.Copy {
			usage.Copied += int64(len(o.Bytes(name)))
		}
	}
	diff(t, "usage", usage, w.Usage())
	if made, err := w.Link(o.app()); made != 6 || err != nil {
		t.Errorf("made %d links, error %v", made, err)
	}
	if made, err := w.Link(o.app()); made != 0 || err != nil {
		t.Errorf("made %d links again, error %v", made, err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := filepath.Join(dir, storagetest.V2); got != w.Dir() {
		t.Errorf("it is in %s", w.Dir())
	}
	diff(t, "the tree", contents(t, o.dir), contents(t, dir))
	for _, name := range names {
		path := filepath.Join(dir, storagetest.V2, o.Path("blob:"+name))
		if sameFile(t, o.file(name), path) != (method != link.Copy) {
			t.Errorf("%s is the source's own: %v", name, method == link.Copy)
		}
	}
	diff(t, "the source", before, files(t, o.dir))

	again := o.open(t, dir, tree.Options{Link: method})
	for _, name := range names {
		if placed := o.put(t, again, name); placed != tree.WasThere {
			t.Errorf("in another run, %s was placed: %d", name, placed)
		}
	}
	diff(t, "usage of another run", link.Usage{}, again.Usage())
}
