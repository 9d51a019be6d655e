package tree_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/tree"
)

func write(t *testing.T, s tree.Shape, seed uint64) string {
	t.Helper()
	dir, err := tree.Cached(t.Context(), t.TempDir(), s, seed)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func scan(t *testing.T, location string) *storage.Index {
	t.Helper()
	src, err := source.Open(t.Context(), location, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	x, err := storage.Scan(t.Context(), src, &storage.ScanOptions{Thorough: true, ReadData: true})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// contents is what tags name, and how large that is.
func contents(x *storage.Index) map[string]int64 {
	tags := map[string]int64{}
	for r := range x.Repositories() {
		for _, t := range r.Tags {
			tags[r.Name+":"+t.Name+" "+t.Digest.String()] = x.Closure(t.Digest).Size
		}
	}
	return tags
}

// TestWhole holds that trees have nothing that drydock finds fault with, and as
// many tags and indexes as their shapes say.
func TestWhole(t *testing.T) {
	for _, test := range []struct {
		shape   tree.Shape
		indexes int
	}{{tree.L.First(4), 8}, {tree.LittleB, 0}} {
		x := scan(t, write(t, test.shape, 3))
		for _, f := range x.Findings() {
			t.Errorf("%s: %v", test.shape.Name, f)
		}
		tags, indexes := 0, 0
		for r := range x.Repositories() {
			for _, tag := range r.Tags {
				tags++
				c := x.Closure(tag.Digest)
				if !c.Whole() || len(c.Platforms) == 0 {
					t.Errorf("%s:%s: %+v", r.Name, tag.Name, c)
				}
				if storage.IsIndex(x.Manifest(tag.Digest).MediaType) {
					indexes++
				}
			}
		}
		if tags != test.shape.AllTags() || indexes != test.indexes {
			t.Errorf("%s: %d tags, %d of them indexes", test.shape.Name, tags, indexes)
		}
		if n := x.Unreferenced(); n != 0 {
			t.Errorf("%s: %d bytes that nothing refers to", test.shape.Name, n)
		}
	}
}

// TestSeed holds that a tree is the same for the same seed, whoever writes it and
// in however large a tree it lies, and another for another one.
func TestSeed(t *testing.T) {
	two := contents(scan(t, write(t, tree.L.First(2), 7)))
	var packed bytes.Buffer
	to := tree.NewTar(&packed)
	if err := tree.Write(t.Context(), tree.L.First(2), 7, 1, to); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "tree.tar")
	if err := os.WriteFile(file, packed.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(two, contents(scan(t, file))); diff != "" {
		t.Errorf("as a directory and as a tar (-directory +tar):\n%s", diff)
	}
	three := contents(scan(t, write(t, tree.L.First(3), 7)))
	for name, size := range two {
		if three[name] != size {
			t.Errorf("%s has %d bytes in a tree of two repositories, and %d in one of three", name, size, three[name])
		}
	}
	other := contents(scan(t, write(t, tree.L.First(2), 8)))
	for name := range other {
		if _, same := two[name]; same {
			t.Errorf("%s is there with two seeds", name)
		}
	}
}

// TestInterrupted holds that nothing stands in a tree's place that is not whole.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cache := t.TempDir()
	if dir, err := tree.Cached(ctx, cache, tree.L.First(1), 1); err == nil {
		t.Errorf("no error, and %s", dir)
	}
	entries, err := os.ReadDir(cache)
	if err != nil || len(entries) > 0 {
		t.Errorf("%v left, %v", entries, err)
	}
}
