package dirlayout_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/dirlayout"
	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

func init() { children["link"] = childLink }

// elsewhere is a directory on another file system than t.TempDir's.
func elsewhere(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "drydock-test-*")
	if err != nil {
		t.Skipf("no second file system: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if device(t, dir) == device(t, t.TempDir()) {
		t.Skip("/dev/shm is the file system of the temporary directory")
	}
	return dir
}

func device(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return uint64(info.Sys().(*syscall.Stat_t).Dev)
}

// copiedOnce holds a run that had to copy against what that means: each file of
// the source copied once, and linked wherever it is needed.
func copiedOnce(t *testing.T, tr tree, layouts string, usage link.Usage) {
	t.Helper()
	if usage.Copied != tr.unique() || usage.Linked != 0 {
		t.Errorf("used %+v for %d bytes", usage, tr.unique())
	}
	base := tr.Digest("base").Encoded()
	if !sameFile(t, filepath.Join(layouts, "library/app:v1", base), filepath.Join(layouts, "library/app:deep", base)) {
		t.Error("one blob is two files")
	}
	if sameFile(t, filepath.Join(layouts, "library/app:v1", base), tr.file("base")) {
		t.Error("it is the source's own file")
	}
}

func TestOtherFileSystem(t *testing.T) {
	tr := write(t, t.TempDir(), sample, plan.Rules{})
	layouts := elsewhere(t)
	before := snapshot(t, tr.dir)
	usage := tr.convert(t, layouts, link.Auto)
	if !strings.Contains(usage.Why, syscall.EXDEV.Error()) {
		t.Errorf("why: %q", usage.Why)
	}
	copiedOnce(t, tr, layouts, usage)
	diff(t, before, snapshot(t, tr.dir))
	diff(t, list(t, layoutsOf(t, tr)), list(t, layouts))

	again := tr.convert(t, layouts, link.Auto)
	diff(t, link.Usage{}, again)
	if err := os.RemoveAll(filepath.Join(layouts, "single:latest")); err != nil {
		t.Fatal(err)
	}
	again = tr.convert(t, layouts, link.Auto) // after library/app:v1, which has the blobs
	if again.Copied != int64(len(tr.Bytes("amd"))) {
		t.Errorf("with the blobs in other layouts, %d bytes are copied", again.Copied)
	}

	l := tr.open(t, elsewhere(t), link.Hardlink)
	defer l.Close()
	if _, err := l.Write(context.Background(), tr.p.Images[0]); !errors.Is(err, syscall.EXDEV) || report.Advice(err) == "" {
		t.Errorf("hard links alone: error %v", err)
	}
}

func TestMethods(t *testing.T) {
	tr := write(t, t.TempDir(), sample, plan.Rules{})
	before := snapshot(t, tr.dir)
	whole := list(t, layoutsOf(t, tr))
	t.Run("copy", func(t *testing.T) {
		layouts := t.TempDir()
		copiedOnce(t, tr, layouts, tr.convert(t, layouts, link.Copy))
		diff(t, whole, list(t, layouts))
	})
	t.Run("symlink", func(t *testing.T) {
		layouts := t.TempDir()
		t.Chdir(filepath.Dir(tr.dir))
		relative := load(t, filepath.Base(tr.dir), plan.Rules{})
		relative.convert(t, layouts, link.Symlink)
		diff(t, whole, list(t, layouts))
		blob := filepath.Join(layouts, "library/app:v1", tr.Digest("base").Encoded())
		if to, err := os.Readlink(blob); err != nil || !filepath.IsAbs(to) || !sameFile(t, blob, tr.file("base")) {
			t.Errorf("it leads to %q, error %v", to, err)
		}
		diff(t, link.Usage{}, relative.convert(t, layouts, link.Symlink))
	})
	t.Run("reflink", func(t *testing.T) {
		layouts := t.TempDir()
		l := tr.open(t, layouts, link.Reflink)
		_, err := l.Write(context.Background(), tr.p.Images[0])
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err == nil {
			t.Skip("this file system has reflinks")
		}
		if report.Advice(err) == "" {
			t.Errorf("error %v", err)
		}
		diff(t, []string(nil), list(t, layouts))
	})
	t.Run("of no local files", func(t *testing.T) {
		layouts := t.TempDir()
		far := tr
		far.src = struct{ source.Source }{tr.src} // without LocalPath
		copiedOnce(t, tr, layouts, far.convert(t, layouts, link.Auto))
		for _, method := range []link.Method{link.Hardlink, link.Symlink, link.Reflink} {
			l := far.open(t, t.TempDir(), method)
			if _, err := l.Write(context.Background(), tr.p.Images[0]); err == nil {
				t.Errorf("%s is made", method)
			}
			l.Close()
		}
	})
	diff(t, before, snapshot(t, tr.dir))
}

// TestSideBySide makes layouts from many sides, which all need the same blobs.
func TestSideBySide(t *testing.T) {
	tr := write(t, t.TempDir(), sample, plan.Rules{})
	for _, method := range []link.Method{link.Auto, link.Copy} {
		layouts := t.TempDir()
		l := tr.open(t, layouts, method)
		var all sync.WaitGroup
		for _, i := range tr.p.Images {
			all.Go(func() {
				if _, err := l.Write(context.Background(), i); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if method == link.Copy {
			copiedOnce(t, tr, layouts, l.Usage())
		}
	}
}

// fullOfLinks gives a file as many links as it can have.
func fullOfLinks(t *testing.T, file string) {
	t.Helper()
	dir, err := os.MkdirTemp(filepath.Dir(file), "links-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for n := range 66_000 {
		switch err := os.Link(file, fmt.Sprintf("%s/%d", dir, n)); {
		case errors.Is(err, syscall.EMLINK):
			return
		case err != nil:
			t.Fatal(err)
		}
	}
	t.Skip("this file system takes more than 65,000 links of a file")
}

func TestTooManyLinks(t *testing.T) {
	if testing.Short() {
		t.Skip("65,000 links take a while")
	}
	tr := write(t, t.TempDir(), sample, plan.Rules{})
	fullOfLinks(t, tr.file("base"))
	layouts := t.TempDir()
	usage := tr.convert(t, layouts, link.Auto)
	if want := int64(len(tr.Bytes("base"))); usage.Copied != want || !strings.Contains(usage.Why, syscall.EMLINK.Error()) {
		t.Errorf("used %+v, want a copy of %d bytes", usage, want)
	}
	blob := filepath.Join(layouts, "library/app:v1", tr.Digest("base").Encoded())
	if !sameFile(t, blob, filepath.Join(layouts, "single:latest", tr.Digest("base").Encoded())) {
		t.Error("it was copied twice")
	}
	// The copy is full as well: there is a second one.
	fullOfLinks(t, blob)
	for _, name := range []string{"library/app:deep", "single:latest", "library/app:multi"} {
		if err := os.RemoveAll(filepath.Join(layouts, name)); err != nil {
			t.Fatal(err)
		}
	}
	usage = tr.convert(t, layouts, link.Auto)
	if want := int64(len(tr.Bytes("base"))); usage.Copied > 2*want || usage.Copied == 0 {
		t.Errorf("used %+v", usage)
	}
}

// childLink makes a layout as somebody who may read the source and owns none
// of it.
func childLink(args []string) error {
	t := &testing.T{}
	tr := load(t, args[0], plan.Rules{})
	l, err := dirlayout.Open(args[1], tr.src, &dirlayout.Options{Path: tr.x.Path})
	if err != nil {
		return err
	}
	for _, i := range tr.p.Images {
		if _, err := l.Write(context.Background(), i); err != nil {
			return err
		}
	}
	fmt.Printf("%+v\n", l.Usage())
	return l.Close()
}

func TestProtectedLinks(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	if on, err := os.ReadFile("/proc/sys/fs/protected_hardlinks"); err != nil || strings.TrimSpace(string(on)) != "1" {
		t.Skip("this kernel does not protect hard links")
	}
	dir, err := os.MkdirTemp("", "drydock-test-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	tr := write(t, filepath.Join(dir, "registry"), sample, plan.Rules{})
	layouts := filepath.Join(dir, "layouts")
	program := filepath.Join(dir, "test")
	content, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, content, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := child("link", tr.dir, layouts)
	cmd.Path = program
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !strings.Contains(string(out), syscall.EPERM.Error()) {
		t.Errorf("it says %s", out)
	}
	copiedOnce(t, tr, layouts, link.Usage{Copied: tr.unique()})
}

// mount mounts something for the time of a test.
func mount(t *testing.T, from, to, kind string, flags uintptr, data string) {
	t.Helper()
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("only root can mount")
	}
	if err := syscall.Mount(from, to, kind, flags, data); err != nil {
		t.Skipf("mounting is not permitted: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(to, syscall.MNT_DETACH) })
}

func TestReadOnlyMount(t *testing.T) {
	tr := write(t, t.TempDir(), sample, plan.Rules{})
	at := t.TempDir()
	mount(t, tr.dir, at, "", syscall.MS_BIND, "")
	if err := syscall.Mount("", at, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("mounting is not permitted: %v", err)
	}
	mounted := load(t, at, plan.Rules{})
	mounted.Builder = tr.Builder
	layouts := t.TempDir()
	copiedOnce(t, mounted, layouts, mounted.convert(t, layouts, link.Auto))
	if _, err := dirlayout.Open(filepath.Join(at, "layouts"), mounted.src, nil); err == nil || report.Advice(err) == "" {
		t.Errorf("layouts on a read-only mount: error %v", err)
	}
}

func TestDiskFull(t *testing.T) {
	tr := write(t, t.TempDir(), "random huge 700000\nimage small amd64 base\nimage large amd64 huge\ntag a small small\ntag b large large\n", plan.Rules{})
	layouts := t.TempDir()
	mount(t, "tmpfs", layouts, "tmpfs", 0, "size=300k")
	l := tr.open(t, layouts, link.Auto)
	if _, err := l.Write(context.Background(), tr.image(t, "b:large")); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "b:large") || report.Advice(err) == "" {
		t.Errorf("error %v", err)
	}
	if made, err := l.Write(context.Background(), tr.image(t, "a:small")); !made || err != nil {
		t.Errorf("the next one: made %v, error %v", made, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	diff(t, []string{"a:small/"}, list(t, layouts)[:1])
	if _, err := os.Lstat(filepath.Join(layouts, "b:large")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a layout is there: %v", err)
	}
}

// TestChanged has a source that is not what it was when it was scanned.
func TestChanged(t *testing.T) {
	tr := write(t, t.TempDir(), sample, plan.Rules{})
	if err := os.Truncate(tr.file("app"), 3); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(tr.file("app-arm")); err != nil {
		t.Fatal(err)
	}
	layouts := t.TempDir()
	l := tr.open(t, layouts, link.Copy)
	for _, name := range []string{"library/app:v1", "library/app:deep"} {
		if _, err := l.Write(context.Background(), tr.image(t, name)); err == nil {
			t.Errorf("%s is made", name)
		}
	}
	l.Close()
	diff(t, []string(nil), list(t, layouts))
}
