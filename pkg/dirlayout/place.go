package dirlayout

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
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
	Why    string // the first reason why a hard link was refused; empty where none was
}

// placer puts files of the source into layouts.
type placer struct {
	local  source.LocalFS // nil where the source's files have no paths
	method Method
	pool   *pool

	linked  atomic.Int64 // files
	refused atomic.Pointer[string]
}

func newPlacer(src source.Source, dir string, method Method) *placer {
	if method == "" {
		method = Auto
	}
	p := &placer{method: method, pool: newPool(src, dir)}
	p.local, _ = src.(source.LocalFS)
	return p
}

func (p *placer) usage() Usage {
	u := Usage{Linked: int(p.linked.Load() + p.pool.cloned.Load()), Copied: p.pool.copied.Load()}
	if why := p.refused.Load(); why != nil {
		u.Why = *why
	}
	return u
}

// place puts the source's file, of a size in bytes, into a layout under a new
// name.
func (p *placer) place(ctx context.Context, name string, size int64, to string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	from, local := p.localPath(name)
	switch {
	case p.method == Copy || (!local && p.method == Auto):
		return p.pool.place(ctx, name, "", size, to)
	case !local:
		return fmt.Errorf("%s: the source has no file to make a %s of", name, p.method)
	}
	err := p.link(from, to)
	switch {
	case err == nil:
		p.linked.Add(1)
		return nil
	case !refusesLinks(err):
		return err
	case p.method != Auto:
		return report.WithHint(err, "name a directory on the file system of the registry, or use --link=auto")
	}
	why := err.Error()
	p.refused.CompareAndSwap(nil, &why)
	return p.pool.place(ctx, name, from, size, to)
}

func (p *placer) localPath(name string) (string, bool) {
	if p.local == nil {
		return "", false
	}
	return p.local.LocalPath(name)
}

// link makes the one kind of link that was asked for; for Auto, a hard link.
func (p *placer) link(from, to string) error {
	switch p.method {
	case Symlink:
		return symlink(from, to)
	case Reflink:
		return cloneTo(from, to)
	default:
		return hardlink(from, to)
	}
}

// refusesLinks tells errors that mean "no link here" from real trouble: another
// file system or mount, a file with too many links, links protected by the
// kernel, a read-only or a simple file system.
func refusesLinks(err error) bool {
	for _, no := range []error{syscall.EXDEV, syscall.EMLINK, syscall.EPERM, syscall.EROFS, syscall.ENOTSUP, syscall.ENOSYS, syscall.ENOTTY} {
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
