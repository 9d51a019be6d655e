package bundle_test

import (
	stdtar "archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/bundle"
	"github.com/seed-5b48bd9d/drydock/pkg/dirlayout"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// beginning is the inventory in an archive.
func beginning(t testing.TB, archive []byte) []byte {
	t.Helper()
	r := stdtar.NewReader(bytes.NewReader(archive))
	h, err := r.Next()
	if err != nil || h.Name != bundle.InventoryName {
		t.Fatalf("%v, error %v", h, err)
	}
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// inventory reads the one in an archive.
func inventory(t testing.TB, archive []byte) *bundle.Inventory {
	t.Helper()
	inv, err := bundle.ReadInventory(bytes.NewReader(beginning(t, archive)))
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

// members gives the names of an archive's files with bytes in them, and of its
// links, each with what it leads to.
func members(t testing.TB, archive []byte) (files, links []string) {
	t.Helper()
	r := stdtar.NewReader(bytes.NewReader(archive))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return files, links
		}
		if err != nil {
			t.Fatal(err)
		}
		switch h.Typeflag {
		case stdtar.TypeReg:
			files = append(files, h.Name)
		case stdtar.TypeLink:
			links = append(links, h.Name+" -> "+h.Linkname)
		}
	}
}

const january = `
image one amd64 base app
image two amd64 base lib
image arm arm64 base app-arm
index multi one arm
image gone amd64 base gone-layer
tag a/app latest one
tag a/app v1 one
tag b/multi v1 multi
tag c/gone v1 gone
`

const february = `
image one amd64 base app
image two amd64 base lib app
image arm arm64 base app-arm
index multi one arm
tag a/app latest two
tag a/app v1 one
tag a/app v2 two
tag b/multi v1 multi
tag aa/also v1 two
`

const march = `
image one amd64 base app
image two amd64 base lib app
image three amd64 lib base new gone-layer
image arm arm64 base app-arm
index multi one arm
index wide two arm three
tag a/app latest three
tag a/app v1 one
tag a/app v2 two
tag b/multi v1 multi
tag b/multi v2 wide
tag d/copy v1 one
`

// TestSince makes three bundles, each of which builds on the one before, and
// unpacks them over each other.
func TestSince(t *testing.T) {
	jan := write(t, january, plan.Rules{})
	janArchive, _ := jan.archive(t, nil)
	feb := write(t, february, plan.Rules{})
	febArchive, febRes := feb.archive(t, &bundle.Options{Since: inventory(t, janArchive)})
	mar := write(t, march, plan.Rules{})
	marArchive, marRes := mar.archive(t, &bundle.Options{Since: inventory(t, febArchive)})

	diff(t, []string{"a/app:latest", "-a/app:v1", "a/app:v2", "aa/also:v1", "-b/multi:v1"}, images(febRes.Inventory))
	diff(t, []string{"skipped a/app:v1: ", "skipped b/multi:v1: "}, statuses(febRes))
	diff(t, []string{"a/app:latest", "-a/app:v1", "-a/app:v2", "-b/multi:v1", "b/multi:v2", "d/copy:v1"}, images(marRes.Inventory))
	diff(t, inventory(t, janArchive).Digest(), febRes.Inventory.Base)
	diff(t, inventory(t, febArchive).Digest(), marRes.Inventory.Base)

	files, links := members(t, febArchive)
	diff(t, []string{
		bundle.InventoryName, "a/app:latest/manifest.json", "a/app:latest/<two-config>", "a/app:latest/<lib>", "a/app:latest/version",
		"a/app:v2/version", "aa/also:v1/version", "SHA256SUMS",
	}, symbolic(feb, files))
	// In January's a/app:latest, base and app lie under the names that they have
	// in February's: nothing need be said of them.
	diff(t, []string{
		"a/app:v2/manifest.json -> a/app:latest/manifest.json", "a/app:v2/<two-config> -> a/app:latest/<two-config>",
		"a/app:v2/<base> -> a/app:latest/<base>", "a/app:v2/<lib> -> a/app:latest/<lib>", "a/app:v2/<app> -> a/app:latest/<app>",
		"aa/also:v1/manifest.json -> a/app:latest/manifest.json", "aa/also:v1/<two-config> -> a/app:latest/<two-config>",
		"aa/also:v1/<base> -> a/app:latest/<base>", "aa/also:v1/<lib> -> a/app:latest/<lib>", "aa/also:v1/<app> -> a/app:latest/<app>",
	}, symbolic(feb, links))
	files, _ = members(t, marArchive)
	// What January had and February's images did not need is carried again.
	diff(t, []string{
		bundle.InventoryName, "a/app:latest/manifest.json", "a/app:latest/<three-config>", "a/app:latest/<new>", "a/app:latest/<gone-layer>", "a/app:latest/version",
		"b/multi:v2/manifest.json", "b/multi:v2/<two>.manifest.json", "b/multi:v2/<arm>.manifest.json", "b/multi:v2/version",
		"d/copy:v1/manifest.json", "d/copy:v1/version", "SHA256SUMS",
	}, symbolic(mar, files))

	for name, want := range map[string]string{"base": "a/app", "lib": "a/app", "app": "a/app", "app-arm": "b/multi", "two-config": "a/app"} {
		blob, ok := marRes.Inventory.Blob(mar.Digest(name))
		if !ok || blob.Repository != want || !blob.LeftOut() {
			t.Errorf("%s: %+v", name, blob)
		}
	}

	dir := unpackNew(t, janArchive)
	for _, next := range []struct {
		tree
		archive []byte
	}{{feb, febArchive}, {mar, marArchive}} {
		unpack(t, next.archive, dir)
		diff(t, []string(nil), sha256sum(t, filepath.Join(dir, "SHA256SUMS")))
		wholeLayouts(t, next.tree, dir)
	}
	if !sameFile(t, filepath.Join(dir, "d/copy:v1", mar.Digest("base").Encoded()), filepath.Join(dir, "c/gone:v1", mar.Digest("base").Encoded())) {
		t.Error("March's base is not January's")
	}
}

func symbolic(tr tree, all []string) (out []string) {
	for _, one := range all {
		out = append(out, tr.Symbolic(one))
	}
	return out
}

// wholeLayouts holds what lies in a directory against what convert makes. There
// may be more, from earlier times.
func wholeLayouts(t *testing.T, tr tree, dir string) {
	t.Helper()
	got := snapshot(t, dir)
	for name, is := range snapshot(t, tr.convert(t)) {
		want, _, _ := strings.Cut(is, ", as ")
		if !strings.HasPrefix(got[name], want) && !strings.HasPrefix(is, "directory") { // a tag's time may be new, where it names the same image
			t.Errorf("%s is %q, want %q", tr.Symbolic(name), got[name], is)
		}
	}
}

// TestSinceSame: a bundle of what the base has holds nothing, and one that
// builds on that leaves out as much.
func TestSinceSame(t *testing.T) {
	eachTree(t, func(t *testing.T, tr tree) {
		full, res := tr.archive(t, nil)
		inv := res.Inventory
		for range 3 {
			made := tr.bundle(t, &bundle.Options{Since: inv})
			diff(t, 0, made.Carried())
			archive, res := tr.archive(t, &bundle.Options{Since: inv})
			for _, o := range res.Outcomes {
				diff(t, report.Skipped, o.Status)
			}
			files, links := members(t, archive)
			diff(t, []string{bundle.InventoryName, "SHA256SUMS"}, files)
			diff(t, []string(nil), links)
			diff(t, inv.Digest(), res.Inventory.Base)
			inv = inventory(t, archive)
		}
		dir := unpackNew(t, full)
		if paths := missing(inv, dir); len(paths) > 0 {
			t.Errorf("the last inventory names what is not there: %q", paths)
		}
	})
}

// missing gives the paths of an inventory's blobs that lead nowhere.
func missing(inv *bundle.Inventory, dir string) (paths []string) {
	for _, b := range inv.Blobs {
		if info, err := os.Stat(filepath.Join(dir, b.Path)); err != nil || info.Size() != b.Size {
			paths = append(paths, b.Path)
		}
	}
	return paths
}

// TestSinceAlone: without its base, tar says what is not there, and unpacks the
// rest.
func TestSinceAlone(t *testing.T) {
	full, _ := write(t, january, plan.Rules{}).archive(t, nil)
	feb := write(t, february, plan.Rules{})
	archive, _ := feb.archive(t, &bundle.Options{Since: inventory(t, full)})
	dir := t.TempDir()
	out, err := tar(archive, dir)
	if err == nil || !strings.Contains(out, "Cannot hard link to") {
		t.Errorf("error %v: %s", err, out)
	}
	diff(t, []string(nil), sha256sum(t, filepath.Join(dir, "SHA256SUMS")))
}

// TestSinceDifferential: a differential bundle is no source for another one,
// unless that builds on the same.
func TestSinceDifferential(t *testing.T) {
	full, _ := write(t, january, plan.Rules{}).archive(t, nil)
	feb := write(t, february, plan.Rules{})
	archive, _ := feb.archive(t, &bundle.Options{Since: inventory(t, full)})
	dir := t.TempDir()
	_, _ = tar(archive, dir) // which complains
	fsys := os.DirFS(dir).(dirlayout.FS)
	x, err := bundle.Scan(t.Context(), fsys, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.New(x, plan.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := bundle.New(x, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := b.Write(t.Context(), fsys, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	diff(t, len(p.Images), len(res.Outcomes))
	for _, o := range res.Outcomes {
		if o.Status != report.Failed || !strings.Contains(o.Error, "--since-bundle") {
			t.Errorf("%+v", o)
		}
	}
	diff(t, 0, len(res.Findings))

	if b, err = bundle.New(x, p, &bundle.Options{Since: inventory(t, full)}); err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if res, err = b.Write(t.Context(), fsys, &again); err != nil {
		t.Fatal(err)
	}
	diff(t, images(inventory(t, archive)), images(res.Inventory))
	if !bytes.Equal(archive, again.Bytes()) {
		t.Error("it gives other bytes")
	}
	if !slices.ContainsFunc(res.Outcomes, func(o report.Outcome) bool { return o.Status == report.Done }) {
		t.Error("nothing is carried")
	}
}
