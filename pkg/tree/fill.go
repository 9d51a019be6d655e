package tree

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

// fill makes a file of the source's bytes, under a new name in the staging
// directory.
func (t *Tree) fill(ctx context.Context, d digest.Digest, size int64, to string) (Placed, error) {
	if err := ctx.Err(); err != nil {
		return WasThere, err
	}
	name := t.opts.Path(d)
	from, local := "", false
	if t.local != nil {
		from, local = t.local.LocalPath(name)
	}
	if local {
		if err := t.regular(name); err != nil {
			return WasThere, err
		}
	}
	switch method := t.opts.Link; {
	case local && method != link.Copy:
		placed, err := t.share(from, to)
		if err == nil {
			return placed, t.verify(ctx, name, d, size, to, placed == Cloned || t.isOwn(from))
		}
		if !errors.Is(err, errNotShared) {
			return WasThere, err
		}
	case !local && (method == link.Hardlink || method == link.Reflink):
		return WasThere, fmt.Errorf("%s: the source has no file to make a %s of", name, method)
	}
	in, err := t.opts.Source.Open(name)
	if err != nil {
		return WasThere, err
	}
	defer in.Close()
	return t.write(ctx, d, size, in, to)
}

// regular refuses what is no file: a hard link to a FIFO would be one.
func (t *Tree) regular(name string) error {
	info, err := t.opts.Source.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "link", Path: name, Err: source.ErrNotRegular}
	}
	return err
}

// errNotShared leaves copying.
var errNotShared = errors.New("neither a hard link nor a reflink")

// share makes a hard link or, where that is refused or would be of no use to the
// tree's owner, a reflink. Where neither is to be had, and nobody insists on one,
// the error is errNotShared.
func (t *Tree) share(from, to string) (Placed, error) {
	if t.opts.Link != link.Reflink {
		err := t.hard(from, to)
		if err == nil || !link.Refused(err) {
			return Linked, err
		}
		why := err.Error()
		t.refused.CompareAndSwap(nil, &why)
		if t.opts.Link == link.Hardlink {
			return WasThere, report.WithHint(err, "use --link=auto, which makes a reflink or a copy then")
		}
	}
	err := link.Clone(from, to)
	switch {
	case err == nil:
		return Cloned, t.owner.giveFile(to)
	case t.opts.Link == link.Reflink:
		return WasThere, report.WithHint(err, "use --link=auto, which makes a copy where there are no reflinks")
	}
	return WasThere, errNotShared
}

// hard makes a hard link that the tree's owner can read. A file that was unpacked
// for the tree is nobody else's, and is given to him; of any other, nothing is
// changed.
func (t *Tree) hard(from, to string) error {
	if err := link.Hard(from, to); err != nil {
		return err
	}
	if t.isOwn(from) {
		return t.owner.giveFile(to)
	}
	info, err := os.Lstat(to)
	if err != nil || t.owner.reads(to, info) {
		return err
	}
	return errors.Join(&unreadableError{from, t.owner, access(to, info)}, os.Remove(to))
}

// unreadableError says that a hard link would be of no use, as if it were refused.
type unreadableError struct {
	path  string
	owner owner
	is    string // who may do what with it
}

func (e *unreadableError) Error() string {
	return fmt.Sprintf("user %d, whom the tree belongs to, could not read %s, which is %s", e.owner.uid, e.path, e.is)
}

func (e *unreadableError) Unwrap() error { return syscall.EPERM }

// isOwn tells whether a file was unpacked for the tree.
func (t *Tree) isOwn(path string) bool {
	return strings.HasPrefix(path, t.Unpacked()+string(os.PathSeparator))
}

// verify holds a link or reflink against what it should be. It looks at the very
// file that goes into the tree, whatever lies under the source's name by now. A
// new file has to be on the disk before it has its name.
func (t *Tree) verify(ctx context.Context, name string, d digest.Digest, size int64, to string, isNew bool) error {
	f, err := os.OpenFile(to, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() != size {
		return changed(name, info.Size(), size)
	}
	if isNew {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	if known, ok := t.opts.Source.(source.DigestFS); ok {
		if found, ok := known.Digest(name, d.Algorithm()); ok {
			return compare(d, found)
		}
	}
	if t.opts.Trust {
		return nil
	}
	h := d.Algorithm().Hash()
	if _, err := io.Copy(h, contextReader{ctx, f}); err != nil {
		return err
	}
	return compare(d, digest.NewDigest(d.Algorithm(), h))
}

// write copies bytes into a file, and hashes them on their way whether they are
// trusted or not: they are all read anyway.
func (t *Tree) write(ctx context.Context, d digest.Digest, size int64, from io.Reader, to string) (Placed, error) {
	h := counted{Hash: d.Algorithm().Hash()}
	if err := link.Write(ctx, io.TeeReader(io.LimitReader(from, size+1), &h), to); err != nil {
		return WasThere, err
	}
	if h.size != size {
		return WasThere, changed(t.opts.Path(d), h.size, size)
	}
	if err := compare(d, digest.NewDigest(d.Algorithm(), &h)); err != nil {
		return WasThere, err
	}
	return Copied, t.owner.giveFile(to)
}

func changed(name string, size, want int64) error {
	return fmt.Errorf("%s: %d bytes, %d were expected: it changed since the scan", name, size, want)
}

func compare(d, found digest.Digest) error {
	if found != d {
		return fmt.Errorf("%w: %s", ErrWrongBytes, found)
	}
	return nil
}

// counted is a hash that counts what is written to it, in bytes.
type counted struct {
	hash.Hash
	size int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Hash.Write(p)
	c.size += int64(n)
	return n, err
}

// contextReader reads until its context ends.
type contextReader struct {
	ctx  context.Context
	from io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.from.Read(p)
}
