package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// errNoMove is what file systems say that cannot move a file so that nothing of
// its name is replaced.
var errNoMove = errors.New("no move that replaces nothing")

// renameNew is rename; a test puts in its place what other file systems do.
var renameNew = rename

// staged is a directory under construction with the one file that it is to hold.
// In a registry's tree, every file lies in a directory of its own.
type staged struct {
	tree *Tree
	name string // in the staging directory
	file string // its path
	gone bool   // to its place in the tree
}

// stage makes a directory for a file of this name, which the caller makes.
func (t *Tree) stage(file string) (*staged, error) {
	s := &staged{tree: t, name: strconv.FormatInt(t.staged.Add(1), 10)}
	dir := s.dir()
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	s.file = filepath.Join(dir, file)
	return s, nil
}

func (s *staged) dir() string { return filepath.Join(s.tree.dir, stagingDir, s.name) }

// remove takes away what did not get a name.
func (s *staged) remove() {
	if !s.gone {
		os.RemoveAll(s.dir())
	}
}

// publish gives a staged file its name in the tree, with the directory that it
// lies in. Where something of that name is there already, it is left, and made is
// false.
func (s *staged) publish(name string) (made bool, err error) {
	t, dir := s.tree, path.Dir(name)
	if err := t.owner.giveDir(s.dir()); err != nil {
		return false, err
	}
	err = t.moveInto(s.name, dir)
	if err == nil {
		s.gone = true
		return true, nil
	}
	if !errors.Is(err, fs.ErrExist) && !errors.Is(err, errNoMove) {
		return false, err
	}
	err = t.moveInto(path.Join(s.name, path.Base(s.file)), name)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil, err
}

// moveInto is move to a directory that need not be there, or that somebody may
// have removed since it was.
func (t *Tree) moveInto(from, name string) error {
	for again := false; ; again = true {
		if err := t.ensure(path.Dir(name)); err != nil {
			return err
		}
		err := t.move(from, name)
		if again || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		t.known.clear()
	}
}

// ensure makes a directory of the tree, and those that it lies in, unless they
// are there.
func (t *Tree) ensure(dir string) error {
	if dir == "." || t.known.has(dir) {
		return nil
	}
	there, err := t.hasDir(dir)
	if err == nil && !there {
		err = t.makeDir(dir)
	}
	if err != nil {
		return err
	}
	t.known.add(dir)
	return nil
}

// directories are some that are there, so that not every file has all of those
// above it looked up again.
type directories struct {
	mu    sync.Mutex
	names map[string]struct{}
}

// mostDirectories bounds how many are remembered.
const mostDirectories = 1 << 14

func (d *directories) has(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.names[name]
	return ok
}

func (d *directories) add(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.names)%mostDirectories == 0 {
		d.names = map[string]struct{}{}
	}
	d.names[name] = struct{}{}
}

func (d *directories) clear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.names = nil
}

// hasDir tells whether a directory of the tree is there. A symbolic link to one
// that lies in the tree counts, as it does for the registry.
func (t *Tree) hasDir(dir string) (bool, error) {
	info, err := t.root.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, t.outside(dir, err)
	case !info.IsDir():
		return false, &fs.PathError{Op: "mkdir", Path: t.path(dir), Err: syscall.ENOTDIR}
	}
	return true, nil
}

// makeDir makes a directory that appears when it belongs to the tree's owner, so
// that no interrupted run leaves one that the registry cannot write to.
func (t *Tree) makeDir(dir string) error {
	if err := t.ensure(path.Dir(dir)); err != nil {
		return err
	}
	s, err := t.stage("")
	if err != nil {
		return err
	}
	defer s.remove()
	if err := t.owner.giveDir(s.dir()); err != nil {
		return err
	}
	err = t.move(s.name, dir)
	s.gone = err == nil
	if errors.Is(err, errNoMove) {
		if err = t.root.Mkdir(dir, 0o700); err == nil {
			err = t.owner.giveDir(t.path(dir))
		}
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if there, err := t.hasDir(dir); err != nil || there {
		return err
	}
	return fmt.Errorf("%s is a symbolic link that leads nowhere", t.path(dir))
}

// move moves what is staged to its name in the tree, where nothing of that name
// is: else the error wraps fs.ErrExist.
func (t *Tree) move(from, name string) error {
	to, err := t.root.OpenFile(path.Dir(name), os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return t.outside(path.Dir(name), err)
	}
	defer to.Close()
	err = renameNew(t.staging, from, to, path.Base(name))
	if errors.Is(err, errNoMove) && path.Base(from) != from { // no directory has hard links
		err = linkNew(t.staging, from, to, path.Base(name))
	}
	switch {
	case err == nil || errors.Is(err, errNoMove):
		return err
	case errors.Is(err, syscall.EXDEV):
		return report.WithHint(&fs.PathError{Op: "rename", Path: t.path(name), Err: err},
			"blobs and repositories have to be on one file system, that of "+t.dir)
	}
	return &fs.PathError{Op: "rename", Path: t.path(name), Err: err}
}

// linkNew moves a file by a link, which replaces nothing either. Names are
// relative to open directories.
func linkNew(from *os.File, name string, to *os.File, as string) error {
	if err := unix.Linkat(int(from.Fd()), name, int(to.Fd()), as, 0); err != nil {
		return err
	}
	return unix.Unlinkat(int(from.Fd()), name, 0)
}

// path is where a name of the tree lies.
func (t *Tree) path(name string) string { return filepath.Join(t.dir, filepath.FromSlash(name)) }

// outside says what is to be done about a symbolic link that leads out of the
// tree: os.Root does not follow it, and says so in words alone.
func (t *Tree) outside(name string, err error) error {
	for at := name; at != "."; at = path.Dir(at) {
		info, failed := t.root.Lstat(at)
		if failed == nil && info.Mode()&fs.ModeSymlink != 0 {
			return report.WithHint(err, t.path(at)+" is a symbolic link; what leads out of the tree is not followed: mount the other disk there instead")
		}
	}
	return err
}
