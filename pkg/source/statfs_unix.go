//go:build linux || darwin || freebsd

package source

import (
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// statfs tells how many bytes of a directory's file system are free for
// everybody, and how many it has.
func statfs(dir string) (free, size int64, err error) {
	var st unix.Statfs_t
	switch err := unix.Statfs(dir, &st); {
	case err == unix.ENOSYS || err == unix.ENOTSUP:
		return math.MaxInt64, math.MaxInt64, nil // nothing is known: writing goes on until it fails
	case err != nil:
		return 0, 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return product(uint64(st.Bavail), uint64(st.Bsize)), product(uint64(st.Blocks), uint64(st.Bsize)), nil
}

// product is a number of bytes, as large as it can be said; some file systems
// state one that means "no limit".
func product(blocks, size uint64) int64 {
	if size != 0 && blocks > math.MaxInt64/size {
		return math.MaxInt64
	}
	return int64(blocks * size)
}
