package bundle_test

import (
	stdtar "archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-5b48bd9d/drydock/pkg/bundle"
	"github.com/seed-5b48bd9d/drydock/pkg/dirlayout"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// eachTree runs a test on genuine trees and on one that has everything.
func eachTree(t *testing.T, test func(t *testing.T, tr tree)) {
	for _, name := range []string{"distribution-2.8", "distribution-3"} {
		t.Run(name, func(t *testing.T) { test(t, load(t, "../../testdata/"+name, plan.Rules{Untagged: true})) })
	}
	t.Run("sample", func(t *testing.T) { test(t, write(t, sample, plan.Rules{})) })
}

// TestLayouts: what tar makes of a bundle is what convert makes, hard links and
// all, and sha256sum has nothing against it.
func TestLayouts(t *testing.T) {
	eachTree(t, func(t *testing.T, tr tree) {
		archive, res := tr.archive(t, nil)
		dir := unpackNew(t, archive)
		diff(t, []string(nil), sha256sum(t, filepath.Join(dir, "SHA256SUMS")))
		diff(t, []string(nil), statuses(res))
		sums := strings.Split(strings.TrimSpace(string(read(t, filepath.Join(dir, "SHA256SUMS")))), "\n")

		got := snapshot(t, dir)
		for _, name := range []string{bundle.InventoryName, "SHA256SUMS"} {
			if got[name] == "" {
				t.Errorf("%s is not there", name)
			}
			delete(got, name)
		}
		diff(t, snapshot(t, tr.convert(t)), got)
		files := 1 // the inventory
		for name := range got {
			if !strings.ContainsAny(filepath.Base(name), ":@") {
				files++
			}
		}
		if len(sums) != files {
			t.Errorf("%d checksums of %d files", len(sums), files)
		}
		sameImages(t, tr.p, dir)
	})
}

// sameImages plans layouts, and finds what was planned of the tree.
func sameImages(t *testing.T, want *plan.Plan, dir string) {
	t.Helper()
	for name, scan := range map[string]func(dirlayout.FS) (*storage.Index, error){
		"layouts": func(fsys dirlayout.FS) (*storage.Index, error) { return dirlayout.Scan(t.Context(), fsys, nil) },
		"bundle":  func(fsys dirlayout.FS) (*storage.Index, error) { return bundle.Scan(t.Context(), fsys, nil) },
	} {
		x, err := scan(os.DirFS(dir).(dirlayout.FS))
		if err != nil {
			t.Fatal(err)
		}
		p, err := plan.New(x, plan.Rules{Untagged: true})
		if err != nil {
			t.Fatal(err)
		}
		diff(t, len(want.Images), len(p.Images))
		for n, i := range p.Images {
			w := want.Images[n]
			w.Updated, i.Updated = w.Updated.UTC().Truncate(time.Second), i.Updated.UTC()
			if w.Source.Tag == "" {
				w.Updated, i.Updated = time.Time{}, time.Time{}
			}
			if w.Source != i.Source || w.Size != i.Size || !slices.Equal(w.Platforms, i.Platforms) || !w.Updated.Equal(i.Updated) {
				t.Errorf("%s: %s of %d bytes for %v at %s, want %s of %d for %v at %s", name,
					i.Source, i.Size, i.Platforms, i.Updated, w.Source, w.Size, w.Platforms, w.Updated)
			}
		}
	}
}

// TestOrder: the inventory comes first and the checksums last, layouts by name,
// each blob once and before what links to it; and nothing says who made it.
func TestOrder(t *testing.T) {
	eachTree(t, func(t *testing.T, tr tree) {
		archive, _ := tr.archive(t, nil)
		r := stdtar.NewReader(bytes.NewReader(archive))
		var all, layouts []string
		files, contents := map[string]bool{}, map[string]string{}
		for {
			h, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, h.Name)
			if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" {
				t.Errorf("%s belongs to %d:%d %s:%s", h.Name, h.Uid, h.Gid, h.Uname, h.Gname)
			}
			switch h.Typeflag {
			case stdtar.TypeDir:
				layouts = append(layouts, strings.TrimSuffix(h.Name, "/"))
				diff(t, int64(0o755), h.Mode)
				continue
			case stdtar.TypeLink:
				if !files[h.Linkname] {
					t.Errorf("%s is a link to %s, which is not there yet", h.Name, h.Linkname)
				}
			case stdtar.TypeReg:
				content, err := io.ReadAll(r)
				if err != nil {
					t.Fatal(err)
				}
				if first := contents[string(content)]; first != "" && filepath.Base(h.Name) != "version" {
					t.Errorf("%s has the bytes of %s", h.Name, first)
				}
				contents[string(content)] = h.Name
				files[h.Name] = true
			default:
				t.Errorf("%s is of the type %c", h.Name, h.Typeflag)
			}
			diff(t, int64(0o644), h.Mode)
			diff(t, int64(0), h.ModTime.Unix())
			if h.Format == stdtar.FormatPAX != (len(filepath.Base(h.Name)) > 100 || len(h.Linkname) > 100) {
				t.Errorf("%s is in the form %v", h.Name, h.Format)
			}
		}
		if all[0] != bundle.InventoryName || all[len(all)-1] != "SHA256SUMS" || !slices.IsSorted(layouts) || len(layouts) != len(tr.p.Images) {
			t.Errorf("%q", all)
		}
	})
}

// TestTwice: the same images give the same bytes, whatever order they come in
// and wherever they lie.
func TestTwice(t *testing.T) {
	eachTree(t, func(t *testing.T, tr tree) {
		first, _ := tr.archive(t, nil)
		again, _ := tr.archive(t, nil)
		if !bytes.Equal(first, again) {
			t.Error("a second run gives other bytes")
		}
		copied := filepath.Join(t.TempDir(), "another", "place")
		copyBackwards(t, tr.dir, copied)
		other := load(t, copied, plan.Rules{Untagged: true})
		slices.Reverse(other.p.Images)
		again, _ = other.archive(t, nil)
		if !bytes.Equal(first, again) {
			t.Error("a copy gives other bytes")
		}
	})
}

// TestFromTar: a tar of the tree, and a bundle of it, give the same bytes as the
// tree.
func TestFromTar(t *testing.T) {
	eachTree(t, func(t *testing.T, tr tree) {
		want, _ := tr.archive(t, nil)
		archived := filepath.Join(t.TempDir(), "registry.tar")
		if out, err := exec.Command("tar", "c", "-f", archived, "-C", tr.dir, "docker").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		got, _ := load(t, archived, plan.Rules{Untagged: true}).archive(t, nil)
		if !bytes.Equal(want, got) {
			t.Error("a tar of the tree gives other bytes")
		}

		file, _ := tr.save(t, "b.tar", nil)
		src, err := source.Open(t.Context(), file, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		x, err := bundle.Scan(t.Context(), src, nil)
		if err != nil {
			t.Fatal(err)
		}
		// Blobs of two digests lie in one file in the tree, and not in a bundle.
		rules := plan.Rules{Untagged: true, Exclude: []string{"library/both"}}
		p, err := plan.New(x, rules)
		if err != nil {
			t.Fatal(err)
		}
		want, _ = load(t, tr.dir, rules).archive(t, nil)
		got, _ = tree{src: src, x: x, p: p}.archive(t, nil)
		if !bytes.Equal(want, got) {
			t.Error("a bundle of the bundle has other bytes")
		}
	})
}

// copyBackwards copies a tree with its times, the last file first, so that a
// file system gives other inodes and another order.
func copyBackwards(t testing.TB, from, to string) {
	t.Helper()
	var paths []string
	err := filepath.Walk(from, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(paths)
	for _, path := range paths {
		rel, _ := filepath.Rel(from, path)
		target := filepath.Join(to, rel)
		info, err := os.Stat(path)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(target), 0o755)
		}
		if err == nil {
			err = os.WriteFile(target, read(t, path), 0o600)
		}
		if err == nil {
			err = os.Chtimes(target, info.ModTime(), info.ModTime().Truncate(time.Second))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// limited is a disk with little room.
type limited struct{ left int }

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	if n < len(p) {
		return n, &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
	}
	return n, nil
}

// TestNoRoom: wherever writing fails, it says so.
func TestNoRoom(t *testing.T) {
	tr := write(t, sample, plan.Rules{})
	made := tr.bundle(t, nil)
	for left := 0; left < int(made.Size()); left += 50_000 {
		res, err := made.Write(t.Context(), tr.src, &limited{left})
		if !errors.Is(err, syscall.ENOSPC) || res != nil {
			t.Fatalf("room for %d bytes: %v", left, err)
		}
	}
	if _, err := made.Write(t.Context(), tr.src, &limited{int(made.Size())}); err != nil {
		t.Error(err)
	}
}

// TestNoVolumesOfAStream: there are no files that a stream could be cut into.
func TestNoVolumesOfAStream(t *testing.T) {
	tr := write(t, sample, plan.Rules{})
	for _, opts := range []bundle.Options{{VolumeSize: 1 << 20}, {Only: 1}} {
		if _, err := tr.bundle(t, &opts).Write(t.Context(), tr.src, io.Discard); err == nil || report.Advice(err) == "" {
			t.Errorf("%+v: %v", opts, err)
		}
	}
}

// TestProgress grows, and ends where the archive does.
func TestProgress(t *testing.T) {
	tr := write(t, sample, plan.Rules{})
	var last report.Progress
	made := tr.bundle(t, &bundle.Options{Progress: func(p report.Progress) {
		if p.Done <= last.Done || p.Stage != "bundle" || p.Unit != "bytes" {
			t.Errorf("%+v after %+v", p, last)
		}
		last = p
	}})
	if _, err := made.Write(t.Context(), tr.src, io.Discard); err != nil {
		t.Fatal(err)
	}
	if last.Total != made.Size() || last.Done < last.Total-1<<21 || last.Done > last.Total {
		t.Errorf("it ends with %+v of %d", last, made.Size())
	}
}
