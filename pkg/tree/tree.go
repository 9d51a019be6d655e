// Package tree writes a registry's storage tree, docker/registry/v2: blobs, and
// the links that name them. What is there already is never replaced, and what is
// new appears under its name when it is whole: it is made in a work directory
// beside blobs and repositories, where neither a registry nor its garbage
// collection looks, and moved from there.
//
// What is new belongs to the owner of docker/registry/v2, with its modes, or to the
// registry's user, where another is known to be that; but nothing is ever changed of
// a file of the source that a hard link leads to.
package tree

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// The work directory, in docker/registry/v2. A registry walks blobs and
// repositories, and nothing beside them.
const (
	workDir     = ".drydock"
	stagingDir  = workDir + "/new"
	unpackedDir = workDir + "/unpacked"
)

// Options steer how a tree is written; nil means defaults.
type Options struct {
	// Source is where the blobs' bytes are. It may be nil until Use says it,
	// for an archive that has to be unpacked first.
	Source source.Source
	// Path says where in the source a blob's bytes lie; nil means
	// storage.BlobPath. An Index's Path knows exceptions.
	Path func(digest.Digest) string
	// Link is how blobs get into the tree; "" means link.Auto. A registry's
	// tree takes no symbolic links.
	Link link.Method
	// Trust leaves out hashing blobs before they go in.
	Trust bool
	// Existing says that the tree has to be there already.
	Existing bool
	// Like is a directory of the tree that its registry is known to have made: what
	// is new belongs to the same user, with its modes, unless that is root.
	Like string
}

// Tree is a registry's storage that blobs and links are put into. It is safe for
// use by several goroutines. Of programs that put something there, it keeps out
// only its own kind: the registry itself may be running.
type Tree struct {
	dir     string   // docker/registry/v2, free of symbolic links
	root    *os.Root // the same
	lock    *os.File
	staging *os.File // the directory of what is not whole yet
	owner   owner
	opts    Options
	local   source.LocalFS // nil where the source's files have no paths
	fresh   []string       // directories that were made for the tree, outermost first

	staged  atomic.Int64 // numbers what is made in the staging directory
	known   directories  // of the tree
	mu      sync.Mutex
	blobs   map[digest.Digest]*blob
	found   map[string]report.Finding // by path
	linked  atomic.Int64              // files
	copied  atomic.Int64              // bytes
	refused atomic.Pointer[string]    // the first reason why a hard link could not be
}

// Open prepares a registry's storage for writing: dir is the registry's root
// directory, or any on the way down to docker/registry/v2. Where there is none
// it is made, and belongs to the owner of dir, unless Options say that it has to
// be there. Open fails where another process is at work there, and where files
// cannot be given to the tree's owner.
func Open(dir string, opts *Options) (*Tree, error) {
	t, err := open(dir, opts)
	if err != nil {
		return nil, fmt.Errorf("opening storage %s: %w", dir, err)
	}
	return t, nil
}

func open(dir string, opts *Options) (*Tree, error) {
	t := &Tree{blobs: map[digest.Digest]*blob{}, found: map[string]report.Finding{}}
	if opts != nil {
		t.opts = *opts
	}
	if t.opts.Path == nil {
		t.opts.Path = storage.BlobPath
	}
	if t.opts.Link == link.Symlink || !t.opts.Link.Valid() {
		return nil, report.WithHint(fmt.Errorf("blobs cannot be put there by %s", t.opts.Link), "use auto, hardlink, reflink or copy: a registry's storage holds files")
	}
	v2, err := locate(dir, t.opts.Existing)
	if err != nil {
		return nil, err
	}
	if err := apart(v2, t.opts.Source); err != nil {
		return nil, err
	}
	if err := t.prepare(dir, v2); err != nil {
		return nil, errors.Join(err, t.giveUp())
	}
	if t.opts.Source != nil {
		if err := t.Use(t.opts.Source, t.opts.Path); err != nil {
			return nil, errors.Join(err, t.Close())
		}
	}
	return t, nil
}

// prepare makes what is missing of the tree, and takes it.
func (t *Tree) prepare(dir, v2 string) (err error) {
	if err := t.makeRoot(dir, v2); err != nil {
		return err
	}
	if t.dir, err = filepath.EvalSymlinks(v2); err == nil {
		t.dir, err = filepath.Abs(t.dir)
	}
	if err != nil {
		return err
	}
	if t.root, err = os.OpenRoot(t.dir); err != nil {
		return err
	}
	if t.owner, err = ownerIn(t.dir, t.opts.Like); err != nil {
		return err
	}
	if err := t.takeLock(); err != nil {
		return err
	}
	return t.prepareWork()
}

// takeLock keeps other runs out. The lock is the directory's own, and goes with
// the process, however that ends.
func (t *Tree) takeLock() (err error) {
	if t.lock, err = os.Open(t.dir); err != nil {
		return err
	}
	err = syscall.Flock(int(t.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return report.WithHint(errors.New("another run is at work there"), "wait for it to end")
	}
	if err != nil {
		return fmt.Errorf("locking: %w", err)
	}
	return nil
}

// prepareWork removes what an interrupted run left that is not whole, and finds
// out whether files can be given to the tree's owner.
func (t *Tree) prepareWork() error {
	if info, err := t.root.Lstat(workDir); err == nil && !info.IsDir() {
		return fmt.Errorf("%s is in the way and no directory", filepath.Join(t.dir, workDir))
	}
	err := t.root.RemoveAll(stagingDir)
	if err == nil {
		err = t.root.MkdirAll(stagingDir, 0o700)
	}
	if err != nil {
		return report.WithHint(err, "the tree has to be written to: run as root, or as the user of its registry")
	}
	if t.staging, err = t.root.Open(stagingDir); err != nil {
		return err
	}
	return t.tryOwner()
}

// Use says where the bytes are. It refuses a source that is the tree itself, or
// lies in it: a source is never written to.
func (t *Tree) Use(src source.Source, path func(digest.Digest) string) error {
	if err := apart(t.dir, src); err != nil {
		return err
	}
	t.opts.Source = src
	if path != nil {
		t.opts.Path = path
	}
	t.local, _ = src.(source.LocalFS)
	return nil
}

// Dir is the directory of the tree, …/docker/registry/v2.
func (t *Tree) Dir() string { return t.dir }

// Unpacked is the directory for the files of an archive that has to be unpacked,
// on the file system of the tree. It stays when the tree is closed, for a run that
// goes on, until RemoveUnpacked.
func (t *Tree) Unpacked() string { return filepath.Join(t.dir, unpackedDir) }

// RemoveUnpacked takes that directory away. The tree keeps its links.
func (t *Tree) RemoveUnpacked() error { return source.RemoveUnpacked(t.Unpacked()) }

// Usage is what placing blobs took so far.
func (t *Tree) Usage() link.Usage {
	u := link.Usage{Linked: int(t.linked.Load()), Copied: t.copied.Load()}
	if why := t.refused.Load(); why != nil {
		u.Why = *why
	}
	return u
}

// Close has everything on the disk, removes the work directory, and gives the
// lock up. Where nothing was put into a tree that was made for it, the tree goes.
func (t *Tree) Close() error {
	if err := errors.Join(syncAll(t.lock), t.giveUp()); err != nil {
		return fmt.Errorf("closing storage %s: %w", t.dir, err)
	}
	return nil
}

// giveUp removes the work directory, closes what is open, and removes directories
// of a new tree that are empty.
func (t *Tree) giveUp() error {
	var errs []error
	if t.staging != nil {
		errs = append(errs, t.root.RemoveAll(stagingDir))
		_ = t.root.Remove(workDir) // unless something was unpacked there
	}
	if t.lock != nil {
		// Closing it leaves the lock to a process that is just being started, which
		// has the same file until it becomes another program.
		_ = syscall.Flock(int(t.lock.Fd()), syscall.LOCK_UN)
	}
	for _, f := range []*os.File{t.staging, t.lock} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	if t.root != nil {
		errs = append(errs, t.root.Close())
	}
	for n := len(t.fresh) - 1; n >= 0; n-- {
		if os.Remove(t.fresh[n]) != nil {
			break // not empty
		}
	}
	return errors.Join(errs...)
}
