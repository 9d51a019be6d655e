//go:build !linux

package tree

import "os"

// rename cannot promise here that it replaces nothing.
func rename(_ *os.File, _ string, _ *os.File, _ string) error { return errNoMove }

// syncAll has the directory on the disk; files are brought there one by one.
func syncAll(f *os.File) error { return f.Sync() }
