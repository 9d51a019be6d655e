package bundle_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seed-5b48bd9d/drydock/pkg/bundle"
	"github.com/seed-5b48bd9d/drydock/pkg/dirlayout"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/plan/plantest"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

// tree is a registry's storage, scanned and planned.
type tree struct {
	*storagetest.Builder
	dir string
	src source.Source
	x   *storage.Index
	p   *plan.Plan
}

// load scans the tree at a location.
func load(t testing.TB, location string, rules plan.Rules) tree {
	t.Helper()
	l := plantest.Load(t, location, nil, rules)
	if len(l.Plan.Images) == 0 {
		t.Fatalf("%s has no images", location)
	}
	return tree{storagetest.New(), location, l.Source, l.Index, l.Plan}
}

// write makes a tree of lines, damaged ones before it is scanned.
func write(t testing.TB, text string, rules plan.Rules) tree {
	t.Helper()
	b, dir := storagetest.Make(t, text)
	tr := load(t, dir, rules)
	tr.Builder = b
	return tr
}

// file is where a name's bytes lie in the tree.
func (tr tree) file(name string) string {
	return filepath.Join(tr.dir, storagetest.V2, tr.Path("blob:"+name))
}

func (tr tree) bundle(t testing.TB, opts *bundle.Options) *bundle.Bundle {
	t.Helper()
	b, err := bundle.New(tr.x, tr.p, opts)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// archive gives the archive's bytes, and what became of writing them.
func (tr tree) archive(t testing.TB, opts *bundle.Options) ([]byte, *bundle.Result) {
	t.Helper()
	var b bytes.Buffer
	made := tr.bundle(t, opts)
	res, err := made.Write(t.Context(), tr.src, &b)
	if err != nil {
		t.Fatal(err)
	}
	if made.Size() != int64(b.Len()) || res.Bytes != made.Size() {
		t.Errorf("foreseen were %d bytes, there are %d, told %d", made.Size(), b.Len(), res.Bytes)
	}
	return b.Bytes(), res
}

// save writes the bundle into a file of a new directory.
func (tr tree) save(t testing.TB, name string, opts *bundle.Options) (string, *bundle.Result) {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	res, err := tr.bundle(t, opts).WriteFile(t.Context(), tr.src, file)
	if err != nil {
		t.Fatal(err)
	}
	return file, res
}

// convert makes layouts of the tree's images.
func (tr tree) convert(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	l, err := dirlayout.Open(dir, tr.src, &dirlayout.Options{Path: tr.x.Path})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range tr.p.Images {
		if _, err := l.Write(context.Background(), i); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// unpack unpacks an archive with GNU tar, which has to have nothing to say.
func unpack(t testing.TB, archive []byte, dir string) {
	t.Helper()
	if out, err := tar(archive, dir); err != nil || out != "" {
		t.Fatalf("unpacking: %v: %s", err, out)
	}
}

func tar(archive []byte, dir string) (string, error) {
	cmd := exec.Command("tar", "x", "-C", dir)
	cmd.Stdin = bytes.NewReader(archive)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// unpackNew unpacks into a new directory.
func unpackNew(t testing.TB, archive []byte) string {
	t.Helper()
	dir := t.TempDir()
	unpack(t, archive, dir)
	return dir
}

// sha256sum has GNU sha256sum check a file of checksums; it gives the files
// that are not as they should be.
func sha256sum(t testing.TB, file string) (wrong []string) {
	t.Helper()
	cmd := exec.Command("sha256sum", "-c", "--strict", "--quiet", filepath.Base(file))
	cmd.Dir = filepath.Dir(file)
	out, err := cmd.Output()
	for line := range strings.Lines(string(out)) {
		wrong = append(wrong, strings.TrimSuffix(strings.TrimSpace(line), ": FAILED"))
	}
	if (err != nil) != (len(wrong) > 0) {
		t.Errorf("checking %s: %v", file, err)
	}
	return wrong
}

// snapshot is every file below a directory, with its bytes and with the first
// name of its inode, and every layout's directory with its time.
func snapshot(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	var seen []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		info, err := e.Info()
		switch {
		case err != nil:
			return err
		case e.IsDir() && strings.ContainsAny(e.Name(), ":@"):
			all[name] = fmt.Sprint("directory of ", info.ModTime().Truncate(time.Second).UTC())
		case !e.IsDir():
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			at := slices.IndexFunc(seen, func(other string) bool { return sameFile(t, filepath.Join(dir, other), path) })
			if at < 0 {
				at, seen = len(seen), append(seen, name)
			}
			all[name] = fmt.Sprintf("%x, %d bytes", sha256.Sum256(content), len(content))
			if e.Name() != "version" { // of which convert makes one, and a bundle has one for each layout
				all[name] += ", as " + seen[at]
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func sameFile(t testing.TB, a, b string) bool {
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

// names lists a directory.
func names(t testing.TB, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// statuses says what became of the images, but for those that are done.
func statuses(res *bundle.Result) (all []string) {
	for _, o := range res.Outcomes {
		if o.Status != report.Done {
			all = append(all, fmt.Sprintf("%s %s: %s", o.Status, o.Source, o.Error))
		}
	}
	slices.Sort(all)
	return all
}

// images names an inventory's images, those that are left out with a minus.
func images(inv *bundle.Inventory) (all []string) {
	for _, i := range inv.Images {
		if i.LeftOut {
			all = append(all, "-"+i.Name())
		} else {
			all = append(all, i.Name())
		}
	}
	return all
}

func diff(t testing.TB, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// sample has all that layouts can hold.
const sample = `
image amd amd64 base app
image arm arm64 base app-arm
index multi amd arm
index deep multi
image big amd64 sha512:long
image both amd64 long
docker old amd64 base
schema1 oldest base
image win windows/amd64 foreign:windows app
artifact sig application/sig amd s1
helm chart chart-layer
random heavy 3000000
blob void ""
image fat amd64 heavy base void
tag library/app v1 amd
tag library/app multi multi
tag library/app deep deep
tag library/app again multi
tag library/big v1 big
tag library/both v1 both
tag library/old docker old
tag library/old schema1 oldest
tag win latest win
tag charts/web 0.1.0 chart
tag a/fat latest fat
tag single latest amd
push library/app sig
`
