//go:build !linux

package dirlayout

import (
	"os"
	"syscall"
)

// cloneTo is not to be had here.
func cloneTo(from, to string) error {
	return &os.LinkError{Op: "clone", Old: from, New: to, Err: syscall.ENOTSUP}
}
