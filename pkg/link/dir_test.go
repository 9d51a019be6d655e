package link_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/link"
)

func open(t *testing.T, path string) *link.Dir {
	t.Helper()
	dir, err := link.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dir.Close(); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestHardAt(t *testing.T) {
	base := t.TempDir()
	if err := os.MkdirAll(filepath.Join(base, "from", "below"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(base, "to"), 0o755); err != nil {
		t.Fatal(err)
	}
	path := file(t, filepath.Join(base, "from", "below", "file"), "content")
	from, to := open(t, filepath.Join(base, "from")), open(t, filepath.Join(base, "to"))
	for as, make := range map[string]func(as string) error{
		"both":    func(as string) error { return link.HardAt(from, "below/file", to, as) },
		"to":      func(as string) error { return link.HardAt(nil, path, to, as) },
		"from":    func(as string) error { return link.HardAt(from, "below/file", nil, to.Path(as)) },
		"neither": func(as string) error { return link.HardAt(nil, path, nil, to.Path(as)) },
	} {
		if err := make(as); err != nil {
			t.Errorf("%s: %v", as, err)
			continue
		}
		if !same(t, path, filepath.Join(base, "to", as)) {
			t.Errorf("%s is another file", as)
		}
	}
	var failed *os.LinkError
	err := link.HardAt(from, "below/gone", to, "new")
	if !errors.As(err, &failed) || !errors.Is(err, fs.ErrNotExist) || failed.Old != filepath.Join(base, "from/below/gone") || failed.New != filepath.Join(base, "to/new") {
		t.Errorf("of what is not there: error %v", err)
	}
}

func TestOpenDir(t *testing.T) {
	base := t.TempDir()
	if _, err := link.OpenDir(filepath.Join(base, "gone")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: error %v", err)
	}
	path := file(t, filepath.Join(base, "file"), "content")
	if _, err := link.OpenDir(path); !errors.Is(err, syscall.ENOTDIR) || !strings.Contains(err.Error(), path) {
		t.Errorf("a file: error %v", err)
	}
}

func TestRegular(t *testing.T) {
	base := t.TempDir()
	file(t, filepath.Join(base, "file"), "content")
	if err := os.Mkdir(filepath.Join(base, "dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(base, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"file", "gone", "dir"} {
		if err := os.Symlink(name, filepath.Join(base, "to-"+name)); err != nil {
			t.Fatal(err)
		}
	}
	dir := open(t, base)
	for name, want := range map[string]int64{"file": 7, "to-file": 7, "gone": -1, "to-gone": -1, "dir": -1, "to-dir": -1, "fifo": -1} {
		size, err := dir.Regular(name)
		if (err == nil) != (want >= 0) || (err == nil && size != want) {
			t.Errorf("%s: %d bytes, error %v", name, size, err)
		}
		if isGone := strings.HasSuffix(name, "gone"); errors.Is(err, fs.ErrNotExist) != isGone {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
