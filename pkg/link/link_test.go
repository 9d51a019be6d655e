package link_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"testing/iotest"

	"github.com/seed-5b48bd9d/drydock/pkg/link"
)

func TestValidMethod(t *testing.T) {
	for m, want := range map[link.Method]bool{"": true, "auto": true, "hardlink": true, "reflink": true, "symlink": true, "copy": true, "link": false, "Auto": false} {
		if m.Valid() != want {
			t.Errorf("%q is valid: %v", m, m.Valid())
		}
	}
}

// file makes a file of some content.
func file(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func same(t *testing.T, a, b string) bool {
	t.Helper()
	x, err := os.Stat(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.Stat(b)
	if err != nil {
		t.Fatal(err)
	}
	return os.SameFile(x, y)
}

// TestMake: each method gives the file another name, whether it is named itself
// or by a symbolic link that leads to it.
func TestMake(t *testing.T) {
	t.Chdir(t.TempDir())
	file(t, "file", "content")
	if err := os.Symlink("file", "leads-there"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("to", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, m := range []link.Method{"", link.Auto, link.Hardlink, link.Symlink, link.Reflink} {
		for _, from := range []string{"file", "leads-there"} {
			to := fmt.Sprintf("to/%s-%s", from, m)
			err := m.Make(from, to)
			if m == link.Reflink && err != nil {
				if _, there := os.Lstat(to); !link.Refused(err) || !errors.Is(there, fs.ErrNotExist) {
					t.Errorf("no reflink: error %v, and at its name %v", err, there)
				}
				continue
			}
			if err != nil {
				t.Errorf("%q of %s: %v", m, from, err)
				continue
			}
			if content, err := os.ReadFile(to); err != nil || string(content) != "content" {
				t.Errorf("%s holds %q, error %v", to, content, err)
			}
			info, err := os.Lstat(to)
			if err != nil {
				t.Fatal(err)
			}
			if isLink := info.Mode()&fs.ModeSymlink != 0; isLink != (m == link.Symlink) {
				t.Errorf("%s: mode %s", to, info.Mode())
			}
			if same(t, "file", to) == (m == link.Reflink) {
				t.Errorf("%s is the same file: %v", to, m != link.Reflink)
			}
			if err := m.Make(from, to); !errors.Is(err, fs.ErrExist) || link.Refused(err) {
				t.Errorf("%q over what is there: error %v", m, err)
			}
		}
	}
	if err := link.Hard("missing", "to/missing"); !errors.Is(err, fs.ErrNotExist) || link.Refused(err) {
		t.Errorf("of what is not there: error %v", err)
	}
}

func TestRefused(t *testing.T) {
	for err, want := range map[error]bool{
		syscall.EXDEV: true, syscall.EMLINK: true, syscall.EPERM: true, syscall.EROFS: true, syscall.ENOTSUP: true,
		syscall.ENOSPC: false, syscall.EIO: false, syscall.EEXIST: false, syscall.ENOENT: false, syscall.EACCES: false, nil: false,
	} {
		if got := link.Refused(&os.LinkError{Op: "link", Err: err}); got != want {
			t.Errorf("%v: refused %v", err, got)
		}
	}
	// What really refuses: another file system.
	dir, err := os.MkdirTemp("/dev/shm", "drydock-test-*")
	if err != nil {
		t.Skipf("no second file system: %v", err)
	}
	defer os.RemoveAll(dir)
	from := file(t, filepath.Join(t.TempDir(), "file"), "content")
	if err := link.Hard(from, filepath.Join(dir, "file")); err != nil && (!link.Refused(err) || !errors.Is(err, syscall.EXDEV)) {
		t.Errorf("across file systems: error %v", err)
	}
}

// TestAnew: a file is made whole, in the place of what lies there, or nothing of
// it is left.
func TestAnew(t *testing.T) {
	content := strings.Repeat("content", 10_000)
	fsys := fstest.MapFS{"a/file": &fstest.MapFile{Data: []byte(content)}}
	local := file(t, filepath.Join(t.TempDir(), "local"), content)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name string
		ctx  context.Context
		file link.File
		fail string // a part of the error; empty where there is none
	}{
		{"whole", t.Context(), link.File{Name: "a/file", Size: int64(len(content))}, ""},
		{"with a path", t.Context(), link.File{Name: "a/file", Local: local, Size: int64(len(content))}, ""},
		{"with a path to nothing", t.Context(), link.File{Name: "a/file", Local: local + "-not", Size: int64(len(content))}, ""},
		{"grown", t.Context(), link.File{Name: "a/file", Size: int64(len(content)) - 1}, "copying a/file: 70000 bytes, 69999 were expected"},
		{"shrunk", t.Context(), link.File{Name: "a/file", Size: int64(len(content)) + 1}, "it changed since the scan"},
		{"gone", t.Context(), link.File{Name: "a/gone", Size: 1}, "a/gone"},
		{"cancelled", cancelled, link.File{Name: "a/file", Size: int64(len(content))}, context.Canceled.Error()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			to := file(t, filepath.Join(dir, "to"), "was there")
			file(t, to+".partial", "of a run that was killed")
			tt.file.FS = fsys
			_, err := tt.file.Anew(tt.ctx, to)
			want := content
			switch {
			case tt.fail == "" && err != nil, tt.fail != "" && (err == nil || !strings.Contains(err.Error(), tt.fail)):
				t.Errorf("error %v", err)
			case tt.fail != "":
				want = "was there"
			}
			if got, err := os.ReadFile(to); err != nil || string(got) != want {
				t.Errorf("%d bytes are there, error %v", len(got), err)
			}
			if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
				t.Errorf("there are %v, error %v", entries, err)
			}
		})
	}
}

func TestWrite(t *testing.T) {
	to := filepath.Join(t.TempDir(), "to")
	broken := errors.New("broken")
	if err := link.Write(t.Context(), iotest.ErrReader(broken), to); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if err := link.Write(t.Context(), strings.NewReader("new"), to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over what is there: error %v", err)
	}
	if err := os.Remove(to); err != nil {
		t.Fatal(err)
	}
	if err := link.Write(t.Context(), strings.NewReader("new"), to); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(to); err != nil || string(got) != "new" {
		t.Errorf("%q is there, error %v", got, err)
	}
}

func TestSameMount(t *testing.T) {
	dir := t.TempDir()
	own := file(t, filepath.Join(dir, "own"), "content")
	if !link.SameMount(own, dir) {
		t.Error("a file is not on the mount of its directory")
	}
	if link.SameMount(own, "/proc") || link.SameMount(own, filepath.Join(dir, "nowhere")) {
		t.Error("links to /proc, or to nowhere, are possible")
	}
}
