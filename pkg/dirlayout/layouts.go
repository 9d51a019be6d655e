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
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

const separator = string(filepath.Separator)

// workDir is the directory below LAYOUTS that a run works in: layouts lie there
// until they are whole, and so do copies of blobs. What an interrupted run left
// in it is cleaned up by the next.
const workDir = ".drydock"

// Options steer how layouts are made; nil means defaults.
type Options struct {
	Link link.Method // how files are put into layouts; "" means link.Auto
	// Path says where in the source a blob's bytes lie; nil means
	// storage.BlobPath. An Index's Path knows exceptions.
	Path func(digest.Digest) string
}

// Layouts is a directory of layouts that this process alone writes to.
type Layouts struct {
	dir      string
	staging  string // layouts lie here until they are whole
	pool     string // copies of blobs
	unpacked string // files of an archive
	lock     *os.File
	place    *placer
	versions *versions
	isNew    newcomers
	path     func(digest.Digest) string
	made     atomic.Int64 // numbers the directories under construction
}

// Open prepares a directory for layouts, made if need be, and cleans up what an
// interrupted run left. It fails where another process is at work there.
func Open(dir string, src source.Source, opts *Options) (*Layouts, error) {
	l, err := Prepare(dir)
	if err != nil {
		return nil, err
	}
	l.Use(src, opts)
	return l, nil
}

// Prepare is Open where the source is not known yet, since its archive has to be
// unpacked first. Before anything else, Use has to say what it is.
func Prepare(dir string) (*Layouts, error) {
	dir = filepath.Clean(dir)
	work := filepath.Join(dir, workDir)
	lock, err := lockDir(work)
	if err != nil {
		return nil, err
	}
	l := &Layouts{
		dir: dir, lock: lock,
		staging: filepath.Join(work, "layouts"), pool: filepath.Join(work, "blobs"), unpacked: filepath.Join(work, "unpacked"),
		isNew: newcomers{isNew: map[string]bool{}},
	}
	l.versions = newVersions(l.staging)
	if err := l.cleanUp(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return l, nil
}

// Use says where the files of layouts come from.
func (l *Layouts) Use(src source.Source, opts *Options) {
	if opts == nil {
		opts = &Options{}
	}
	l.place = newPlacer(src, l.staging, l.pool, opts.Link)
	l.path = opts.Path
	if l.path == nil {
		l.path = storage.BlobPath
	}
}

// cleanUp removes layouts that were never finished. Whole copies of blobs stay:
// they need not be copied again.
func (l *Layouts) cleanUp() error {
	if err := os.RemoveAll(l.staging); err != nil {
		return fmt.Errorf("cleaning up after an interrupted run: %w", err)
	}
	if err := os.Mkdir(l.staging, 0o755); err != nil {
		return fmt.Errorf("preparing layouts: %w", err)
	}
	return nil
}

// Dir is the directory given to Open.
func (l *Layouts) Dir() string { return l.dir }

// Path is where an image's layout is, or will be.
func (l *Layouts) Path(i plan.Image) string {
	return filepath.Join(l.dir, filepath.FromSlash(i.LayoutPath()))
}

// Close removes the work directory and gives the lock up.
func (l *Layouts) Close() error {
	return errors.Join(os.RemoveAll(l.staging), os.RemoveAll(l.pool), l.place.close(), unlockDir(l.lock))
}

// Remove takes an image's layout away again, and directories that are empty
// without it. It is not for use beside Write.
func (l *Layouts) Remove(i plan.Image) error {
	path := l.Path(i)
	if err := os.RemoveAll(path); err != nil && !errors.Is(err, syscall.ENAMETOOLONG) { // that one was never made
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
	made, err = l.write(ctx, i)
	switch {
	case errors.Is(err, syscall.ENAMETOOLONG):
		err = report.WithHint(err, "no directory takes a name of over 255 bytes: drydock migrate sends this image without a layout, and drydock bundle takes it")
	case errors.Is(err, syscall.ENOSPC):
		err = report.WithHint(err, "make room, or put the layouts on the registry's file system, where hard links take none")
	}
	if err != nil {
		return false, fmt.Errorf("writing layout %s: %w", i.LayoutPath(), err)
	}
	return made, nil
}

func (l *Layouts) write(ctx context.Context, i plan.Image) (made bool, err error) {
	final := l.Path(i)
	if !l.isNew.has(filepath.Dir(final)) {
		whole, err := l.existing(final, i)
		if whole {
			l.remember(i, final)
		}
		if err != nil || whole {
			return false, err
		}
	}
	w, err := l.create(final)
	if err != nil {
		return false, err
	}
	if err = errors.Join(w.fill(ctx, i), w.dir.Close()); err == nil {
		made, err = w.commit(i)
	}
	if err != nil || !made {
		w.abort()
	}
	return made, err
}

// Usage is what placing files took so far.
func (l *Layouts) Usage() link.Usage { return l.place.usage() }
