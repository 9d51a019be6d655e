package dirlayout_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seed-5b48bd9d/drydock/pkg/dirlayout"
	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/plan/plantest"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

// tree is a registry's tree on the disk, scanned and planned.
type tree struct {
	*storagetest.Builder
	dir string
	src source.Source
	x   *storage.Index
	p   *plan.Plan
}

// load scans the tree of a registry's root directory.
func load(t testing.TB, dir string, rules plan.Rules) tree {
	t.Helper()
	l := plantest.Load(t, dir, nil, rules)
	return tree{storagetest.New(), dir, l.Source, l.Index, l.Plan}
}

// scan scans a directory of layouts.
func scan(t testing.TB, dir string) (*storage.Index, error) {
	t.Helper()
	src, err := source.Open(context.Background(), dir, nil)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { src.Close() })
	return dirlayout.Scan(context.Background(), src, nil)
}

// write makes a tree of lines below dir.
func write(t testing.TB, dir, text string, rules plan.Rules) tree {
	t.Helper()
	b, err := storagetest.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.WriteTo(dir); err != nil {
		t.Fatal(err)
	}
	tr := load(t, dir, rules)
	tr.Builder = b
	return tr
}

func (tr tree) open(t testing.TB, dir string, method link.Method) *dirlayout.Layouts {
	t.Helper()
	l, err := dirlayout.Open(dir, tr.src, &dirlayout.Options{Link: method, Path: tr.x.Path})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// convert makes all layouts.
func (tr tree) convert(t testing.TB, dir string, method link.Method) link.Usage {
	t.Helper()
	l := tr.open(t, dir, method)
	for _, i := range tr.p.Images {
		if _, err := l.Write(context.Background(), i); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Usage()
}

// image is the plan's image of a name.
func (tr tree) image(t testing.TB, name string) plan.Image {
	t.Helper()
	at := slices.IndexFunc(tr.p.Images, func(i plan.Image) bool { return i.Source.String() == name })
	if at < 0 {
		t.Fatalf("%s is not planned", name)
	}
	return tr.p.Images[at]
}

// file is where a name's bytes lie in the tree.
func (tr tree) file(name string) string {
	return filepath.Join(tr.dir, storagetest.V2, tr.Path("blob:"+name))
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

// list gives all paths below a directory, directories with a slash.
func list(t testing.TB, dir string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if e.IsDir() {
			rel += "/"
		}
		paths = append(paths, filepath.ToSlash(rel))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// snapshot is every path of a tree with its mode, its time and its bytes.
func snapshot(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, path := range list(t, dir) {
		info, err := os.Lstat(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		sum := [32]byte{}
		if info.Mode().IsRegular() {
			content, err := os.ReadFile(filepath.Join(dir, path))
			if err != nil {
				t.Fatal(err)
			}
			sum = sha256.Sum256(content)
		}
		all[path] = fmt.Sprintf("%s %s %x", info.Mode(), info.ModTime().Format(time.RFC3339Nano), sum)
	}
	return all
}

func diff(t *testing.T, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

const sample = `
image amd amd64 base app
image arm arm64 base app-arm
index multi amd arm
index deep multi
image big amd64 sha512:long
artifact sig application/sig amd s1
tag library/app v1 amd
tag library/app multi multi
tag library/app deep deep
tag library/big v1 big
tag single latest amd
push library/app sig
`

func TestContents(t *testing.T) {
	tr := write(t, t.TempDir(), sample, plan.Rules{})
	before := snapshot(t, tr.dir)
	layouts := filepath.Join(t.TempDir(), "not", "there")
	usage := tr.convert(t, layouts, link.Auto)
	diff(t, before, snapshot(t, tr.dir))

	amd := []string{"<amd-config>", "<base>", "<app>"}
	arm := []string{"<arm-config>", "<base>", "<app-arm>"}
	want := []string{"library/", "single:latest/", "library/app:v1/", "library/app:multi/", "library/app:deep/", "library/big:v1/", "library/app@sha256:<sig>/"}
	add := func(dir string, lists ...[]string) {
		for _, name := range slices.Concat(append(lists, []string{"manifest.json", "version"})...) {
			want = append(want, dir+name)
		}
	}
	add("single:latest/", amd)
	add("library/app:v1/", amd)
	add("library/app:multi/", amd, arm[:1], arm[2:], []string{"<amd>.manifest.json", "<arm>.manifest.json"})
	add("library/app:deep/", amd, arm[:1], arm[2:], []string{"<amd>.manifest.json", "<arm>.manifest.json", "<multi>.manifest.json"})
	add("library/app@sha256:<sig>/", []string{"<sig-config>", "<s1>"})
	long := tr.Expand("<long:sha512>")
	add("library/big:v1/", []string{"<big-config>", tr.Symbolic(long), "sha512-" + tr.Symbolic(long)})
	var got []string
	for _, path := range list(t, layouts) {
		got = append(got, tr.Symbolic(path))
	}
	slices.Sort(want)
	slices.Sort(got)
	diff(t, want, got)

	for path, name := range map[string]string{
		"single:latest/manifest.json": "amd", "library/app:multi/manifest.json": "multi", "library/app:deep/<multi>.manifest.json": "multi",
		"library/app:v1/<base>": "base", "library/app:deep/<arm-config>": "arm-config", "library/big:v1/" + long: "long", "library/big:v1/sha512-" + long: "long",
	} {
		if !sameFile(t, filepath.Join(layouts, tr.Expand(path)), tr.file(name)) {
			t.Errorf("%s is no hard link to %s", path, name)
		}
	}
	for path, version := range map[string]string{"library/app:deep": "1.1", "library/big:v1": "1.2"} {
		content, err := os.ReadFile(filepath.Join(layouts, path, "version"))
		if err != nil || string(content) != "Directory Transport Version: "+version+"\n" {
			t.Errorf("%s: version %q, error %v", path, content, err)
		}
	}
	files := 0
	for _, path := range got {
		if !strings.HasSuffix(path, "/") && !strings.HasSuffix(path, "/version") {
			files++
		}
	}
	diff(t, link.Usage{Linked: files}, usage)
}

func TestTrimmed(t *testing.T) {
	tr := write(t, t.TempDir(), sample+"remove blob:app-arm\n", plan.Rules{Incomplete: plan.TrimIncomplete})
	layouts := t.TempDir()
	tr.convert(t, layouts, link.Auto)
	deep := tr.image(t, "library/app:deep")
	for d, content := range deep.Trim.Contents {
		name := d.Encoded() + ".manifest.json"
		if d == deep.Manifest.Digest {
			name = "manifest.json"
		}
		got, err := os.ReadFile(filepath.Join(layouts, "library/app:deep", name))
		if err != nil {
			t.Error(err)
		}
		diff(t, string(content), string(got))
	}
	x, err := scan(t, layouts)
	if err != nil {
		t.Fatal(err)
	}
	if c := x.Closure(deep.Manifest.Digest); !c.Whole() {
		t.Errorf("the cut index is not whole: %v", c.Problems)
	}
}

func TestExisting(t *testing.T) {
	tr := write(t, t.TempDir(), sample, plan.Rules{})
	layouts := t.TempDir()
	tr.convert(t, layouts, link.Auto)
	made := func() (names []string) {
		t.Helper()
		l := tr.open(t, layouts, link.Auto)
		defer l.Close()
		for _, i := range tr.p.Images {
			switch made, err := l.Write(context.Background(), i); {
			case err != nil:
				t.Fatal(err)
			case made:
				names = append(names, tr.Symbolic(i.LayoutPath()))
			}
		}
		return names
	}
	before := snapshot(t, layouts)
	diff(t, []string(nil), made())
	diff(t, before, snapshot(t, layouts))

	deep := filepath.Join(layouts, "library/app:deep")
	for name, damage := range map[string]func() error{
		"blob gone":          func() error { return os.Remove(filepath.Join(deep, tr.Digest("base").Encoded())) },
		"manifest gone":      func() error { return os.Remove(filepath.Join(deep, "manifest.json")) },
		"version gone":       func() error { return os.Remove(filepath.Join(deep, "version")) },
		"child gone":         func() error { return os.Remove(filepath.Join(deep, tr.Digest("arm").Encoded()+".manifest.json")) },
		"of another image":   func() error { return replace(filepath.Join(deep, "manifest.json"), tr.Bytes("amd")) },
		"blob of other size": func() error { return replace(filepath.Join(deep, tr.Digest("app").Encoded()), []byte("x")) },
		"all but version": func() error {
			return errorsOf(os.RemoveAll(deep), os.Mkdir(deep, 0o755), replace(filepath.Join(deep, "version"), nil))
		},
		"empty directory": func() error { return errorsOf(os.RemoveAll(deep), os.Mkdir(deep, 0o755)) },
		"dangling links": func() error {
			return errorsOf(os.Remove(filepath.Join(deep, "manifest.json")), os.Symlink("/nowhere", filepath.Join(deep, "manifest.json")))
		},
		"a FIFO for manifest": func() error {
			return errorsOf(os.Remove(filepath.Join(deep, "manifest.json")), mkfifo(filepath.Join(deep, "manifest.json")))
		},
		"a FIFO for version": func() error {
			return errorsOf(os.Remove(filepath.Join(deep, "version")), mkfifo(filepath.Join(deep, "version")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := damage(); err != nil {
				t.Fatal(err)
			}
			diff(t, []string{"library/app:deep"}, made())
			if !sameFile(t, filepath.Join(deep, "manifest.json"), tr.file("deep")) {
				t.Error("it was not made anew")
			}
		})
	}
	diff(t, slices.Collect(keys(before)), slices.Collect(keys(snapshot(t, layouts))))
}

func TestInTheWay(t *testing.T) {
	tr := write(t, t.TempDir(), sample, plan.Rules{})
	i := tr.image(t, "library/app:v1")
	for name, place := range map[string]func(path string) error{
		"a file": func(path string) error { return replace(path, []byte("mine")) },
		"somebody's directory": func(path string) error {
			return errorsOf(os.Mkdir(path, 0o755), replace(filepath.Join(path, "notes.txt"), []byte("mine")))
		},
		"a directory with more": func(path string) error {
			return errorsOf(os.MkdirAll(filepath.Join(path, "src"), 0o755), replace(filepath.Join(path, "version"), []byte("7")))
		},
		"a link to such a thing": func(path string) error { return os.Symlink(t.TempDir(), path) },
	} {
		t.Run(name, func(t *testing.T) {
			layouts := t.TempDir()
			if err := os.Mkdir(filepath.Join(layouts, "library"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := place(filepath.Join(layouts, "library/app:v1")); err != nil {
				t.Fatal(err)
			}
			before := snapshot(t, layouts)
			l := tr.open(t, layouts, link.Auto)
			if _, err := l.Write(context.Background(), i); err == nil || report.Advice(err) == "" {
				t.Errorf("error %v, advice %q", err, report.Advice(err))
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			diff(t, before, snapshot(t, layouts))
		})
	}
}

func TestRemove(t *testing.T) {
	tr := write(t, t.TempDir(), sample, plan.Rules{})
	for _, layouts := range []string{t.TempDir(), t.TempDir() + "/./"} {
		tr.convert(t, layouts, link.Auto)
		l := tr.open(t, layouts, link.Auto)
		if err := l.Remove(tr.image(t, "library/app:v1")); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(layouts, "library/app:multi")); err != nil {
			t.Error(err)
		}
		for range 2 { // a second time it is no error
			for _, i := range tr.p.Images {
				if err := l.Remove(i); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		diff(t, []string(nil), list(t, layouts))
	}
}

// TestTooLong has a name that a registry may have and no directory can.
func TestTooLong(t *testing.T) {
	tr := write(t, t.TempDir(), "image a amd64 l\ntag "+strings.Repeat("x", 200)+" "+strings.Repeat("y", 100)+" a\n", plan.Rules{})
	layouts := t.TempDir()
	l := tr.open(t, layouts, link.Auto)
	if _, err := l.Write(context.Background(), tr.p.Images[0]); err == nil || report.Advice(err) == "" {
		t.Errorf("error %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	diff(t, []string(nil), list(t, layouts))
}
