package dirlayout_test

import (
	"errors"
	"iter"
	"maps"
	"os"
	"slices"
	"syscall"
)

// replace puts a new file in the place of one, whose inode may be the source's.
func replace(path string, content []byte) error {
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}

func errorsOf(errs ...error) error { return errors.Join(errs...) }

func mkfifo(path string) error { return syscall.Mkfifo(path, 0o644) }

func keys(m map[string]string) iter.Seq[string] {
	return slices.Values(slices.Sorted(maps.Keys(m)))
}
