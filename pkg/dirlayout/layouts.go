// Package dirlayout writes images as dir: layouts, the form that skopeo and
// containers/image read: one directory an image, LAYOUTS/<repository>:<tag>/,
// with
//
//	manifest.json            the image's manifest or index
//	<hex>.manifest.json      each manifest that the index holds, at any depth
//	<hex>                    each blob, configs and layers alike
//	version                  the version of this form
//
// Files are hard links to the registry's own, so that a layout takes no room,
// unless the file system refuses. The form is defined in containers/image,
// directory/directory_transport.go.
package dirlayout

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// workDir is the directory below LAYOUTS that a run works in: layouts lie there
// until they are whole, and so do copies of blobs. What an interrupted run left
// in it is cleaned up by the next.
const workDir = ".drydock"

// Options steer how layouts are made; nil means defaults.
type Options struct {
	Link Method // how files are put into layouts; "" means Auto
	// Path says where in the source a blob's bytes lie; nil means
	// storage.BlobPath. An Index's Path knows exceptions.
	Path func(digest.Digest) string
}

// Layouts is a directory of layouts that this process alone writes to.
type Layouts struct {
	dir   string
	lock  *os.File
	place *placer
	path  func(digest.Digest) string
	made  atomic.Int64 // numbers the directories under construction
}

// Open prepares a directory for layouts, made if need be, and cleans up what an
// interrupted run left. It fails where another process is at work there.
func Open(dir string, src source.Source, opts *Options) (*Layouts, error) {
	if opts == nil {
		opts = &Options{}
	}
	work := filepath.Join(dir, workDir)
	if err := os.MkdirAll(work, 0o755); err != nil {
		return nil, report.WithHint(fmt.Errorf("preparing layouts: %w", err), "name another directory for the layouts, best on the file system of the registry")
	}
	lock, err := lockDir(work)
	if err != nil {
		return nil, err
	}
	l := &Layouts{dir: dir, lock: lock, path: opts.Path, place: newPlacer(src, filepath.Join(work, "blobs"), opts.Link)}
	if l.path == nil {
		l.path = storage.BlobPath
	}
	if err := l.cleanUp(); err != nil {
		lock.Close()
		return nil, err
	}
	return l, nil
}

// lockDir takes the lock that keeps two runs apart. It goes with the process,
// however that ends.
func lockDir(work string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(work, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("locking layouts: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, report.WithHint(fmt.Errorf("locking layouts: another run is at work in %s", filepath.Dir(work)),
				"wait for it to end, or name another directory")
		}
		return nil, fmt.Errorf("locking layouts: %w", err)
	}
	return f, nil
}

// cleanUp removes layouts that were never finished. Whole copies of blobs stay:
// they need not be copied again.
func (l *Layouts) cleanUp() error {
	if err := os.RemoveAll(l.staging()); err != nil {
		return fmt.Errorf("cleaning up after an interrupted run: %w", err)
	}
	return os.MkdirAll(l.staging(), 0o755)
}

func (l *Layouts) staging() string { return filepath.Join(l.dir, workDir, "layouts") }

// Dir is the directory given to Open.
func (l *Layouts) Dir() string { return l.dir }

// Path is where an image's layout is, or will be.
func (l *Layouts) Path(i plan.Image) string {
	return filepath.Join(l.dir, filepath.FromSlash(i.LayoutPath()))
}

// Close removes the work directory and gives the lock up.
func (l *Layouts) Close() error {
	err := os.RemoveAll(filepath.Join(l.dir, workDir))
	return errors.Join(err, l.lock.Close())
}

// Remove takes an image's layout away again, and directories that are empty
// without it.
func (l *Layouts) Remove(i plan.Image) error {
	path := l.Path(i)
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("removing layout: %w", err)
	}
	for dir := filepath.Dir(path); len(dir) > len(l.dir); dir = filepath.Dir(dir) {
		if os.Remove(dir) != nil {
			break // not empty
		}
	}
	return nil
}

// Write makes an image's layout, or leaves one that is whole as it is: made
// says which. The layout appears under its name when it is whole, not before.
func (l *Layouts) Write(ctx context.Context, i plan.Image) (made bool, err error) {
	final := l.Path(i)
	switch whole, err := l.existing(final, i); {
	case err != nil:
		return false, fmt.Errorf("writing layout %s: %w", i.LayoutPath(), err)
	case whole:
		return false, nil
	}
	w, err := l.create(final)
	if err != nil {
		return false, fmt.Errorf("writing layout %s: %w", i.LayoutPath(), err)
	}
	if err := w.fill(ctx, i); err != nil {
		w.Abort()
		return false, fmt.Errorf("writing layout %s: %w", i.LayoutPath(), err)
	}
	if err := w.Commit(); err != nil {
		w.Abort()
		return false, fmt.Errorf("writing layout %s: %w", i.LayoutPath(), err)
	}
	return true, nil
}

// Usage is what placing files took so far.
func (l *Layouts) Usage() Usage { return l.place.usage() }

// replaceable tells whether what lies at a layout's place may go: a layout that
// is damaged or of another image, or an empty directory, but nothing else.
func replaceable(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		entries, err := os.ReadDir(path)
		if err != nil {
			return err
		}
		if len(entries) == 0 || holds(entries, "manifest.json") || holds(entries, "version") {
			return nil
		}
	}
	return report.WithHint(fmt.Errorf("%s is in the way and no layout", path), "move it away, or name another directory for the layouts")
}

func holds(entries []fs.DirEntry, name string) bool {
	for _, e := range entries {
		if strings.EqualFold(e.Name(), name) {
			return true
		}
	}
	return false
}
