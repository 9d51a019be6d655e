package floor_test

import (
	"context"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"

	"github.com/seed-5b48bd9d/drydock/pkg/dirlayout"
	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/plan/plantest"
	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/floor"
	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/tree"
	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/wire"
)

// converted writes a tree, and drydock's layouts of it.
func converted(t *testing.T, s tree.Shape) (dir, layouts string) {
	t.Helper()
	base := t.TempDir()
	dir, err := tree.Cached(t.Context(), base, s, 5)
	if err != nil {
		t.Fatal(err)
	}
	layouts = filepath.Join(base, "layouts")
	l := plantest.Load(t, dir, nil, plan.Rules{})
	to, err := dirlayout.Open(layouts, l.Source, &dirlayout.Options{Link: link.Hardlink})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range l.Plan.Images {
		if _, err := to.Write(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, layouts
}

// links gives the inodes of files by their names, but for the one file of a
// layout that is no link.
func links(t *testing.T, dir string) map[string]uint64 {
	t.Helper()
	found := map[string]uint64{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == "version" {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		found[path[len(dir):]] = info.Sys().(*syscall.Stat_t).Ino
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestLinks holds that the calls alone make the same links as drydock.
func TestLinks(t *testing.T) {
	dir, layouts := converted(t, tree.L.First(3))
	to := filepath.Join(filepath.Dir(layouts), "again")
	l, err := floor.ReadLinks(dir, layouts, to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Make(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	want := links(t, layouts)
	if diff := cmp.Diff(want, links(t, to)); diff != "" {
		t.Errorf("(-drydock +floor):\n%s", diff)
	}
	directories, count := l.Count()
	if count != len(want) || directories != 30+3 { // layouts, and group-00/part-0
		t.Errorf("%d directories, %d links of %d", directories, count, len(want))
	}
	if _, err := l.Make(t.Context(), 3); err == nil {
		t.Error("made twice at the same place")
	}
}

// TestConvert holds that the least that converts does.
func TestConvert(t *testing.T) {
	dir, layouts := converted(t, tree.L.First(3))
	to := filepath.Join(filepath.Dir(layouts), "again")
	if _, err := floor.Convert(t.Context(), dir, to, 3); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(links(t, layouts), links(t, to)); diff != "" {
		t.Errorf("(-drydock +floor):\n%s", diff)
	}
	if _, err := floor.Convert(t.Context(), dir, to, 3); err == nil {
		t.Error("made twice at the same place")
	}
}

// TestRequests holds that the requests alone fill a registry with everything that
// the tree has, and that they are as many as counted.
func TestRequests(t *testing.T) {
	for _, shape := range []tree.Shape{tree.L.First(1), tree.LittleB} { // indexes; mounts
		t.Run(shape.Name, func(t *testing.T) {
			dir, layouts := converted(t, shape)
			host, target := startRegistry(t)
			w, err := wire.Listen(host, 0)
			if err != nil {
				t.Fatal(err)
			}
			r, err := floor.ReadRequests(layouts)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.Send(t.Context(), w.Addr(), 4); err != nil {
				t.Fatal(err)
			}
			counts := w.Close()
			if requests, bytes := r.Count(); counts.Requests != requests || counts.Uploaded != bytes || counts.Connections > 4 {
				t.Errorf("%d requests and %d bytes were to be sent: %+v", requests, bytes, counts)
			}
			if diff := cmp.Diff(carried(t, dir), carried(t, target)); diff != "" {
				t.Errorf("(-tree +registry):\n%s", diff)
			}
		})
	}
}

// carried is every file of a tree, but for what is no part of an image.
func carried(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	root := os.DirFS(dir)
	err := fs.WalkDir(root, "docker/registry/v2", func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && e.Name() == "_uploads":
			return fs.SkipDir
		case e.IsDir():
			return nil
		}
		content, err := fs.ReadFile(root, path)
		files[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func startRegistry(t *testing.T) (host, dir string) {
	t.Helper()
	logrus.SetLevel(logrus.PanicLevel)
	dir = t.TempDir()
	config := &configuration.Configuration{Storage: configuration.Storage{
		"filesystem":  configuration.Parameters{"rootdirectory": dir},
		"maintenance": {"uploadpurging": map[any]any{"enabled": false}},
	}}
	config.Log.AccessLog.Disabled = true
	config.Log.Level = "fatal"
	server := httptest.NewServer(handlers.NewApp(context.Background(), config))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), dir
}
