package dirlayout

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// lockTries bounds how often a lock is asked for whose file another run is just
// taking away.
const lockTries = 100

// lockDir makes the work directory and takes the lock in it that keeps two runs
// apart. It goes with the process, however that ends.
func lockDir(work string) (*os.File, error) {
	path := filepath.Join(work, "lock")
	for range lockTries {
		if err := os.MkdirAll(work, 0o755); err != nil {
			return nil, report.WithHint(fmt.Errorf("preparing layouts: %w", err), "name another directory for the layouts, best on the file system of the registry")
		}
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("locking layouts: %w", err)
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil && isFile(f, path):
			return f, nil
		case err == nil: // the run that it kept out others for is over
			f.Close()
			continue
		}
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, report.WithHint(fmt.Errorf("locking layouts: another run is at work in %s", filepath.Dir(work)),
				"wait for it to end, or name another directory")
		}
		return nil, fmt.Errorf("locking layouts: %w", err)
	}
	return nil, fmt.Errorf("locking layouts: %s comes and goes", path)
}

// isFile tells whether an open file is still the one of its name.
func isFile(f *os.File, path string) bool {
	own, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(own, there)
}

// unlockDir gives the lock up, and removes the work directory unless another
// run has it by now.
func unlockDir(lock *os.File) error {
	err := os.Remove(lock.Name())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	os.Remove(filepath.Dir(lock.Name()))
	return errors.Join(err, lock.Close())
}
