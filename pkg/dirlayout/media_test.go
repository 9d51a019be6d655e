package dirlayout_test

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/dirlayout"
	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
)

const twoImages = "image a amd64 shared\nimage b arm64 shared\ntag app a a\ntag app b b\n"

// TestMedia tries the file system at hand, and the answers of others.
func TestMedia(t *testing.T) {
	tr := write(t, t.TempDir(), twoImages, plan.Rules{})
	own := tr.file("a")
	fails := func(err error) func(string) error { return func(string) error { return err } }
	refuses := func(what string, err error) func(from, to string) error {
		return func(from, to string) error {
			if strings.HasSuffix(to, what) {
				return err
			}
			return os.Link(from, to)
		}
	}
	mkdir := func(path string) error { return os.Mkdir(path, 0o755) }
	for _, tt := range []struct {
		name  string
		names func(string) error
		links func(from, to string) error
		file  string
		want  dirlayout.Media
		fails bool
	}{
		{"as it is", mkdir, os.Link, own, dirlayout.Media{Names: true, Links: true, Sources: true}, false},
		{"no file of the source", mkdir, os.Link, "", dirlayout.Media{Names: true, Links: true}, false},
		{"another disk", mkdir, refuses("source", syscall.EXDEV), own, dirlayout.Media{Names: true, Links: true}, false},
		{"exFAT in Linux", fails(syscall.EINVAL), refuses("", syscall.EPERM), own, dirlayout.Media{}, false},
		{"exFAT by FUSE", fails(syscall.ENOENT), refuses("", syscall.ENOTSUP), own, dirlayout.Media{}, false},
		{"NTFS with Windows' names", fails(syscall.EINVAL), refuses("source", syscall.EXDEV), own, dirlayout.Media{Links: true}, false},
		{"full", fails(syscall.ENOSPC), os.Link, own, dirlayout.Media{}, true},
		{"broken", mkdir, refuses("source", syscall.EIO), own, dirlayout.Media{Names: true, Links: true}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			defer dirlayout.SetMedia(tt.names, tt.links)()
			l := tr.open(t, t.TempDir(), link.Auto)
			defer l.Close()
			got, err := l.Media(tt.file)
			if got != tt.want || (err != nil) != tt.fails {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	if links(t, own) != 1 {
		t.Errorf("%d links are left to a file of the source", links(t, own))
	}
}

func links(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return uint64(info.Sys().(*syscall.Stat_t).Nlink)
}

// TestMissing counts what is still to be written.
func TestMissing(t *testing.T) {
	tr := write(t, t.TempDir(), twoImages, plan.Rules{})
	l := tr.open(t, t.TempDir(), link.Auto)
	defer l.Close()
	a, b := tr.image(t, "app:a"), tr.image(t, "app:b")
	shared := int64(len(tr.Bytes("shared")))
	once, each := l.Missing(tr.p.Images)
	if each != a.Size+b.Size || once != each-shared || shared == 0 {
		t.Errorf("once %d, each %d, of %d and %d with %d in both", once, each, a.Size, b.Size, shared)
	}
	if _, err := l.Write(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	once, each = l.Missing(tr.p.Images)
	if each != b.Size || once != b.Size-shared {
		t.Errorf("with one there: once %d, each %d", once, each)
	}
}

// TestUnpacked: what is unpacked outlives the run that did it, and no other.
func TestUnpacked(t *testing.T) {
	dir := t.TempDir()
	l, err := dirlayout.Prepare(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(l.Unpacked(), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = dirlayout.Prepare(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(l.Unpacked()); err != nil {
		t.Error(err)
	}
	if err := errorsOf(l.RemoveUnpacked(), l.Close()); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}
