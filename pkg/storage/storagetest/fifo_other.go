//go:build !unix

package storagetest

import "errors"

func mkfifo(string) error { return errors.ErrUnsupported }
