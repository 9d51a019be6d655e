package link

import "golang.org/x/sys/unix"

// openDir opens a directory for nothing but to name what lies below it.
const openDir = unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC
