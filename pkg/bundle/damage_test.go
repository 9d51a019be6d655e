package bundle_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/bundle"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// change rewrites a file of a tree that is scanned already.
func change(how func([]byte) []byte) func(t *testing.T, path string) {
	return func(t *testing.T, path string) {
		if err := os.WriteFile(path, how(read(t, path)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

var (
	flip = change(func(b []byte) []byte { b = bytes.Clone(b); b[len(b)/2] ^= 1; return b })
	cut  = change(func(b []byte) []byte { return b[:len(b)/2] })
	grow = change(func(b []byte) []byte { return append(slices.Clip(b), "and more"...) })
	none = func(t *testing.T, path string) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	dir = func(t *testing.T, path string) {
		none(t, path)
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
)

// TestDamage: bytes that are not what they should be, or not there, cost the
// images that need them and nothing else.
func TestDamage(t *testing.T) {
	for _, tt := range []struct {
		name, of string
		damage   func(t *testing.T, path string)
		code     report.Code
		images   []string
	}{
		{"small", "app", flip, report.BlobCorrupt, []string{"library/app:again", "library/app:deep", "library/app:multi", "library/app:v1", "single:latest", "win:latest"}},
		{"small cut", "s1", cut, report.BlobTruncated, []string{"library/app@sha256:<sig>"}},
		{"small gone", "s1", none, report.BlobMissing, []string{"library/app@sha256:<sig>"}},
		{"small a directory", "s1", dir, report.BlobNotAFile, []string{"library/app@sha256:<sig>"}},
		{"small empty", "s1", change(func([]byte) []byte { return nil }), report.BlobTruncated, []string{"library/app@sha256:<sig>"}},
		{"large", "heavy", flip, report.BlobCorrupt, []string{"a/fat:latest"}},
		{"large cut", "heavy", cut, report.BlobTruncated, []string{"a/fat:latest"}},
		{"large gone", "heavy", none, report.BlobMissing, []string{"a/fat:latest"}},
		{"manifest", "chart", flip, report.ManifestDamaged, []string{"charts/web:0.1.0"}},
		{"manifest gone", "chart", none, report.ManifestMissing, []string{"charts/web:0.1.0"}},
		{"child", "arm", cut, report.ManifestDamaged, []string{"library/app:again", "library/app:deep", "library/app:multi"}},
		{"two digests", "long", flip, report.BlobCorrupt, []string{"library/big:v1", "library/both:v1"}},
		{"small longer", "app", grow, "", nil},
		{"large longer", "heavy", grow, "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := write(t, sample, plan.Rules{})
			sound, _ := tr.archive(t, nil)
			tt.damage(t, tr.file(tt.of))
			archive, res := tr.archive(t, nil) // as long as foreseen
			tr.hasFailed(t, archive, sound, res, tt.images, tr.Digest(tt.of).Encoded())
			for _, f := range res.Findings {
				if f.Code != tt.code || f.Path != tr.Path("blob:"+tt.of) || f.Level != report.Skip {
					t.Errorf("%+v", f)
				}
			}
			if (len(res.Findings) > 0) != (tt.code != "") {
				t.Errorf("%d findings", len(res.Findings))
			}
		})
	}
}

// hasFailed holds an archive with damage against the one that there would have
// been without. The digits are those of the damaged blob or manifest.
func (tr tree) hasFailed(t *testing.T, archive, sound []byte, res *bundle.Result, failed []string, digits string) {
	t.Helper()
	var got []string
	for _, o := range res.Outcomes {
		if o.Status == report.Failed {
			got = append(got, tr.Symbolic(o.Source))
		}
	}
	diff(t, failed, sorted(got))
	for _, i := range res.Inventory.Images {
		if slices.Contains(failed, tr.Symbolic(i.Name())) {
			t.Errorf("the inventory has %s", i.Name())
		}
	}
	diff(t, len(res.Outcomes)-len(failed), len(res.Inventory.Images))
	if res.Inventory.Manifest(digest.Digest("sha256:"+digits)) != nil && len(failed) > 0 {
		t.Error("the inventory has the manifest")
	}

	a, b := unpackNew(t, archive), unpackNew(t, sound)
	wrong := sha256sum(t, filepath.Join(a, "SHA256SUMS"))
	if (len(wrong) > 0) != (len(failed) > 0) {
		t.Errorf("%d checksums are wrong", len(wrong))
	}
	is, want := snapshot(t, a), snapshot(t, b)
	for name := range want {
		same := is[name] == want[name]
		if same == slices.Contains(wrong, name) && name != "SHA256SUMS" {
			t.Errorf("%s is %q, without damage %q; checksums are wrong of %q", name, is[name], want[name], wrong)
		}
	}
	diff(t, len(want), len(is))
}

// TestDamagedSum: the sha256 of a blob that is known by its sha512 alone cannot
// be told where its bytes are not there. No bytes are taken for it.
func TestDamagedSum(t *testing.T) {
	for name, size := range map[string]string{"small": "100", "large": "2000000"} {
		t.Run(name, func(t *testing.T) {
			tr := write(t, "random long "+size+"\nimage big amd64 sha512:long\nimage sound amd64 base\ntag a/big v1 big\ntag a/sound v1 sound\n", plan.Rules{})
			sound, _ := tr.archive(t, nil)
			flip(t, tr.file("long"))
			archive, res := tr.archive(t, nil)
			tr.hasFailed(t, archive, sound, res, []string{"a/big:v1"}, "")
			if n := bytes.Count(archive, []byte(strings.Repeat("0", 64)+"  a/big:v1/")); n != 2 {
				t.Errorf("%d checksums of nothing", n)
			}
		})
	}
}

// TestAllDamaged: even then, there is an archive.
func TestAllDamaged(t *testing.T) {
	tr := write(t, sample, plan.Rules{})
	if err := os.RemoveAll(filepath.Join(tr.dir, "docker/registry/v2/blobs")); err != nil {
		t.Fatal(err)
	}
	archive, res := tr.archive(t, nil)
	for _, o := range res.Outcomes {
		if o.Status != report.Failed || o.Error == "" {
			t.Errorf("%+v", o)
		}
	}
	diff(t, 0, len(res.Inventory.Images)+len(res.Inventory.Manifests)+len(res.Inventory.Blobs))
	unpackNew(t, archive)
}

// faulty is a source in which one file cannot be read beyond some bytes.
type faulty struct {
	fs.FS
	name  string
	after int
	fail  func() error // called instead of reading on
	opens map[string]int
}

func (f *faulty) Open(name string) (fs.File, error) {
	if f.opens != nil {
		f.opens[name]++
	}
	file, err := f.FS.Open(name)
	if err == nil && name == f.name {
		file = &faultyFile{file, f.after, f.fail}
	}
	return file, err
}

type faultyFile struct {
	fs.File
	left int
	fail func() error
}

func (f *faultyFile) Read(p []byte) (int, error) {
	if f.left == 0 {
		if err := f.fail(); err != nil {
			return 0, err
		}
		return f.File.Read(p)
	}
	n, err := f.File.Read(p[:min(len(p), f.left)])
	f.left -= n
	return n, err
}

var errDisk = errors.New("input/output error")

// TestUnreadable: a read error is not taken for wrong bytes, nor for absence.
func TestUnreadable(t *testing.T) {
	for name, after := range map[string]int{"heavy": 2_000_000, "app": 3, "base": 0, "chart": 10} {
		t.Run(name, func(t *testing.T) {
			tr := write(t, sample, plan.Rules{})
			src := &faulty{FS: tr.src, name: tr.Path("blob:" + name), after: after, fail: func() error { return errDisk }}
			var archive bytes.Buffer
			made := tr.bundle(t, nil)
			res, err := made.Write(t.Context(), src, &archive)
			if err != nil {
				t.Fatal(err)
			}
			diff(t, made.Size(), int64(archive.Len()))
			if len(res.Findings) != 1 || res.Findings[0].Code != report.Unreadable || res.Findings[0].Detail != errDisk.Error() {
				t.Errorf("%+v", res.Findings)
			}
			for _, o := range res.Outcomes {
				if o.Status == report.Failed && !strings.Contains(o.Error, errDisk.Error()) {
					t.Errorf("%+v", o)
				}
			}
			if len(statuses(res)) == 0 {
				t.Error("no image failed")
			}
			unpackNew(t, archive.Bytes())
		})
	}
}

// TestCancelled: the end of the context is heeded within a blob.
func TestCancelled(t *testing.T) {
	tr := write(t, "random heavy 20000000\nimage fat amd64 heavy\ntag a/fat latest fat\n", plan.Rules{})
	ctx, cancel := context.WithCancel(t.Context())
	reads := 0
	src := &faulty{FS: tr.src, name: tr.Path("blob:heavy"), after: 3_000_000, fail: func() error { cancel(); reads++; return nil }}
	res, err := tr.bundle(t, nil).Write(ctx, src, io.Discard)
	if !errors.Is(err, context.Canceled) || res != nil || reads == 0 || reads > 2 {
		t.Errorf("error %v after %d reads", err, reads)
	}
}
