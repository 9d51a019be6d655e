package source

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// syncAll writes out the file system that a directory is on.
func syncAll(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return &os.PathError{Op: "syncfs", Path: dir, Err: err}
	}
	return nil
}

// syncFile does nothing: syncAll does it for all files at once.
func syncFile(string) error { return nil }

// temporary makes a file without a name, of which nothing is left behind however
// the process ends.
func temporary() (*os.File, error) {
	dir := os.TempDir()
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	switch {
	case err == nil:
		return os.NewFile(uintptr(fd), dir+"/(kept)"), nil
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EISDIR), errors.Is(err, unix.ENOENT), errors.Is(err, unix.EINVAL):
		return unnamed() // the file system or the kernel has no such files
	default:
		return nil, &os.PathError{Op: "open", Path: dir, Err: err}
	}
}
