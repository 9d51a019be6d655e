package source

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"syscall"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// ErrNoRoom is wrapped by errors of Open for want of room on the disk that an
// archive is unpacked to. What was unpacked stays, for the next run.
var ErrNoRoom = errors.New("no room left")

const (
	stretch   = 64 << 20 // bytes that are written between two looks at what is free
	sure      = 4 << 20  // bytes that may be written without a look
	leastFree = 64 << 20 // bytes that are always left free
	mostFree  = 1 << 30  // bytes that are left free at most, however large the disk
)

// diskFree tells how many bytes of a directory's file system may be written, and
// how many it has. A test puts another in its place.
var diskFree = statfs

// Free is how many bytes can be written to a directory, or would be if it were
// there: then the first directory above it counts that is.
func Free(dir string) (int64, error) {
	free, _, err := freeAbove(dir)
	return free, err
}

func freeAbove(dir string) (free, size int64, err error) {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return 0, 0, err
	}
	for {
		free, size, err = diskFree(absolute)
		above := filepath.Dir(absolute)
		if !errors.Is(err, fs.ErrNotExist) || above == absolute {
			return free, size, err
		}
		absolute = above
	}
}

// room tells whether so many bytes can be written and leave some free: a
// hundredth of the disk, but neither less than 64 MiB nor more than 1 GiB.
func room(dir string, need int64) error {
	free, size, err := freeAbove(dir)
	if err != nil {
		return fmt.Errorf("looking for room: %w", err)
	}
	reserve := min(max(size/100, leastFree), mostFree)
	if free == math.MaxInt64 || need <= free-reserve {
		return nil
	}
	return report.WithHint(fmt.Errorf("%w: %s more at least are needed, and %s are free, of which %s are to stay so",
		ErrNoRoom, inWords(need), inWords(free), inWords(reserve)), roomAdvice)
}

const roomAdvice = "make room, put the layouts on another disk with --layouts, or decompress the archive on another host: " +
	"a plain tar needs no room beside it. What was unpacked stays, and need not be unpacked again"

// noRoomLeft makes ErrNoRoom of what the system says of a full disk, or of a
// user's share of it.
func noRoomLeft(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return report.WithHint(fmt.Errorf("%w: %w", ErrNoRoom, err), roomAdvice)
	}
	return err
}

// inWords writes a number of bytes as people read it.
func inWords(n int64) string {
	units := []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	if n < 1<<10 {
		return fmt.Sprintf("%d bytes", n)
	}
	f := float64(n)
	unit := ""
	for _, unit = range units {
		if f /= 1 << 10; f < 1<<10 {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", f, unit)
}
