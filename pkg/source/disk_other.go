//go:build !linux

package source

import "os"

// syncAll does nothing: syncFile did it.
func syncAll(string) error { return nil }

// syncFile writes a file out.
func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func temporary() (*os.File, error) { return unnamed() }
