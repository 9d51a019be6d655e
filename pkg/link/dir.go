package link

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Dir is an open directory. What lies in it is found without walking the whole
// way to it each time, which is a good part of what a link costs.
type Dir struct {
	fd   int
	path string
}

// OpenDir opens a directory.
func OpenDir(path string) (*Dir, error) {
	for {
		fd, err := unix.Open(path, openDir, 0)
		if err == nil {
			return &Dir{fd: fd, path: path}, nil
		}
		if err != unix.EINTR {
			return nil, &os.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

// Path is where a name in the directory lies.
func (d *Dir) Path(name string) string {
	if d == nil {
		return name
	}
	return d.path + string(os.PathSeparator) + name
}

// Close closes it.
func (d *Dir) Close() error {
	if err := unix.Close(d.fd); err != nil {
		return &os.PathError{Op: "close", Path: d.path, Err: err}
	}
	return nil
}

// Regular is the size in bytes of a regular file in the directory. There may be a
// symbolic link that leads to it.
func (d *Dir) Regular(name string) (size int64, err error) {
	var info unix.Stat_t
	for {
		err := unix.Fstatat(d.at(), name, &info, 0)
		switch {
		case err == unix.EINTR:
			continue
		case err == nil && info.Mode&unix.S_IFMT != unix.S_IFREG:
			err = errors.New("not a regular file")
		}
		if err != nil {
			return 0, &os.PathError{Op: "stat", Path: d.Path(name), Err: err}
		}
		return info.Size, nil
	}
}

func (d *Dir) at() int {
	if d == nil {
		return unix.AT_FDCWD
	}
	return d.fd
}

// HardAt is Hard for names below directories; without a directory, a name is a
// path.
func HardAt(from *Dir, name string, to *Dir, as string) error {
	for {
		err := unix.Linkat(from.at(), name, to.at(), as, unix.AT_SYMLINK_FOLLOW)
		if err == nil {
			return nil
		}
		if err != unix.EINTR { // as some network file systems say
			return &os.LinkError{Op: "link", Old: from.Path(name), New: to.Path(as), Err: err}
		}
	}
}
