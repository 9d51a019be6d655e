package dirlayout

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// maxManifest bounds what is read of a manifest into memory, bytes.
const maxManifest = 32 << 20

// errNotRegular is what a FIFO or a directory in a file's place is. Opening a
// FIFO alone can block for ever.
var errNotRegular = errors.New("not a regular file")

// readFile reads a regular file of so many bytes at most.
func readFile(path string, most int64) ([]byte, error) {
	f, size, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > most {
		return nil, tooLarge(path, most)
	}
	content := make([]byte, size)
	if _, err := io.ReadFull(f, content); err != nil { // or it was cut since
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return content, nil
}

// readIn is readFile for a file of a source.
func readIn(fsys fs.FS, name string, most int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(content)) > most {
		err = tooLarge(name, most)
	}
	return content, err
}

func tooLarge(name string, most int64) error {
	return fmt.Errorf("reading %s: over %d bytes", name, most)
}

// OpenFile opens a regular file. Opening a FIFO could block for ever.
func OpenFile(path string) (*os.File, error) {
	f, _, err := openRegular(path)
	return f, err
}

// openRegular is OpenFile, and gives the file's size in bytes.
func openRegular(path string) (*os.File, int64, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: errNotRegular}
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}
