package storage

import (
	"errors"
	"io/fs"
	"syscall"
)

// isAbsent tells whether an error means that nothing has that name: neither the
// file nor, for ENOTDIR, the directory it would be in.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// isLoop tells whether an error comes of symbolic links that go round.
func isLoop(err error) bool { return errors.Is(err, syscall.ELOOP) }
