package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// owner is whom what is new belongs to, and with which modes.
type owner struct {
	uid, gid int
	dir      fs.FileMode // of directories
}

// file is the mode of files: what a registry with the same umask gives them.
func (o owner) file() fs.FileMode { return o.dir.Perm() & 0o666 }

// ownerOf is the owner that a directory shows.
func ownerOf(dir string) (owner, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return owner{}, err
	}
	uid, gid := ids(info)
	return owner{uid: uid, gid: gid, dir: info.Mode() & (fs.ModePerm | fs.ModeSetgid)}, nil
}

func ids(info fs.FileInfo) (uid, gid int) {
	stat := info.Sys().(*syscall.Stat_t) // of every file that package os describes, on Unix
	return int(stat.Uid), int(stat.Gid)
}

// reads tells whether the owner can read a file as it is. Other groups that the
// user may be in are not counted, nor are access control lists.
func (o owner) reads(info fs.FileInfo) bool {
	uid, gid := ids(info)
	switch mode := info.Mode(); {
	case o.uid == 0:
		return true
	case o.uid == uid:
		return mode&0o400 != 0
	case o.gid == gid:
		return mode&0o040 != 0
	default:
		return mode&0o004 != 0
	}
}

func (o owner) giveDir(path string) error  { return o.give(path, o.dir) }
func (o owner) giveFile(path string) error { return o.give(path, o.file()) }

// give gives a new file or directory to the owner.
func (o owner) give(path string, mode fs.FileMode) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if uid, gid := ids(info); uid != o.uid || gid != o.gid {
		if err := os.Lchown(path, o.uid, o.gid); err != nil {
			return refusal(err, o)
		}
		info = nil // its mode may have changed with it
	}
	if info != nil && info.Mode()&(fs.ModePerm|fs.ModeSetgid) == mode {
		return nil
	}
	return os.Chmod(path, mode)
}

// refusal explains why a file cannot be given away.
func refusal(err error, o owner) error {
	if !errors.Is(err, syscall.EPERM) {
		return err
	}
	return report.WithHint(fmt.Errorf("its files belong to user %d and group %d, and new ones cannot be given to them: %w", o.uid, o.gid, err),
		fmt.Sprintf("run as root, or as that user: sudo -u '#%d' -g '#%d' …", o.uid, o.gid))
}

// tryOwner finds out, before anything else is done, whether files can be given
// to the owner.
func (t *Tree) tryOwner() error {
	path := filepath.Join(t.dir, stagingDir, "owner")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	defer os.Remove(path)
	return t.owner.giveFile(path)
}
