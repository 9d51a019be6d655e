package tree_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
	"github.com/seed-5b48bd9d/drydock/pkg/tree"
)

// The owner of a Harbor's registry.
const harborUser = 10000

func owners(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil {
			stat := info.Sys().(*syscall.Stat_t)
			found[path] = strings.Join([]string{info.Mode().String(), itoa(stat.Uid), itoa(stat.Gid)}, " ")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func itoa(id uint32) string {
	if id == harborUser {
		return "harbor"
	}
	return "other"
}

// TestOwner: what is new belongs to the tree's owner, with the tree's modes; what
// is shared with the source stays as it is, and what its owner could not read is
// copied.
func TestOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	for _, refuse := range []bool{false, true} {
		if refuse {
			tree.RefuseMoves(t)
		}
		o := newOrigin(t, func(b *storagetest.Builder) { b.Chmod("blob:own", 0o640) })
		source := owners(t, o.dir)
		dir := t.TempDir()
		v2 := filepath.Join(dir, storagetest.V2)
		if err := errors.Join(os.MkdirAll(v2, 0o755), os.Chown(v2, harborUser, harborUser), os.Chmod(v2, 0o750)); err != nil {
			t.Fatal(err)
		}
		w := o.open(t, dir, tree.Options{})
		usage := link.Usage{Linked: 3, Copied: int64(len(o.Bytes("own")))}
		for _, name := range names {
			placed := o.put(t, w, name)
			if shared := placed == tree.Linked; shared != (name != "own") {
				t.Errorf("%s was placed so: %d", name, placed)
			}
			if placed == tree.Cloned { // where there are reflinks
				usage.Linked, usage.Copied = 4, 0
			}
		}
		if _, err := w.Link(o.app()); err != nil {
			t.Fatal(err)
		}
		usage.Why = "user 10000, whom the tree belongs to, could not read " + o.file("own") + ", which is -rw-r-----"
		diff(t, "usage", usage, w.Usage())
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		diff(t, "the source's owners", source, owners(t, o.dir))
		for path, is := range owners(t, v2) {
			want := "-rw-r----- harbor harbor"
			switch {
			case strings.HasPrefix(is, "d"):
				want = "drwxr-x--- harbor harbor"
			case filepath.Base(path) == "data" && !strings.Contains(path, o.Digest("own").Encoded()):
				want = "-rw-r--r-- other other" // the source's own
			}
			if is != want {
				t.Errorf("%s is %s, want %s", path, is, want)
			}
		}
		insists := o.open(t, dir, tree.Options{Link: link.Hardlink})
		if err := os.RemoveAll(filepath.Dir(filepath.Join(v2, o.Path("blob:own")))); err != nil {
			t.Fatal(err)
		}
		if _, err := insists.Blob(t.Context(), o.Digest("own"), int64(len(o.Bytes("own")))); err == nil || report.Advice(err) == "" {
			t.Errorf("error %v", err)
		}
	}
}

// TestNewOwner: a new tree belongs to the owner of the directory that is given.
func TestNewOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	o := newOrigin(t)
	dir := t.TempDir()
	if err := os.Chown(dir, harborUser, harborUser); err != nil {
		t.Fatal(err)
	}
	w := o.open(t, dir, tree.Options{})
	if _, err := w.Link(o.app()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for path, is := range owners(t, filepath.Join(dir, "docker")) {
		if is != "drwxr-xr-x harbor harbor" && is != "-rw-r--r-- harbor harbor" {
			t.Errorf("%s is %s", path, is)
		}
	}
}

// TestRegistrysOwner: a tree that belongs to root at its top is somebody else's all
// the same, as what its registry made in it shows; and what that one could not read
// is copied.
func TestRegistrysOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	const made = "blobs/sha256/00/made"
	for _, tt := range []struct {
		name          string
		theirs, other string // directories of Harbor's user and of another one
		like, want    string
	}{
		{name: "nobody's", want: "other"},
		{name: "of the tree below", theirs: "blobs", want: "harbor"},
		{name: "what was made", theirs: made, like: made, want: "harbor"},
		{name: "rather than the tree", theirs: made, other: ".", like: made, want: "harbor"},
		{name: "made by root", theirs: ".", like: made, want: "harbor"},
		{name: "not there", theirs: ".", like: "blobs/nowhere", want: "harbor"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOrigin(t, func(b *storagetest.Builder) { b.Chmod("blob:own", 0o600) })
			dir := t.TempDir()
			v2 := filepath.Join(dir, storagetest.V2)
			if err := os.MkdirAll(filepath.Join(v2, made), 0o755); err != nil {
				t.Fatal(err)
			}
			if tt.other != "" {
				if err := os.Chown(filepath.Join(v2, tt.other), 7, 7); err != nil {
					t.Fatal(err)
				}
			}
			if tt.theirs != "" {
				if err := os.Chown(filepath.Join(v2, tt.theirs), harborUser, harborUser); err != nil {
					t.Fatal(err)
				}
			}
			w := o.open(t, dir, tree.Options{Like: tt.like})
			if linked := o.put(t, w, "own") == tree.Linked; linked != (tt.want == "other") {
				t.Errorf("linked %v", linked)
			}
			if _, err := w.LinkLayer("library/app", o.Digest("own")); err != nil {
				t.Fatal(err)
			}
			for path, is := range owners(t, filepath.Join(v2, "repositories")) {
				if !strings.HasSuffix(is, tt.want+" "+tt.want) {
					t.Errorf("%s is %s", path, is)
				}
			}
		})
	}
}
