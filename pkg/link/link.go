// Package link puts a file under another name: by hard link, reflink, symbolic
// link or copy. Which of them a file system takes, only trying tells: see
// Refused.
package link

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// Method is how a file gets its other name.
type Method string

// The methods. Auto is a hard link where the file system allows it, else a
// reflink, else a copy.
const (
	Auto     Method = "auto"
	Hardlink Method = "hardlink"
	Reflink  Method = "reflink" // a copy that shares its blocks with the original
	Symlink  Method = "symlink"
	Copy     Method = "copy"
)

// Valid tells whether the method is one of these; "" stands for Auto.
func (m Method) Valid() bool {
	switch m {
	case "", Auto, Hardlink, Reflink, Symlink, Copy:
		return true
	}
	return false
}

// Make makes the one kind of link that the method means; for Auto, a hard link.
// Copy is not for it: see File.
func (m Method) Make(from, to string) error {
	switch m {
	case Symlink:
		return Symbolic(from, to)
	case Reflink:
		return Clone(from, to)
	default:
		return Hard(from, to)
	}
}

// Refused tells errors that mean "no link here" from real trouble: another file
// system or mount, a file with too many links, links protected by the kernel, a
// read-only or a simple file system.
func Refused(err error) bool {
	for _, no := range []error{syscall.EXDEV, syscall.EMLINK, syscall.EPERM, syscall.EROFS, syscall.ENOTSUP, syscall.ENOSYS, syscall.ENOTTY} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

// Hard links a file, not the symbolic link that may lead to it. Errors are those
// of os.Link.
func Hard(from, to string) error { return HardAt(nil, from, nil, to) }

// Symbolic makes a symbolic link that leads to a file by its absolute path.
func Symbolic(from, to string) error {
	absolute, err := filepath.Abs(from)
	if err != nil {
		return err
	}
	return os.Symlink(absolute, to)
}

// Usage is what giving files other names took.
type Usage struct {
	Linked int    // files, by hard link, symbolic link or reflink
	Copied int64  // bytes
	Why    string // the first reason why a file was not hard-linked; empty where none was
}
