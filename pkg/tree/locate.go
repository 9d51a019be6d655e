package tree

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// locate finds docker/registry/v2 as a source is found or, where there is none,
// says where it has to be.
func locate(dir string, existing bool) (v2 string, err error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !existing:
		return below(dir), nil
	case err != nil:
		return "", err
	case !info.IsDir():
		return "", &fs.PathError{Op: "open", Path: dir, Err: syscall.ENOTDIR}
	}
	src, err := source.Open(context.Background(), dir, nil)
	if _, failed := errors.AsType[*fs.PathError](err); failed {
		return "", err
	}
	found, ok := src.(source.Dir)
	switch {
	case err == nil && ok && !found.HoldsLayouts():
		return found.Root(), nil
	case existing:
		return "", report.WithHint(errors.New("no registry's storage is there"),
			"give the directory that the registry keeps its files in: the one that holds "+storage.Root)
	case err == nil:
		return "", report.WithHint(errors.New("it holds layouts"), "name another directory for the registry's storage")
	}
	return below(dir), nil
}

// below is where a new tree goes: below the directory that is to be the
// registry's root, unless its path says itself how far down it is.
func below(dir string) string {
	name := filepath.ToSlash(filepath.Clean(dir))
	if strings.HasSuffix(name, storage.Root) {
		return dir
	}
	if strings.HasSuffix(name, strings.TrimSuffix(storage.Root, "/v2")) {
		return filepath.Join(dir, "v2")
	}
	return filepath.Join(dir, filepath.FromSlash(storage.Root))
}

// makeRoot makes the directories down to docker/registry/v2 that are missing. They
// belong to the owner of dir, if that is there.
func (t *Tree) makeRoot(dir, v2 string) error {
	var missing []string
	for at := filepath.Clean(v2); ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil {
			break
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		missing = append(missing, at)
		if at == filepath.Dir(at) {
			break
		}
	}
	if len(missing) == 0 {
		return nil
	}
	as := owner{uid: os.Geteuid(), gid: os.Getegid()}
	if has, err := ownerOf(dir); err == nil {
		as = has
	}
	as.dir = 0o755
	for n := len(missing) - 1; n >= 0; n-- {
		if err := os.Mkdir(missing[n], as.dir); err != nil {
			return err
		}
		t.fresh = append(t.fresh, missing[n])
		if err := as.giveDir(missing[n]); err != nil {
			return err
		}
	}
	return nil
}

// apart refuses a source that is the tree, lies in it, or has it in itself,
// whatever their paths are. The tree need not be there yet.
func apart(v2 string, src source.Source) error {
	d, ok := src.(source.Dir)
	if !ok {
		return nil
	}
	own, theirs := storage.Tops(v2), storage.Tops(d.Root())
	if d.HoldsLayouts() {
		theirs = theirs[:1]
	}
	for _, dirs := range [][2][]string{{own, theirs}, {theirs, own}} {
		for _, dir := range dirs[0] {
			inside, err := liesIn(dir, dirs[1])
			if err != nil {
				return err
			}
			if inside {
				return report.WithHint(ErrIsSource, "name the storage of another registry, or an empty directory elsewhere")
			}
		}
	}
	return nil
}

// liesIn tells whether a directory is one of some, or lies in one, or would if it
// were there. Symbolic links are resolved.
func liesIn(dir string, some []string) (bool, error) {
	at, err := realPath(dir)
	if err != nil {
		return false, err
	}
	var are []fs.FileInfo
	for _, one := range some {
		info, err := os.Stat(one)
		switch {
		case err == nil:
			are = append(are, info)
		case !errors.Is(err, fs.ErrNotExist):
			return false, err
		}
	}
	for {
		info, err := os.Stat(at)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(are, func(one fs.FileInfo) bool { return os.SameFile(one, info) }) {
			return true, nil
		}
		if at == filepath.Dir(at) {
			return false, nil
		}
		at = filepath.Dir(at)
	}
}

// realPath is a directory's path without symbolic links or, if it is not there,
// that of the first above it that is.
func realPath(dir string) (string, error) {
	at, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for {
		real, err := filepath.EvalSymlinks(at)
		if err == nil || !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			return real, err
		}
		at = filepath.Dir(at)
	}
}
