package tree_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
	"github.com/seed-5b48bd9d/drydock/pkg/tree"
)

// quicker has a registry write a file at the moment before it is moved there.
func quicker(t *testing.T, refused bool, path, content string) {
	t.Helper()
	tree.BeforeMoves(t, refused, func(to string) {
		if to != path && to != filepath.Dir(path) {
			return
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Error(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Error(err)
		}
	})
}

// TestQuicker: what a running registry puts there in the meantime is not replaced,
// neither a blob nor a link.
func TestQuicker(t *testing.T) {
	o := newOrigin(t)
	other := digest.FromString("other").String()
	for _, tt := range []struct {
		name, place, content string
		placed               bool // the blob, or all links
		err                  error
	}{
		{"the same blob", "blob:base", string(o.Bytes("base")), true, nil},
		{"half a blob", "blob:base", "half", false, nil},
		{"the same layer", "layer:library/app@base", o.Digest("base").String(), true, nil},
		{"another revision", "revision:library/app@amd", other, false, nil},
		{"the same tag", "tag:library/app:v1", o.Digest("amd").String(), true, nil},
		{"another tag", "tag:library/app:v1", other, false, tree.ErrTagTaken},
	} {
		for _, refused := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				dir := t.TempDir()
				path := filepath.Join(dir, storagetest.V2, o.Path(tt.place))
				w := o.open(t, dir, tree.Options{})
				quicker(t, refused, path, tt.content)
				var err error
				if strings.HasPrefix(tt.place, "blob:") {
					var placed tree.Placed
					placed, err = w.Blob(t.Context(), o.Digest("base"), 70_000)
					if placed != tree.WasThere {
						t.Errorf("it was placed so: %d", placed)
					}
				} else {
					var made int
					made, err = w.Link(o.app())
					if made == 6 {
						t.Error("all links are ours")
					}
				}
				if (err == nil) != tt.placed || tt.err != nil && !errors.Is(err, tt.err) {
					t.Errorf("error %v", err)
				}
				if content, err := os.ReadFile(path); string(content) != tt.content {
					t.Errorf("it holds %d bytes, error %v", len(content), err)
				}
			})
		}
	}
}

// TestOrder: a tag comes last, when all that it leads to has its place, and every
// file is whole before it has its name.
func TestOrder(t *testing.T) {
	o := newOrigin(t)
	dir := t.TempDir()
	var order []string
	tree.BeforeMoves(t, false, func(to string) {
		name, err := filepath.Rel(filepath.Join(dir, storagetest.V2), to)
		if err != nil {
			t.Error(err)
		}
		_, err = os.Lstat(to)
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there before it is moved: %v", name, err)
		}
		order = append(order, name)
	})
	w := o.open(t, dir, tree.Options{})
	for _, name := range names {
		o.put(t, w, name)
	}
	if _, err := w.Link(o.app()); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, place := range []string{
		"blob:base", "blob:own", "blob:amd-config", "blob:amd",
		"layer:library/app@amd-config", "layer:library/app@base", "layer:library/app@own",
		"revision:library/app@amd", "history:library/app:v1@amd", "tag:library/app:v1",
	} {
		want = append(want, filepath.Dir(o.Path(place)))
	}
	var got []string
	for _, name := range order {
		if _, err := os.Stat(filepath.Join(w.Dir(), name, "data")); err == nil {
			got = append(got, name)
		} else if _, err := os.Stat(filepath.Join(w.Dir(), name, "link")); err == nil {
			got = append(got, name)
		}
	}
	diff(t, "order", want, got)
}
