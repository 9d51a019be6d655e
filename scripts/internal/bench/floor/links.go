// Package floor does what cannot be avoided, and nothing else: the calls that
// make layouts, and the requests that fill a registry.
package floor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Links is the directories and the hard links that layouts consist of.
type Links struct {
	parents []string // directories of directories, from above
	layouts []layout
}

type layout struct {
	dir   string
	links [][2]string // from, to
}

// ReadLinks takes those of layouts that were made of a tree, for another place.
func ReadLinks(tree, layouts, to string) (*Links, error) {
	sources, err := inodes(filepath.Join(tree, "docker/registry/v2/blobs"))
	if err != nil {
		return nil, err
	}
	l := &Links{}
	err = filepath.WalkDir(layouts, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		place := filepath.Join(to, path[len(layouts):])
		if e.IsDir() {
			return l.addDir(path, place)
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if from := sources[info.Sys().(*syscall.Stat_t).Ino]; from != "" {
			last := &l.layouts[len(l.layouts)-1]
			last.links = append(last.links, [2]string{from, place})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading links of %s: %w", layouts, err)
	}
	return l, nil
}

// addDir sorts a directory by whether it is a layout.
func (l *Links) addDir(path, place string) error {
	_, err := os.Lstat(filepath.Join(path, "manifest.json"))
	switch {
	case err == nil:
		l.layouts = append(l.layouts, layout{dir: place})
	case errors.Is(err, fs.ErrNotExist):
		l.parents = append(l.parents, place)
	default:
		return err
	}
	return nil
}

// inodes gives the paths of files by their inodes.
func inodes(dir string) (map[uint64]string, error) {
	paths := map[uint64]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		paths[info.Sys().(*syscall.Stat_t).Ino] = path
		return nil
	})
	return paths, err
}

// Count is how many there are.
func (l *Links) Count() (directories, links int) {
	for _, one := range l.layouts {
		links += len(one.links)
	}
	return len(l.parents) + len(l.layouts), links
}

// Make makes them, so many layouts side by side, and says how long that took.
func (l *Links) Make(ctx context.Context, jobs int) (time.Duration, error) {
	start := time.Now()
	for _, dir := range l.parents {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return 0, err
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	next := make(chan layout)
	for range jobs {
		g.Go(func() error {
			for one := range next {
				if err := one.make(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	g.Go(func() error {
		defer close(next)
		for _, one := range l.layouts {
			select {
			case next <- one:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	err := g.Wait()
	return time.Since(start), err
}

func (l layout) make() error {
	if err := unix.Mkdir(l.dir, 0o755); err != nil {
		return fmt.Errorf("making %s: %w", l.dir, err)
	}
	for _, pair := range l.links {
		if err := unix.Link(pair[0], pair[1]); err != nil {
			return fmt.Errorf("linking %s: %w", pair[1], err)
		}
	}
	return nil
}
