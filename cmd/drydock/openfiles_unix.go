//go:build unix

package main

import (
	"math"

	"golang.org/x/sys/unix"
)

// openFiles is how many files this process may have open. The runtime has raised
// the limit as far as it goes.
func openFiles() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || uint64(limit.Cur) > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(limit.Cur)
}
