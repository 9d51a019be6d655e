package source

import (
	"errors"
	"os"
)

// unnamed makes a temporary file and takes its name away.
func unnamed() (*os.File, error) {
	f, err := os.CreateTemp("", "drydock-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
