package dirlayout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

// pool holds files of the source that could not be linked: each is made once,
// by reflink or by copying its bytes, and hard-linked into layouts from there.
// What an interrupted run copied is found again by its name.
type pool struct {
	src source.Source
	dir string

	copied  atomic.Int64 // bytes
	cloned  atomic.Int64 // files placed from a reflink
	noLinks atomic.Bool  // the layouts' file system has no hard links

	mu    sync.Mutex
	files map[string]*pooled // by their names in the source
}

// pooled is the one copy of a file. Its lock is held while it is made.
type pooled struct {
	mu    sync.Mutex
	path  string // empty while there is none
	clone bool
}

func newPool(src source.Source, dir string) *pool {
	return &pool{src: src, dir: dir, files: map[string]*pooled{}}
}

func (p *pool) file(name string) *pooled {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.files[name]
	if f == nil {
		f = &pooled{}
		p.files[name] = f
	}
	return f
}

// know tells of a file with the content of the source's, from which it can be
// linked instead of copied.
func (p *pool) know(name, path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.files[name] == nil {
		p.files[name] = &pooled{path: path}
	}
}

// path is where the copy of a file of the source lies.
func (p *pool) path(name string) string {
	return filepath.Join(p.dir, strings.ReplaceAll(name, "/", "-"))
}

// place puts a file into a layout. Local is its own path, for a reflink, or "".
func (p *pool) place(ctx context.Context, name, local string, size int64, to string) error {
	f := p.file(name)
	f.mu.Lock()
	defer f.mu.Unlock()
	for again := false; ; again = true {
		if p.noLinks.Load() {
			_, err := p.write(ctx, name, local, size, to)
			return err
		}
		if err := p.fill(ctx, f, name, local, size); err != nil {
			return err
		}
		err := hardlink(f.path, to)
		switch {
		case err == nil && f.clone:
			p.cloned.Add(1)
			return nil
		case !again && (errors.Is(err, syscall.EMLINK) || errors.Is(err, syscall.ENOENT)):
			f.path = "" // it has all the links a file can have, or went with its layout
			os.Remove(p.path(name))
		case err != nil && refusesLinks(err):
			return p.unlinkable(ctx, f, name, local, size, to)
		default:
			return err
		}
	}
}

// fill makes the one copy, if it is not there.
func (p *pool) fill(ctx context.Context, f *pooled, name, local string, size int64) (err error) {
	if f.path != "" {
		return nil
	}
	path := p.path(name)
	if !hasFiles(p.dir, []string{filepath.Base(path)}, size) {
		if err := os.MkdirAll(p.dir, 0o755); err != nil {
			return err
		}
		if f.clone, err = p.write(ctx, name, local, size, path); err != nil {
			return err
		}
	}
	f.path = path
	return nil
}

// unlinkable gives the layout the pool's copy, where links are refused: from
// here on, each layout gets files of its own.
func (p *pool) unlinkable(ctx context.Context, f *pooled, name, local string, size int64, to string) error {
	p.noLinks.Store(true)
	if f.path == p.path(name) {
		f.path = ""
		return os.Rename(p.path(name), to)
	}
	_, err := p.write(ctx, name, local, size, to)
	return err
}

// write makes a file of the source anew, whole or not at all, and says whether
// it shares its blocks with the original.
func (p *pool) write(ctx context.Context, name, local string, size int64, to string) (clone bool, err error) {
	partial := to + ".partial"
	os.Remove(partial)
	defer func() {
		if err != nil {
			os.Remove(partial)
		}
	}()
	if clone = local != "" && cloneTo(local, partial) == nil; !clone {
		if err := p.copy(ctx, name, partial); err != nil {
			return false, fmt.Errorf("copying %s: %w", name, err)
		}
	}
	info, err := os.Stat(partial)
	if err != nil {
		return false, err
	}
	if info.Size() != size {
		return false, fmt.Errorf("copying %s: %d bytes, %d were expected: it changed since the scan", name, info.Size(), size)
	}
	if !clone {
		p.copied.Add(size)
	}
	return clone, os.Rename(partial, to)
}

func (p *pool) copy(ctx context.Context, name, to string) error {
	in, err := p.src.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if err := copyAll(ctx, out, in); err != nil {
		return errors.Join(err, out.Close())
	}
	// A name must not outlive a power cut without its bytes.
	return errors.Join(out.Sync(), out.Close())
}

// copyStep is how many bytes are copied before the context is asked again.
// Between files, the kernel copies each step on its own.
const copyStep = 64 << 20

func copyAll(ctx context.Context, out io.Writer, in io.Reader) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := io.CopyN(out, in, copyStep); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
