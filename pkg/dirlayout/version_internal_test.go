package dirlayout

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/link"
)

// TestVersions: layouts share a file as far as the file system lets them, and each
// has one in any case.
func TestVersions(t *testing.T) {
	for _, tt := range []struct {
		name  string
		err   error // of a link beyond the most that a file can have
		most  int   // links
		files int   // there are then of the first version
		fails bool
	}{
		{"one for all", nil, 100, 1, false},
		{"too many links", syscall.EMLINK, 5, 3, false},
		{"no links", syscall.EPERM, 0, 12, false},
		{"links no more", syscall.EXDEV, 4, 9, false},
		{"no file can have a second link", syscall.EMLINK, 0, 12, false},
		{"broken", syscall.EIO, 0, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := limited(t, tt.most, tt.err)
			files := map[uint64]bool{}
			for n := range 12 {
				content, is, err := placed(t, v, Version1_1)
				if (err != nil) != tt.fails || (tt.fails && !errors.Is(err, tt.err)) {
					t.Fatalf("layout %d: error %v", n, err)
				}
				if err == nil && content != Version1_1 {
					t.Errorf("layout %d has %q", n, content)
				}
				if err == nil {
					files[is] = true
				}
			}
			if len(files) != tt.files {
				t.Errorf("there are %d files, not %d", len(files), tt.files)
			}
			if tt.fails {
				return
			}
			if content, is, err := placed(t, v, Version1_2); err != nil || content != Version1_2 || files[is] {
				t.Errorf("the second version: %q, the first one's file %v, error %v", content, files[is], err)
			}
		})
	}
}

// limited is versions on a file system that takes so many links of a file, and
// then gives an error.
func limited(t *testing.T, most int, err error) *versions {
	v := newVersions(t.TempDir())
	var mu sync.Mutex
	linked := map[string]int{}
	v.link = func(from *link.Dir, name string, to *link.Dir, as string) error {
		mu.Lock()
		defer mu.Unlock()
		if linked[name] == most {
			return &os.LinkError{Op: "link", Err: err}
		}
		linked[name]++
		return link.HardAt(from, name, to, as)
	}
	return v
}

// placed puts a version into a new directory, and says what it holds and which
// file it is.
func placed(t *testing.T, v *versions, content string) (string, uint64, error) {
	t.Helper()
	path := t.TempDir()
	dir, err := link.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := v.place(content, dir, "version"); err != nil {
		return "", 0, err
	}
	is, err := os.ReadFile(filepath.Join(path, "version"))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(filepath.Join(path, "version"))
	if err != nil {
		t.Fatal(err)
	}
	return string(is), info.Sys().(*syscall.Stat_t).Ino, nil
}

// TestVersionsSideBySide has many ask at once, when the file is full.
func TestVersionsSideBySide(t *testing.T) {
	v := limited(t, 10, syscall.EMLINK)
	path := t.TempDir()
	dir, err := link.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	var all sync.WaitGroup
	for n := range 100 {
		all.Go(func() {
			if err := v.place(Version1_1, dir, fmt.Sprint(n)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for n := range 100 {
		if content, err := os.ReadFile(filepath.Join(path, fmt.Sprint(n))); err != nil || string(content) != Version1_1 {
			t.Errorf("%d: %q, error %v", n, content, err)
		}
	}
}
