//go:build !(linux || darwin || freebsd)

package source

import (
	"io/fs"
	"os"
	"syscall"
	"time"
)

// readDir lists a directory, sorted by name.
func readDir(path string) ([]fs.DirEntry, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: path, Err: syscall.ENOTDIR}
	}
	return os.ReadDir(path)
}

func readSmall(_ string, buf []byte, _ int64) (content []byte, modified time.Time, ok bool) {
	return buf, time.Time{}, false
}
