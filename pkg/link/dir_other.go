//go:build !linux

package link

import "golang.org/x/sys/unix"

const openDir = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC
