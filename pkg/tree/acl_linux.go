package tree

import (
	"errors"

	"golang.org/x/sys/unix"
)

// maxACL bounds what is read of an access control list, bytes: over a hundred
// entries.
const maxACL = 1 << 10

// accessControl gives a file's access control list, if it has one beside its mode.
// One that cannot be read is there, and says nothing.
func accessControl(path string) (list []byte, found bool) {
	list = make([]byte, maxACL)
	n, err := unix.Lgetxattr(path, "system.posix_acl_access", list)
	switch {
	case errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOSYS):
		return nil, false
	case err != nil:
		return nil, true
	}
	return list[:n], true
}
