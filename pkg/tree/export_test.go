package tree

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// RefuseMoves has the file system refuse to move what is to replace nothing, as
// NFS does.
func RefuseMoves(t *testing.T) {
	moveBy(t, func(*os.File, string, *os.File, string) error { return errNoMove })
}

// BeforeMoves has something done before each move to a path. With refused, the
// moves are then refused.
func BeforeMoves(t *testing.T, refused bool, do func(path string)) {
	moveBy(t, func(from *os.File, name string, to *os.File, as string) error {
		do(filepath.Join(to.Name(), as))
		if refused {
			return errNoMove
		}
		return rename(from, name, to, as)
	})
}

func moveBy(t *testing.T, move func(*os.File, string, *os.File, string) error) {
	renameNew = move
	t.Cleanup(func() { renameNew = rename })
}

// ACLReads tells whether an access control list lets a user read, who is in the
// group of the same number, a file of a group.
func ACLReads(list []byte, id, group int) bool { return aclReads(list, owner{uid: id, gid: id}, group) }

// HoldLock keeps a tree's lock open until the test ends, as a process does that
// was started meanwhile.
func HoldLock(t *testing.T, w *Tree) error {
	fd, err := unix.Dup(int(w.lock.Fd()))
	if err == nil {
		t.Cleanup(func() { unix.Close(fd) })
	}
	return err
}
