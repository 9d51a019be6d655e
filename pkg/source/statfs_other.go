//go:build !linux && !darwin && !freebsd

package source

import "math"

// statfs knows nothing of this system's disks: writing goes on until it fails.
func statfs(string) (free, size int64, err error) {
	return math.MaxInt64, math.MaxInt64, nil
}
