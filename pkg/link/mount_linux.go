package link

import "golang.org/x/sys/unix"

// SameMount tells whether hard links between two files or directories are
// possible: not across file systems, nor across bind mounts of one. Whether the
// file system has any is another question.
func SameMount(a, b string) bool {
	x, okX := mountOf(a)
	y, okY := mountOf(b)
	return okX && okY && x == y
}

type mount struct {
	id     uint64
	device [2]uint32
}

func mountOf(path string) (mount, bool) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_BASIC_STATS|unix.STATX_MNT_ID, &st); err != nil {
		return mount{}, false
	}
	return mount{st.Mnt_id, [2]uint32{st.Dev_major, st.Dev_minor}}, true
}
