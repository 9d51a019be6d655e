package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// lockTries bounds how often a mark is asked for that another run is just taking
// away.
const lockTries = 100

// lock makes the mark, or takes the one that a run left, and keeps other runs
// out while this one is at work.
func (t *target) lock() (err error) {
	path := t.name + inventorySuffix + partialSuffix
	for range lockTries {
		t.mark, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o644)
		t.fresh = err == nil
		if errors.Is(err, fs.ErrExist) {
			t.mark, err = os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
		}
		if err != nil {
			return report.WithHint(err, "name a file in a directory that is there and can be written to")
		}
		mine, err := t.hold()
		if err != nil || mine {
			return err
		}
		t.mark.Close()
	}
	return fmt.Errorf("%s comes and goes", path)
}

// hold takes the lock of the mark, and tells whether it is the mark still.
// Where a file system knows no locks, nothing keeps runs apart.
func (t *target) hold() (bool, error) {
	err := syscall.Flock(int(t.mark.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		t.mark.Close()
		return false, report.WithHint(errors.New("another run is writing it"), "wait for it to end, or name another file")
	}
	own, err := t.mark.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Stat(t.mark.Name())
	return err == nil && os.SameFile(own, there) && own.Mode().IsRegular(), nil
}

// syncDir brings the names in a directory to the disk. Some file systems cannot.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}
