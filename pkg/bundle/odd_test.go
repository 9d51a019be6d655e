package bundle_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-5b48bd9d/drydock/pkg/bundle"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
)

// TestTrimmed: an index that was cut is in the bundle as it was cut, though the
// source does not have it.
func TestTrimmed(t *testing.T) {
	tr := write(t, "image ok amd64 base\nimage bad arm64 l-bad\nindex multi ok bad\nindex deep multi ok\ntag app multi multi\ntag app deep deep\ntag app more deep\nremove blob:l-bad\n",
		plan.Rules{Incomplete: plan.TrimIncomplete})
	archive, res := tr.archive(t, nil)
	diff(t, []string(nil), statuses(res))
	dir := unpackNew(t, archive)
	diff(t, []string(nil), sha256sum(t, filepath.Join(dir, "SHA256SUMS")))
	for _, i := range tr.p.Images {
		if i.Trim == nil {
			t.Errorf("%s is not trimmed", i.Source)
		}
		content := read(t, filepath.Join(dir, i.LayoutPath(), "manifest.json"))
		diff(t, string(i.Trim.Contents[i.Manifest.Digest]), string(content))
	}
	if !sameFile(t, filepath.Join(dir, "app:deep/manifest.json"), filepath.Join(dir, "app:more/manifest.json")) {
		t.Error("two images of one new index do not share its bytes")
	}
	inv, err := bundle.ReadInventory(bytes.NewReader(read(t, filepath.Join(dir, bundle.InventoryName))))
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range inv.Images {
		if m := inv.Manifest(i.Digest); m == nil || len(m.Manifests) == 0 {
			t.Errorf("the inventory does not know the manifest of %s", i.Name())
		}
	}
}

// TestTrimmedToTheSame: indexes that differ in what is not there are one, then.
func TestTrimmedToTheSame(t *testing.T) {
	tr := write(t, "image ok amd64 base\nimage bad arm64 l-bad\nimage worse arm64 l-worse\nindex one ok bad\nindex two ok worse\npush app one\npush app two\nremove blob:l-bad\nremove blob:l-worse\n",
		plan.Rules{Incomplete: plan.TrimIncomplete, Untagged: true})
	if len(tr.p.Images) != 2 || tr.p.Images[0].LayoutPath() != tr.p.Images[1].LayoutPath() {
		t.Fatalf("%d images planned", len(tr.p.Images))
	}
	archive, res := tr.archive(t, nil)
	diff(t, 2, len(res.Outcomes))
	diff(t, []string(nil), statuses(res))
	dir := unpackNew(t, archive)
	diff(t, []string{tr.p.Images[0].LayoutPath(), bundle.InventoryName, "SHA256SUMS"}, sorted(names(t, dir)))
}

func sorted(all []string) []string {
	slices.SortFunc(all, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	return all
}

// TestOddTimes: a tag's time may be none, before 1970, or beyond what a header
// of a tar holds.
func TestOddTimes(t *testing.T) {
	tr := write(t, "image one amd64 base\ntag a/app v1 one\ntag a/app v2 one\ntag a/app v3 one\ntag a/app v4 one\n", plan.Rules{})
	times := []time.Time{{}, time.Unix(-1000, 999), time.Unix(1<<33, 5e8), time.Unix(1<<40, 0)}
	for n := range tr.p.Images {
		tr.p.Images[n].Updated = times[n]
	}
	archive, res := tr.archive(t, nil)
	dir := t.TempDir()
	if out, err := tar(archive, dir); err != nil { // which has something to say about the first and the last
		t.Fatal(err, out)
	}
	for n, want := range []int64{0, -1000, 1 << 33, 0} {
		info, err := os.Stat(filepath.Join(dir, tr.p.Images[n].LayoutPath()))
		if err != nil || info.ModTime().Unix() != want {
			t.Errorf("%s: %v, want %d; error %v", tr.p.Images[n].Source, info.ModTime().Unix(), want, err)
		}
		if got := res.Inventory.Images[n].Updated; (want == 0) != got.IsZero() || (want != 0 && got.Unix() != want) {
			t.Errorf("%s: the inventory says %v", tr.p.Images[n].Source, got)
		}
	}
}

// TestReservedName: a repository that would lie in the inventory's place is no
// reason to stop.
func TestReservedName(t *testing.T) {
	tr := write(t, "image one amd64 base\ntag a/app v1 one\ntag drydock-inventory.json/x v1 one\ntag drydock-inventory.json v1 one\n", plan.Rules{})
	archive, res := tr.archive(t, nil)
	diff(t, []string{"failed drydock-inventory.json/x:v1: its layout would lie in the place of drydock-inventory.json"}, statuses(res))
	diff(t, []string{"a/app:v1", "drydock-inventory.json:v1"}, images(res.Inventory))
	diff(t, []string{"a", bundle.InventoryName, "drydock-inventory.json:v1", "SHA256SUMS"}, sorted(names(t, unpackNew(t, archive))))
}
