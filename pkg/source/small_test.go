//go:build linux || darwin || freebsd

package source_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

// What ReadSmall reads is what Open would have given, and what is not a regular
// file is left to Open, without waiting for anybody to write to it.
func TestReadSmall(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, "repositories", name) }
	write := func(name, content string) error { return os.WriteFile(at(name), []byte(content), 0o644) }
	err := errors.Join(
		os.Mkdir(filepath.Join(dir, "repositories"), 0o755),
		write("empty", ""), write("link", "sha256:abc"), write("most", strings.Repeat("x", 100)), write("more", strings.Repeat("x", 5000)),
		os.Mkdir(at("dir"), 0o755), syscall.Mkfifo(at("fifo"), 0o644),
		os.Symlink("link", at("to-link")), os.Symlink("fifo", at("to-fifo")), os.Symlink("loop", at("loop")), os.Symlink("gone", at("to-gone")),
	)
	if err != nil {
		t.Fatal(err)
	}
	src, err := source.Open(context.Background(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	const most = 100
	for name, want := range map[string]string{
		"empty": "", "link": "sha256:abc", "most": strings.Repeat("x", most), "more": strings.Repeat("x", most+1), "to-link": "sha256:abc",
	} {
		for _, room := range []int{0, 1, 4096} {
			got, modified, ok := src.(source.SmallFS).ReadSmall("repositories/"+name, append(make([]byte, 0, room+6), "before"...), most)
			info, err := os.Stat(at(name))
			if !ok || string(got) != "before"+want || err != nil || !modified.Equal(info.ModTime()) {
				t.Errorf("%s with room for %d: %q, %v, %t; error %v", name, room, got, modified, ok, err)
			}
		}
	}
	for _, name := range []string{"dir", "fifo", "to-fifo", "loop", "to-gone", "gone", "link/below", "../x", "/link"} {
		if got, _, ok := src.(source.SmallFS).ReadSmall("repositories/"+name, nil, most); ok || len(got) > 0 {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// A FIFO in a directory's place is not opened.
func TestReadDirOfFIFO(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "repositories"), 0o755), syscall.Mkfifo(filepath.Join(dir, "blobs"), 0o644)); err != nil {
		t.Fatal(err)
	}
	src, err := source.Open(context.Background(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if entries, err := src.ReadDir("blobs"); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("%v, error %v", entries, err)
	}
}
