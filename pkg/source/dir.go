package source

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// Dir is a registry in a local directory.
type Dir struct {
	root    string // docker/registry/v2, as found below the location
	layouts bool   // it is a directory of layouts instead
}

// below are the ways from a location down to the directory that holds "blobs"
// and "repositories": from the registry's root (rootdirectory in its
// configuration), from docker, from docker/registry, and none at all. The path
// is defined in distribution, registry/storage/paths.go.
var below = []string{"docker/registry/v2", "registry/v2", "v2", "."}

func openDir(location string) (Source, error) {
	for _, way := range below {
		root := filepath.Join(location, filepath.FromSlash(way))
		if way == "." && !hasFanOut(root) && holdsLayouts(root) {
			break // of repositories that are called blobs, or repositories
		}
		found, err := looksLikeV2(root, way)
		if err != nil {
			return nil, fmt.Errorf("opening source: %w", err)
		}
		if found {
			return Dir{root: root}, nil
		}
	}
	if !somethingElse(location) && holdsLayouts(location) {
		return Dir{root: filepath.Clean(location), layouts: true}, nil
	}
	return nil, notARegistry(location)
}

// hasFanOut tells whether a directory has blobs as registries keep them, by the
// first two digits of their digests.
func hasFanOut(root string) bool {
	for _, algorithm := range []string{"sha256", "sha512"} {
		entries, err := os.ReadDir(filepath.Join(root, "blobs", algorithm))
		if err == nil && slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return isHex(e.Name(), 2) }) {
			return true
		}
	}
	return false
}

// looksLikeV2 tells whether a directory is docker/registry/v2: it holds blobs
// or repositories, or the way to it leaves no doubt. Only absence is a no.
func looksLikeV2(root, way string) (bool, error) {
	if way == "." && hasAny(root, "oci-layout", inventoryFile) {
		return false, nil // what is called blobs there is part of another format
	}
	for _, name := range []string{"repositories", "blobs"} {
		info, err := os.Stat(filepath.Join(root, name))
		if err == nil && info.IsDir() {
			return true, nil
		}
		if err != nil && !absent(err) {
			return false, err
		}
	}
	if way != below[0] && way != below[1] {
		return false, nil
	}
	info, err := os.Stat(root)
	if err != nil && !absent(err) {
		return false, err
	}
	return err == nil && info.IsDir(), nil
}

func absent(err error) bool {
	return os.IsNotExist(err) || isErrno(err, syscall.ENOTDIR)
}

func isErrno(err error, want syscall.Errno) bool {
	pathErr, ok := err.(*fs.PathError)
	return ok && pathErr.Err == want
}

// somethingElse tells of what may hold layouts somewhere deep in it by chance.
func somethingElse(location string) bool {
	return hasAny(location, "overlay2", "image/overlay2", "aufs", "overlay-images", "overlay-layers", "vfs-images", "oci-layout")
}

// notARegistry explains what was looked for, and knows what people give instead.
func notARegistry(location string) error {
	return instead(location, "here and on that way down", func(names ...string) bool { return hasAny(location, names...) })
}

// instead is notARegistry for whatever can tell what is in it. It says where that
// was looked for.
func instead(location, where string, has func(names ...string) bool) error {
	err := fmt.Errorf("opening source %s: no registry storage found there", location)
	switch {
	case has("overlay2", "image/overlay2", "aufs", "btrfs/subvolumes"):
		return report.WithHint(err, "this is the data directory of a Docker engine, not of a registry: "+
			"push its images to a registry, or give the storage of a registry, often the volume mounted at /var/lib/registry")
	case has("overlay-images", "overlay-layers", "vfs-images"):
		return report.WithHint(err, "this is the storage of podman or CRI-O, not of a registry")
	case has("index.json", "oci-layout"):
		return report.WithHint(err, "this is an OCI layout, which skopeo copies on its own: skopeo copy oci:DIR docker://…")
	case has(layoutManifest) && has(layoutVersion):
		return report.WithHint(err, "this is one layout: give the directory that convert wrote, which holds <repository>:<tag>/manifest.json")
	default:
		return report.WithHint(err, "looked for docker/registry/v2, registry/v2, v2, and for the directories "+
			"repositories and blobs, "+where+"; give the registry's root directory, often /var/lib/registry")
	}
}

func hasAny(dir string, names ...string) bool {
	for _, name := range names {
		if _, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(name))); err == nil {
			return true
		}
	}
	return false
}

// Root is the directory of blobs and repositories, docker/registry/v2.
func (d Dir) Root() string { return d.root }

// HoldsLayouts implements LayoutsFS.
func (d Dir) HoldsLayouts() bool { return d.layouts }

// Home is the registry's root directory, the one that holds docker; where the
// source is no such tree, the directory of blobs and repositories itself.
func (d Dir) Home() string {
	root, err := filepath.Abs(d.root)
	if err != nil {
		root = d.root
	}
	if home, ok := strings.CutSuffix(filepath.ToSlash(root), "/"+below[0]); ok {
		return filepath.Join("/", filepath.FromSlash(home))
	}
	return root
}

// StatHome implements HomeFS.
func (d Dir) StatHome(name string) (fs.FileInfo, error) {
	home := d.Home()
	if _, err := os.Stat(filepath.Join(home, below[0])); err != nil || !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	}
	return os.Stat(filepath.Join(home, filepath.FromSlash(name)))
}

// Open opens a regular file or a directory for reading. Symbolic links are
// followed, as the registry follows them.
func (d Dir) Open(name string) (fs.File, error) {
	path, err := d.path("open", name)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() && !info.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: path, Err: ErrNotRegular}
	}
	// Without O_NONBLOCK, a FIFO put in place since the look above would hang.
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// ReadDir lists a directory, sorted by name. Like Open, it never opens a FIFO.
func (d Dir) ReadDir(name string) ([]fs.DirEntry, error) {
	path, err := d.path("readdir", name)
	if err != nil {
		return nil, err
	}
	return readDir(path)
}

// ReadSmall implements SmallFS.
func (d Dir) ReadSmall(name string, buf []byte, most int64) (content []byte, modified time.Time, ok bool) {
	path, err := d.path("open", name)
	if err != nil {
		return buf, time.Time{}, false
	}
	return readSmall(path, buf, most)
}

// Stat describes what a name leads to, links followed.
func (d Dir) Stat(name string) (fs.FileInfo, error) {
	path, err := d.path("stat", name)
	if err != nil {
		return nil, err
	}
	return os.Stat(path)
}

// LocalPath implements LocalFS.
func (d Dir) LocalPath(name string) (string, bool) {
	path, err := d.path("link", name)
	return path, err == nil
}

// Close implements Source; a directory has nothing to close.
func (d Dir) Close() error { return nil }

func (d Dir) path(op, name string) (string, error) {
	if !fs.ValidPath(name) {
		return "", &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	if name == "." {
		return d.root, nil
	}
	return d.root + string(filepath.Separator) + filepath.FromSlash(name), nil // there is nothing to clean in it
}
