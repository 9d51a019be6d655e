package storagetest

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// damage is something done to a tree after it is written.
type damage struct {
	verb, place string
	do          func(w *writer, path string) error
}

func (b *Builder) damage(verb, place string, do func(w *writer, path string) error) {
	b.damages = append(b.damages, damage{verb, place, do})
}

// Remove removes a place, and all below it. It has to be there.
func (b *Builder) Remove(place string) {
	b.damage("remove", place, func(_ *writer, path string) error {
		if _, err := os.Lstat(path); err != nil {
			return err
		}
		return os.RemoveAll(path)
	})
}

// Write puts a file in place, whatever is there, with names in it expanded.
func (b *Builder) Write(place, text string) {
	b.instead("write", place, func(path string) error { return os.WriteFile(path, []byte(b.Expand(text)), 0o644) })
}

// Truncate cuts a file, or makes it longer: with a hole, which takes no room.
func (b *Builder) Truncate(place string, size int64) {
	b.damage("truncate", place, func(_ *writer, path string) error { return os.Truncate(path, size) })
}

// Corrupt changes one bit, in the middle.
func (b *Builder) Corrupt(place string) {
	b.damage("corrupt", place, func(_ *writer, path string) error {
		bytes, err := os.ReadFile(path)
		if err == nil && len(bytes) == 0 {
			err = fmt.Errorf("it has no bytes")
		}
		if err != nil {
			return err
		}
		bytes[len(bytes)/2] ^= 1
		return os.WriteFile(path, bytes, 0o644)
	})
}

// Mkdir puts an empty directory in place.
func (b *Builder) Mkdir(place string) {
	b.instead("mkdir", place, func(path string) error { return os.Mkdir(path, 0o755) })
}

// Mkfifo puts a FIFO in place.
func (b *Builder) Mkfifo(place string) { b.instead("mkfifo", place, mkfifo) }

// Symlink puts a symbolic link in place; the target is as it is to stand in it,
// with names expanded.
func (b *Builder) Symlink(place, target string) {
	b.instead("symlink", place, func(path string) error { return os.Symlink(b.Expand(target), path) })
}

// Move renames a place.
func (b *Builder) Move(place, to string) {
	b.damage("move", place, func(w *writer, path string) error {
		target, err := w.path(to)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(target), 0o755)
		}
		if err == nil {
			err = os.Rename(path, target)
		}
		return err
	})
}

// Chmod changes a place's permissions.
func (b *Builder) Chmod(place string, mode os.FileMode) {
	b.damage("chmod", place, func(_ *writer, path string) error { return os.Chmod(path, mode) })
}

// Touch sets when a place was last written.
func (b *Builder) Touch(place string, at time.Time) {
	b.damage("touch", place, func(_ *writer, path string) error { return os.Chtimes(path, at, at) })
}

// instead replaces a place, and makes the directories it lies in.
func (b *Builder) instead(verb, place string, make func(path string) error) {
	b.damage(verb, place, func(_ *writer, path string) error {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return make(path)
	})
}

// writer writes files below docker/registry/v2; it stops at the first error.
type writer struct {
	b          *Builder
	home, root string
	err        error
}

func (w *writer) damage(d damage) error {
	path, err := w.path(d.place)
	if err != nil {
		return err
	}
	return d.do(w, path)
}

// path is where a place lies. None is outside the registry's root.
func (w *writer) path(place string) (string, error) {
	way := path.Join(V2, w.b.Path(place))
	if strings.HasPrefix(way, "../") || way == ".." || way == "." {
		w.b.fail("%q lies outside", place)
	}
	return filepath.Join(w.home, filepath.FromSlash(way)), w.b.err
}

func (w *writer) mkdir(path string) {
	if w.err == nil {
		w.err = os.MkdirAll(path, 0o755)
	}
}

func (w *writer) write(name string, bytes []byte, at time.Time) {
	path := filepath.Join(w.root, filepath.FromSlash(name))
	w.mkdir(filepath.Dir(path))
	if w.err == nil {
		w.err = os.WriteFile(path, bytes, 0o644)
	}
	if w.err == nil {
		w.err = os.Chtimes(path, at, at)
	}
}

func (w *writer) link(name string, d digest.Digest, at time.Time) { w.write(name, []byte(d), at) }
