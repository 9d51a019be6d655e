//go:build !linux

package link

import (
	"os"
	"syscall"
)

// Clone is not to be had here.
func Clone(from, to string) error {
	return &os.LinkError{Op: "clone", Old: from, New: to, Err: syscall.ENOTSUP}
}
