package tree

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
)

// Dir is a Sink that writes below a directory.
type Dir string

// Put implements Sink.
func (d Dir) Put(name string, size int64, write func(io.Writer) error) error {
	to := filepath.Join(string(d), filepath.FromSlash(name))
	parent := filepath.Dir(to)
	err := os.Mkdir(parent, 0o755) // most have one file alone
	if errors.Is(err, fs.ErrNotExist) {
		err = os.MkdirAll(parent, 0o755)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// Tar is a Sink that writes a tar.
type Tar struct {
	mu sync.Mutex
	w  *tar.Writer
}

// NewTar starts a tar.
func NewTar(w io.Writer) *Tar { return &Tar{w: tar.NewWriter(w)} }

// Put implements Sink.
func (t *Tar) Put(name string, size int64, write func(io.Writer) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size, ModTime: epoch}); err != nil {
		return err
	}
	return write(t.w)
}

// Close ends the tar.
func (t *Tar) Close() error { return t.w.Close() }

// Cached gives the directory of a tree below a cache, where it is written the
// first time that it is asked for: beside its place, so that one that is there is
// whole.
func Cached(ctx context.Context, cache string, s Shape, seed uint64) (dir string, err error) {
	dir = filepath.Join(cache, fmt.Sprintf("%s-seed-%d-form-%d", s.Name, seed, form))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	partial := dir + ".partial"
	if err := errors.Join(os.RemoveAll(partial), os.MkdirAll(partial, 0o755)); err != nil {
		return "", fmt.Errorf("writing tree %s: %w", s.Name, err)
	}
	if err := Write(ctx, s, seed, 2*runtime.GOMAXPROCS(0), Dir(partial)); err != nil {
		return "", errors.Join(err, os.RemoveAll(partial))
	}
	return dir, os.Rename(partial, dir)
}

// form is which trees these are: it goes up when what Write writes becomes
// another.
const form = 1
