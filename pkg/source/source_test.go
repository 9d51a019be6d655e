package source_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

func tree(t *testing.T, text string) string {
	t.Helper()
	_, dir := storagetest.Make(t, text)
	return dir
}

const sound = "image app amd64 base\ntag library/app v1 app\n"

func open(t *testing.T, location string) source.Source {
	t.Helper()
	src, err := source.Open(context.Background(), location, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

// TestOpen: any directory on the way down will do.
func TestOpen(t *testing.T) {
	dir := tree(t, sound+"write ../../../scheduler-state.json {}")
	if err := os.Symlink(dir, filepath.Join(t.TempDir(), "link")); err != nil {
		t.Fatal(err)
	}
	for _, way := range []string{".", "docker", "docker/registry", "docker/registry/v2"} {
		src := open(t, filepath.Join(dir, way))
		if _, err := fs.Stat(src, "repositories/library/app"); err != nil {
			t.Errorf("%s: %v", way, err)
		}
		d := src.(source.Dir)
		if d.Home() != dir || d.Root() != filepath.Join(dir, storagetest.V2) {
			t.Errorf("%s: home %s, root %s", way, d.Home(), d.Root())
		}
		if _, err := d.StatHome("scheduler-state.json"); err != nil {
			t.Errorf("%s: %v", way, err)
		}
		path, ok := d.LocalPath("blobs/x")
		if want := filepath.Join(dir, storagetest.V2, "blobs/x"); !ok || path != want {
			t.Errorf("%s: %s", way, path)
		}
	}
}

// TestOpenBare: the tree may lie under another name, without a home.
func TestOpenBare(t *testing.T) {
	dir := tree(t, sound)
	bare := filepath.Join(t.TempDir(), "bare")
	if err := os.Rename(filepath.Join(dir, storagetest.V2), bare); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bare, "scheduler-state.json"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	d := open(t, bare).(source.Dir)
	if d.Home() != bare {
		t.Errorf("home %s", d.Home())
	}
	if _, err := d.StatHome("scheduler-state.json"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestOpenLinks(t *testing.T) {
	dir := tree(t, sound)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if _, err := fs.Stat(open(t, link), "blobs"); err != nil {
		t.Error(err)
	}
	loop := filepath.Join(t.TempDir(), "loop")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	if _, err := source.Open(context.Background(), loop, nil); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a loop: %v", err)
	}
}

// TestOpenRefuses what is no registry, and says what it is instead.
func TestOpenRefuses(t *testing.T) {
	for _, c := range []struct{ name, holds, advice string }{
		{"nothing", "", "docker/registry/v2"},
		{"engine", "overlay2/x", "Docker engine"},
		{"podman", "overlay-images/x", "podman"},
		{"layout", "oci-layout/x", "OCI layout"},
		{"layout with blobs", "blobs/sha256/x", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.MkdirAll(filepath.Join(dir, c.holds), 0o755); err != nil {
				t.Fatal(err)
			}
			if c.advice == "" {
				if err := os.WriteFile(filepath.Join(dir, "oci-layout"), nil, 0o644); err != nil {
					t.Fatal(err)
				}
				c.advice = "OCI layout"
			}
			_, err := source.Open(context.Background(), dir, nil)
			if err == nil || !strings.Contains(report.Advice(err), c.advice) {
				t.Errorf("%v; %s", err, report.Advice(err))
			}
		})
	}
	for _, location := range []string{filepath.Join(t.TempDir(), "absent"), os.Args[0]} {
		if _, err := source.Open(context.Background(), location, nil); err == nil || report.Advice(err) == "" {
			t.Errorf("%s: %v", location, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := source.Open(ctx, ".", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestDirReads: what it gives, and that it never waits for a FIFO.
func TestDirReads(t *testing.T) {
	src := open(t, tree(t, sound+"mkfifo repositories/pipe\nwrite repositories/file text\nsymlink repositories/link file\nmkdir repositories/library/empty"))
	content, err := fs.ReadFile(src, "repositories/link")
	if err != nil || string(content) != "text" {
		t.Errorf("%q, %v", content, err)
	}
	entries, err := src.ReadDir("repositories")
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if diff := cmp.Diff([]string{"file", "library", "link", "pipe"}, names); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if _, err := src.Open("repositories/pipe"); !errors.Is(err, source.ErrNotRegular) {
		t.Errorf("opening a FIFO: %v", err)
	}
	if info, err := src.Stat("repositories/pipe"); err != nil || info.Mode()&fs.ModeNamedPipe == 0 {
		t.Errorf("%v, %v", info, err)
	}
	for _, name := range []string{"repositories/pipe", "repositories/file"} {
		if _, err := src.ReadDir(name); !errors.Is(err, syscall.ENOTDIR) {
			t.Errorf("listing %s: %v", name, err)
		}
	}
	if _, err := src.Open("repositories/absent"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// TestDirStaysInside: no name leads out of the tree.
func TestDirStaysInside(t *testing.T) {
	src := open(t, tree(t, sound))
	for _, name := range []string{"..", "../../registry", "/etc/passwd", "blobs/../..", "", "blobs/"} {
		_, open := src.Open(name)
		_, list := src.ReadDir(name)
		_, stat := src.Stat(name)
		for _, err := range []error{open, list, stat} {
			if !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("%q: %v", name, err)
			}
		}
		if path, ok := src.(source.Dir).LocalPath(name); ok {
			t.Errorf("%q lies at %s", name, path)
		}
	}
}
