package tree

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// rename moves a file or directory where nothing of its name is. It fails with
// errNoMove where the file system cannot promise that.
func rename(from *os.File, name string, to *os.File, as string) error {
	err := unix.Renameat2(int(from.Fd()), name, int(to.Fd()), as, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENOTSUP) {
		return errNoMove
	}
	return err
}

// syncAll has everything on the disk that was written to a file system.
func syncAll(f *os.File) error { return unix.Syncfs(int(f.Fd())) }
