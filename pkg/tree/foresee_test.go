package tree_test

import (
	"errors"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
	"github.com/seed-5b48bd9d/drydock/pkg/tree"
)

// blobs gives the origin's blobs, and each of them twice.
func (o origin) blobs() iter.Seq2[digest.Digest, int64] {
	return func(yield func(digest.Digest, int64) bool) {
		for _, name := range append(names, names...) {
			if !yield(o.Digest(name), int64(len(o.Bytes(name)))) {
				return
			}
		}
	}
}

func (o origin) foresee(t *testing.T, dir string, opts tree.Options) *tree.Forecast {
	t.Helper()
	opts.Source = o.src
	before := files(t, dir)
	f, err := tree.Foresee(dir, o.blobs(), &opts)
	if err != nil {
		t.Fatal(err)
	}
	diff(t, "what was looked at", before, files(t, dir))
	return f
}

// TestForesee says beforehand, without a write, what placing blobs then does.
func TestForesee(t *testing.T) {
	o := newOrigin(t)
	total := int64(0)
	for _, name := range names {
		total += int64(len(o.Bytes(name)))
	}
	used := t.TempDir()
	w := o.open(t, used, tree.Options{})
	o.put(t, w, "base")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	archive := o
	archive.src = struct{ source.Source }{o.src} // without LocalPath
	for _, tt := range []struct {
		name   string
		from   origin
		dir    string
		opts   tree.Options
		there  int64
		linked int64
		why    string
	}{
		{"new", o, t.TempDir(), tree.Options{}, 0, total, ""},
		{"used", o, used, tree.Options{}, 70_000, total - 70_000, ""},
		{"copy", o, used, tree.Options{Link: link.Copy}, 70_000, 0, "--link=copy"},
		{"reflink", o, used, tree.Options{Link: link.Reflink}, 70_000, 0, "--link=reflink"},
		{"archive", archive, t.TempDir(), tree.Options{}, 0, 0, "an archive"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := tt.from.foresee(t, tt.dir, tt.opts)
			if f.There != tt.there || f.Linked != tt.linked || f.There+f.Linked+f.Copied != total || !strings.Contains(f.Why, tt.why) || (f.Why == "") != (tt.why == "") {
				t.Errorf("%+v", f)
			}
		})
	}
	t.Run("other file system", func(t *testing.T) {
		if f := o.foresee(t, elsewhere(t), tree.Options{}); f.Copied != total || !strings.Contains(f.Why, "not on one mount") {
			t.Errorf("%+v", f)
		}
	})
}

// TestForeseeOwner: what the tree's owner could not read is copied.
func TestForeseeOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("for root")
	}
	o := newOrigin(t)
	dir := t.TempDir()
	if err := errors.Join(os.Chown(dir, 10000, 10000), os.Chmod(o.file("base"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if f := o.foresee(t, dir, tree.Options{}); f.Copied != 70_000 || f.Linked == 0 || !strings.Contains(f.Why, "user 10000") {
		t.Errorf("%+v", f)
	}
}

// TestForeseeTrouble finds blobs of another size, and refuses what Open refuses.
func TestForeseeTrouble(t *testing.T) {
	o := newOrigin(t)
	dir := t.TempDir()
	file := filepath.Join(dir, storage.Root, storage.BlobPath(o.Digest("own")))
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	f := o.foresee(t, dir, tree.Options{})
	if len(f.Findings) != 1 || f.Findings[0].Code != report.TargetBlob || f.Findings[0].Digest != o.Digest("own").String() {
		t.Errorf("%+v", f)
	}
	if _, err := tree.Foresee(o.dir, o.blobs(), &tree.Options{Source: o.src}); err == nil || !strings.Contains(err.Error(), "the source's own storage") {
		t.Errorf("the source itself: %v", err)
	}
	if _, err := tree.Foresee(file, o.blobs(), &tree.Options{Source: o.src}); err == nil {
		t.Error("a file is a storage")
	}
}
