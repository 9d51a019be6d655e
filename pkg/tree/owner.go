package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
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

// ownerIn is the owner that the tree at v2 shows: that of like, which the registry is
// known to have made, or the tree's own or, where that is root, that of the
// directories that hold everything. A tree that root restored from a backup may
// belong to root alone at its top, and a registry that is not root could not go on in
// what does.
func ownerIn(v2, like string) (owner, error) {
	own, err := ownerOf(v2)
	if err != nil {
		return own, err
	}
	dirs := storage.Tops(v2)
	if like != "" {
		dirs = slices.Insert(dirs, 0, filepath.Join(v2, filepath.FromSlash(like)))
	}
	for _, dir := range dirs {
		switch it, err := ownerOf(dir); {
		case err == nil && it.uid != 0: // root can do with any
			return it, nil
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return owner{}, err
		}
	}
	return own, nil
}

func ids(info fs.FileInfo) (uid, gid int) {
	stat := info.Sys().(*syscall.Stat_t) // of every file that package os describes, on Unix
	return int(stat.Uid), int(stat.Gid)
}

// reads tells whether the owner can surely read a file as it is, by its mode and by
// its access control list. Of the groups that the user may be in, his own is known
// alone: where any other would keep him out, it is not sure.
func (o owner) reads(path string, info fs.FileInfo) bool {
	uid, gid := ids(info)
	mode := info.Mode()
	switch {
	case o.uid == 0:
		return true
	case o.uid == uid:
		return mode&0o400 != 0
	}
	if list, found := accessControl(path); found {
		return aclReads(list, o, gid)
	}
	if o.gid == gid {
		return mode&0o040 != 0
	}
	return mode&0o044 == 0o044
}

// access says who may do what with a file, for people.
func access(path string, info fs.FileInfo) string {
	if _, found := accessControl(path); found {
		return info.Mode().String() + " and has an access control list"
	}
	return info.Mode().String()
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
