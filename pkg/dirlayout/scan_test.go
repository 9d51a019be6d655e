package dirlayout_test

import (
	"context"
	"errors"
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
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// TestRoundTrip holds the plan of a tree against the plan of its layouts.
func TestRoundTrip(t *testing.T) {
	trees, err := filepath.Glob("../../testdata/distribution-*/docker")
	if err != nil || len(trees) == 0 {
		t.Fatalf("no trees: %v", err)
	}
	for _, dir := range trees {
		t.Run(filepath.Base(filepath.Dir(dir)), func(t *testing.T) {
			rules := plan.Rules{Untagged: true, Target: &plan.Target{Project: "library", Rewrites: []plan.Rewrite{{From: "team", To: "new/team"}}}}
			tr := load(t, dir, rules)
			layouts := t.TempDir()
			tr.convert(t, layouts, link.Auto)
			x, err := scan(t, layouts)
			if err != nil {
				t.Fatal(err)
			}
			p, err := plan.New(x, rules)
			if err != nil {
				t.Fatal(err)
			}
			opts := cmp.Options{cmpopts.EquateEmpty(), cmpopts.EquateApproxTime(time.Second)}
			if d := cmp.Diff(tr.p.Images, p.Images, opts); d != "" {
				t.Errorf("-tree +layouts:\n%s", d)
			}
			if len(p.LeftOut) > 0 {
				t.Errorf("left out: %v", p.LeftOut)
			}
			for _, i := range p.Images {
				if _, err := os.Stat(filepath.Join(layouts, dirlayout.Locate(os.DirFS(layouts).(dirlayout.FS), i), "manifest.json")); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// scanned lists what the layouts hold, and the findings about them.
func scanned(t *testing.T, dir string) (images, findings []string) {
	t.Helper()
	x, err := scan(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.New(x, plan.Rules{Untagged: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range p.Images {
		images = append(images, i.Source.String())
	}
	for _, l := range p.LeftOut {
		images = append(images, "-"+l.Source.String()+" "+string(l.Code))
	}
	for _, f := range p.Findings {
		if f.Level == report.Skip {
			findings = append(findings, strings.TrimSpace(fmt.Sprintf("%s %s", f.Code, f.Path)))
		}
	}
	return images, findings
}

func TestScanDamaged(t *testing.T) {
	tr := write(t, t.TempDir(), "image amd amd64 base\nimage arm arm64 l-arm\nindex multi amd arm\nartifact lone application/x - l-lone\ntag a multi multi\npush a lone\n", plan.Rules{Untagged: true})
	hex := func(name string) string { return tr.Digest(name).Encoded() }
	lone, amd := "a@sha256:"+hex("lone"), "a@sha256:"+hex("amd")
	for _, tt := range []struct {
		name, path string
		damage     func(path string) error
		images     []string // nil: both as they are
		finding    string   // begins so
	}{
		{"blob gone", "a:multi/" + hex("l-arm"), os.Remove, []string{amd, lone, "-a:multi blob-missing"}, "blob-missing"},
		{"blob short", "a:multi/" + hex("l-arm"), func(path string) error { return replace(path, []byte("x")) }, []string{amd, lone, "-a:multi blob-truncated"}, "blob-truncated"},
		{"blob empty", "a:multi/" + hex("l-arm"), func(path string) error { return replace(path, nil) }, []string{amd, lone, "-a:multi blob-empty"}, "blob-empty"},
		{"blob a FIFO", "a:multi/" + hex("l-arm"), func(path string) error { return errorsOf(os.Remove(path), mkfifo(path)) }, []string{amd, lone, "-a:multi blob-not-a-file"}, "blob-not-a-file"},
		{"blob a directory", "a:multi/" + hex("l-arm"), func(path string) error { return errorsOf(os.Remove(path), os.Mkdir(path, 0o755)) }, []string{amd, lone, "-a:multi blob-not-a-file"}, "blob-not-a-file"},
		{"child gone", "a:multi/" + hex("arm") + ".manifest.json", os.Remove, []string{amd, lone, "-a:multi index-incomplete"}, "index-incomplete"},
		{"child another", "a:multi/" + hex("arm") + ".manifest.json", func(path string) error { return replace(path, tr.Bytes("amd")) }, []string{amd, lone, "-a:multi manifest-damaged"}, "manifest-damaged"},
		{"manifest gone", "a:multi/manifest.json", os.Remove, []string{lone}, "manifest-missing a:multi"},
		{"manifest a FIFO", "a:multi/manifest.json", func(path string) error { return errorsOf(os.Remove(path), mkfifo(path)) }, []string{lone}, "unreadable a:multi"},
		{"manifest no JSON", "a:multi/manifest.json", func(path string) error { return replace(path, []byte("{")) }, []string{lone, "-a:multi manifest-invalid"}, "manifest-invalid"},
		{"manifest dangling", "a:multi/manifest.json", func(path string) error { return errorsOf(os.Remove(path), os.Symlink("nowhere", path)) }, []string{lone}, "unreadable a:multi"},
		{"manifest not of its name", lone + "/manifest.json", func(path string) error { return replace(path, tr.Bytes("amd")) }, []string{"a:multi"}, "manifest-damaged"},
		{"no digest", lone, func(path string) error { return os.Rename(path, filepath.Join(filepath.Dir(path), "a@sha256:00")) }, []string{"a:multi"}, "repository-name a@sha256:00"},
		{"no tag", "a:multi", func(path string) error { return os.Rename(path, path+"\x1b[31m") }, []string{lone}, "repository-name a:multi"},
		{"two colons", "a:multi", func(path string) error { return os.Rename(path, path+":x") }, []string{lone}, "repository-name a:multi:x"},
		{"two at signs", lone, func(path string) error { return os.Rename(path, path+"@x") }, []string{"a:multi"}, "repository-name "},
		{"upper case", "a:multi", func(path string) error { return os.Rename(path, filepath.Join(filepath.Dir(path), "A:multi")) }, []string{lone}, "repository-name A:multi"},
		{"no UTF-8", "a:multi", func(path string) error { return os.Rename(path, filepath.Join(filepath.Dir(path), "\xff\xfe:v1")) }, []string{lone}, "repository-name \xff\xfe:v1"},
		{"a link to a layout", "a:multi", func(path string) error { return os.Symlink(path, filepath.Join(filepath.Dir(path), "b:multi")) }, []string{"a:multi", lone, "b:multi"}, ""},
		{"a link to layouts", "a:multi", func(path string) error {
			return os.Symlink(filepath.Dir(path), filepath.Join(filepath.Dir(path), "self"))
		}, []string{"a:multi", lone}, "unreadable self"},
		{"a link to nothing", "a:multi", func(path string) error { return os.Symlink("nowhere", filepath.Join(filepath.Dir(path), "c:v1")) }, []string{"a:multi", lone}, "repository-loop c:v1"},
		{"without a tag", "a:multi", func(path string) error { return os.Rename(path, filepath.Join(filepath.Dir(path), "b")) }, []string{lone, "b:latest"}, ""},
		{"hidden", "a:multi", func(path string) error { return os.Mkdir(filepath.Join(filepath.Dir(path), ".drydock"), 0o755) }, []string{"a:multi", lone}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			layouts := layoutsOf(t, tr)
			if err := tt.damage(filepath.Join(layouts, tt.path)); err != nil {
				t.Fatal(err)
			}
			images, findings := scanned(t, layouts)
			slices.Sort(tt.images)
			slices.Sort(images)
			diff(t, tt.images, images)
			switch {
			case tt.finding == "" && len(findings) > 0,
				tt.finding != "" && !slices.ContainsFunc(findings, func(f string) bool { return strings.HasPrefix(f, tt.finding) }):
				t.Errorf("findings %q, want %q", findings, tt.finding)
			}
		})
	}
}

func TestScanTwice(t *testing.T) {
	tr := write(t, t.TempDir(), "image amd amd64 base\nimage arm arm64 base\ntag a latest amd\n", plan.Rules{})
	layouts := layoutsOf(t, tr)
	other := write(t, t.TempDir(), "image arm arm64 base\ntag a latest arm\n", plan.Rules{})
	if err := os.CopyFS(filepath.Join(layouts, "a"), os.DirFS(filepath.Join(layoutsOf(t, other), "a:latest"))); err != nil {
		t.Fatal(err)
	}
	images, findings := scanned(t, layouts)
	diff(t, []string{"a:latest"}, images)
	diff(t, []string{"target-collision a:latest"}, findings)
}

func TestScanNothing(t *testing.T) {
	empty := os.DirFS(t.TempDir()).(dirlayout.FS)
	if x, err := dirlayout.Scan(context.Background(), empty, nil); x != nil || !errors.Is(err, dirlayout.ErrNoLayouts) {
		t.Errorf("empty: error %v", err)
	}
	absent := os.DirFS(filepath.Join(t.TempDir(), "x")).(dirlayout.FS)
	if x, err := dirlayout.Scan(context.Background(), absent, nil); x != nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: error %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := dirlayout.Scan(ctx, empty, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
}

func TestScanThroughLink(t *testing.T) {
	tr := write(t, t.TempDir(), sample, plan.Rules{})
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(layoutsOf(t, tr), link); err != nil {
		t.Fatal(err)
	}
	x, err := scan(t, link)
	if err != nil {
		t.Fatal(err)
	}
	if r := x.Repository("library/app"); r == nil || len(r.Tags) != 3 {
		t.Errorf("repository %+v", r)
	}
}
