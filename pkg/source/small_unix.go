//go:build linux || darwin || freebsd

package source

import (
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// readDir lists a directory, sorted by name. What is none is not opened: asked
// for a directory, the kernel looks first.
func readDir(path string) ([]fs.DirEntry, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

// readSmall reads a file by the system's own calls. An os.File would do the same,
// and ask the poller to watch it, which it does for no regular file.
func readSmall(path string, buf []byte, most int64) (content []byte, modified time.Time, ok bool) {
	var st unix.Stat_t
	if err := again(func() error { return unix.Stat(path, &st) }); err != nil || !isRegular(&st) {
		return buf, modified, false
	}
	fd := -1
	err := again(func() (err error) {
		// Without O_NONBLOCK, a FIFO put in place since the look above would hang.
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return buf, modified, false
	}
	defer unix.Close(fd)
	if err := again(func() error { return unix.Fstat(fd, &st) }); err != nil || !isRegular(&st) {
		return buf, modified, false
	}
	if buf, err = readFD(fd, buf, st.Size, most); err != nil {
		return buf, modified, false
	}
	return buf, time.Unix(st.Mtim.Unix()), true
}

// readFD appends what a file of a size holds, up to one byte more than most. It
// is over where the file was to end: only what grew since is read on.
func readFD(fd int, buf []byte, size, most int64) ([]byte, error) {
	start := len(buf)
	buf = slices.Grow(buf, int(min(size, most))+1)
	for read := int64(0); read <= most; read = int64(len(buf) - start) {
		if read == size && size > 0 {
			break
		}
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, len(buf)+1)
		}
		room := buf[len(buf):min(cap(buf), start+int(most)+1)]
		n := 0
		if err := again(func() (err error) { n, err = unix.Read(fd, room); return err }); err != nil {
			return buf, err
		}
		if n <= 0 {
			break
		}
		buf = buf[:len(buf)+n]
	}
	return buf, nil
}

func isRegular(st *unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFREG }

// again repeats a call that a signal interrupted, as file systems in user space
// and some over a network let it.
func again(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
