package dirlayout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

// Method is how a file gets into a layout.
type Method string

// The methods. Auto is a hard link where the file system allows it, else a
// reflink, else a copy.
const (
	Auto     Method = "auto"
	Hardlink Method = "hardlink"
	Reflink  Method = "reflink" // a copy that shares its blocks with the original
	Symlink  Method = "symlink"
	Copy     Method = "copy"
)

// Valid tells whether the method is one of these.
func (m Method) Valid() bool {
	switch m {
	case "", Auto, Hardlink, Reflink, Symlink, Copy:
		return true
	}
	return false
}

// Usage is what placing files took.
type Usage struct {
	Linked int    // files, by hard link, symbolic link or reflink
	Copied int64  // bytes
	Why    string // why files were not hard-linked; empty where all were
}

// placer puts files of the source into layouts. A blob that has to be copied
// is copied once, into the pool, and hard-linked from there.
type placer struct {
	src    source.Source
	pool   string
	method Method

	mu     sync.Mutex
	used   Usage
	copies map[digest.Digest]*pooled
}

// pooled is a blob's one copy. Its lock is held while it is made.
type pooled struct {
	mu   sync.Mutex
	path string
}

func newPlacer(src source.Source, pool string, method Method) *placer {
	if method == "" {
		method = Auto
	}
	return &placer{src: src, pool: pool, method: method, copies: map[digest.Digest]*pooled{}}
}

func (p *placer) usage() Usage {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used
}

// place puts the source's file into a layout under a new name.
func (p *placer) place(ctx context.Context, d digest.Digest, name string, size int64, to string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	from, local := p.localPath(name)
	switch {
	case p.method == Copy || (!local && p.method == Auto):
		return p.copyOnce(d, name, size, to)
	case !local:
		return fmt.Errorf("%s: the source has no file to make a %s of", name, p.method)
	case p.method == Symlink:
		return p.linked(symlink(from, to))
	case p.method == Reflink:
		return p.linked(cloneTo(from, to))
	}
	err := hardlink(from, to)
	if p.method == Hardlink || err == nil || !refusesLinks(err) {
		return p.linked(err)
	}
	p.because(err)
	if cloneTo(from, to) == nil {
		return p.linked(nil)
	}
	return p.copyOnce(d, name, size, to)
}

func (p *placer) localPath(name string) (string, bool) {
	local, ok := p.src.(source.LocalFS)
	if !ok {
		return "", false
	}
	return local.LocalPath(name)
}

func (p *placer) linked(err error) error {
	if err == nil {
		p.mu.Lock()
		p.used.Linked++
		p.mu.Unlock()
	}
	return err
}

func (p *placer) because(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.used.Why == "" {
		p.used.Why = err.Error()
	}
}

// refusesLinks tells errors that mean "no hard link here" from real trouble:
// another file system or mount, a file with too many links, links protected by
// the kernel, a read-only or a simple file system.
func refusesLinks(err error) bool {
	for _, no := range []error{syscall.EXDEV, syscall.EMLINK, syscall.EPERM, syscall.EROFS, syscall.ENOTSUP, syscall.ENOSYS} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

// hardlink links a file, not the symbolic link that may lead to it.
func hardlink(from, to string) error {
	if err := unix.Linkat(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.AT_SYMLINK_FOLLOW); err != nil {
		return &os.LinkError{Op: "link", Old: from, New: to, Err: err}
	}
	return nil
}

func symlink(from, to string) error {
	absolute, err := filepath.Abs(from)
	if err != nil {
		return err
	}
	return os.Symlink(absolute, to)
}

// know tells of a file that holds a blob already, from which it can be linked
// instead of copied.
func (p *placer) know(d digest.Digest, path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.copies[d] == nil {
		p.copies[d] = &pooled{path: path}
	}
}

// copyOnce copies a blob into the pool, if it is not there, and links it from
// there. Where that link is refused too, the layout gets a copy of its own.
func (p *placer) copyOnce(d digest.Digest, name string, size int64, to string) error {
	p.mu.Lock()
	one := p.copies[d]
	if one == nil {
		one = &pooled{}
		p.copies[d] = one
	}
	p.mu.Unlock()

	one.mu.Lock()
	defer one.mu.Unlock()
	if one.path == "" {
		path := filepath.Join(p.pool, d.Algorithm().String()+"-"+d.Encoded())
		if !hasFiles(p.pool, []string{filepath.Base(path)}, size) {
			if err := p.copyTo(name, size, path); err != nil {
				return err
			}
		}
		one.path = path
	}
	err := hardlink(one.path, to)
	if err != nil && refusesLinks(err) {
		if errors.Is(err, syscall.EMLINK) {
			one.path = "" // the next one starts a new copy
			os.Remove(filepath.Join(p.pool, d.Algorithm().String()+"-"+d.Encoded()))
		}
		return p.copyTo(name, size, to)
	}
	return err
}

// copyTo copies a file of the source to a new name, whole or not at all.
func (p *placer) copyTo(name string, size int64, to string) (err error) {
	in, err := p.src.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	partial := to + ".partial"
	out, err := os.OpenFile(partial, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			out.Close()
			os.Remove(partial)
		}
	}()
	n, err := io.Copy(out, in)
	if err != nil {
		return fmt.Errorf("copying %s: %w", name, err)
	}
	if n != size {
		return fmt.Errorf("copying %s: %d bytes, %d were expected: it changed since the scan", name, n, size)
	}
	// A name must not outlive a power cut without its bytes.
	if err := errors.Join(out.Sync(), out.Close()); err != nil {
		return fmt.Errorf("copying %s: %w", name, err)
	}
	p.mu.Lock()
	p.used.Copied += n
	p.mu.Unlock()
	return os.Rename(partial, to)
}

func isInTheWay(err error) bool {
	return errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) || errors.Is(err, syscall.ENOTDIR)
}

func isNotDir(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
