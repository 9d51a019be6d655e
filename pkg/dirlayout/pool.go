package dirlayout

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/seed-5b48bd9d/drydock/pkg/link"
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
		err := link.Hard(f.path, to)
		switch {
		case err == nil && f.clone:
			p.cloned.Add(1)
			return nil
		case !again && (errors.Is(err, syscall.EMLINK) || errors.Is(err, syscall.ENOENT)):
			f.path = "" // it has all the links a file can have, or went with its layout
			os.Remove(p.path(name))
		case err != nil && link.Refused(err):
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
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Size() != size {
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
	clone, err = link.File{FS: p.src, Name: name, Local: local, Size: size}.Anew(ctx, to)
	if err == nil && !clone {
		p.copied.Add(size)
	}
	return clone, err
}
