package dirlayout

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"

	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// existing tells whether the image's layout is there and whole already: every
// file of the right size, and the manifest that of the image.
func (l *Layouts) existing(final string, i plan.Image) (bool, error) {
	dir, err := link.OpenDir(final)
	if errors.Is(err, fs.ErrPermission) {
		return false, err
	}
	if err != nil { // whether it may be replaced is settled when a whole one is ready
		return false, nil
	}
	defer dir.Close()
	content, err := readFile(dir.Path("manifest.json"), maxManifest)
	if errors.Is(err, fs.ErrPermission) {
		return false, err
	}
	if err != nil || !storage.HasDigest(content, i.Manifest.Digest) || !hasVersion(dir) {
		return false, nil
	}
	for _, m := range i.Manifests {
		if m.Digest != i.Manifest.Digest && !hasFiles(dir, FileNames(m.Digest, ".manifest.json"), m.Size) {
			return false, nil
		}
	}
	for _, b := range i.Blobs {
		if !hasFiles(dir, FileNames(b.Digest, ""), b.Size) {
			return false, nil
		}
	}
	return true, nil
}

// remember keeps where the blobs of a whole layout lie, for others to link to.
func (l *Layouts) remember(i plan.Image, final string) {
	for _, b := range i.Blobs {
		l.place.know(l.path(b.Digest), final+separator+b.Digest.Encoded())
	}
}

func hasVersion(dir *link.Dir) bool {
	content, err := readFile(dir.Path("version"), 1<<10)
	return err == nil && (string(content) == Version1_1 || string(content) == Version1_2)
}

// hasFiles tells whether all names are regular files of a size in bytes.
func hasFiles(dir *link.Dir, names []string, size int64) bool {
	for _, name := range names {
		if is, err := dir.Regular(name); err != nil || is != size {
			return false
		}
	}
	return true
}

// newcomers knows which directories of layouts were not there when this run came
// to them: of what lies in these, all is its own.
type newcomers struct {
	mu    sync.Mutex
	isNew map[string]bool
}

// has tells whether nothing can lie in a directory but what this run made.
func (n *newcomers) has(dir string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	is, known := n.isNew[dir]
	if !known {
		_, err := os.Lstat(dir)
		is = errors.Is(err, fs.ErrNotExist)
		n.isNew[dir] = is
	}
	return is
}

// replaceable tells whether what lies at a layout's place may go: a layout that
// is damaged or of another image, or an empty directory, but nothing else. No
// layout holds directories.
func replaceable(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		entries, err := os.ReadDir(path)
		if err != nil {
			return err
		}
		isDir := slices.ContainsFunc(entries, fs.DirEntry.IsDir)
		if len(entries) == 0 || (!isDir && (holds(entries, "manifest.json") || holds(entries, "version"))) {
			return nil
		}
	}
	return report.WithHint(fmt.Errorf("%s is in the way and no layout", path), "move it away, or name another directory for the layouts")
}

func holds(entries []fs.DirEntry, name string) bool {
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == name })
}
