//go:build !linux

package link

import "golang.org/x/sys/unix"

// SameMount tells whether hard links between two files or directories are possible.
// Whether the file system has any is another question.
func SameMount(a, b string) bool {
	var x, y unix.Stat_t
	return unix.Stat(a, &x) == nil && unix.Stat(b, &y) == nil && x.Dev == y.Dev
}
