package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// View looks into a registry's storage that others may be writing to, and writes
// nothing. Symbolic links are followed, as the registry follows them. It is safe
// for use by several goroutines.
type View struct {
	dir string // docker/registry/v2

	mu    sync.Mutex
	sizes map[digest.Digest]int64  // of blobs that were looked at, bytes; negative where there is none
	links map[linked]digest.Digest // that were looked at; empty where there is none
}

// linked is a blob in a repository, as a layer or as a manifest.
type linked struct {
	repository string
	digest     digest.Digest
	manifest   bool
}

// Look prepares for looking into a registry's storage: dir is as for Open. That
// there is none yet is no error.
func Look(dir string) (*View, error) {
	v2, err := locate(dir, false)
	if err != nil {
		return nil, fmt.Errorf("looking into storage %s: %w", dir, err)
	}
	return &View{dir: v2, sizes: map[digest.Digest]int64{}, links: map[linked]digest.Digest{}}, nil
}

// Has tells whether a repository has a blob of a size in bytes: whether it links
// it, and the blob is there as a whole, of which nothing is read. Each link and each
// blob is looked at once. That something could not be looked at is an error, and
// never absence.
func (v *View) Has(repository string, d digest.Digest, size int64) (bool, error) {
	got, err := v.look(linked{repository, d, false})
	return err == nil && got == size, err
}

// HasManifest is Has for a manifest, of any size.
func (v *View) HasManifest(repository string, d digest.Digest) (bool, error) {
	got, err := v.look(linked{repository, d, true})
	return err == nil && got > 0, err
}

// look is how large a blob is that a repository has, in bytes; negative where it does
// not have it.
func (v *View) look(l linked) (int64, error) {
	size := int64(-1)
	at, err := v.follow(l)
	if err == nil && at != "" {
		size, err = v.size(at)
	}
	if err != nil {
		return -1, fmt.Errorf("looking for blob %s of %s: %w", l.digest, l.repository, err)
	}
	return size, nil
}

// follow gives the digest that a repository's link to a blob holds, if that names the
// blob: one that was pushed under another algorithm than sha256, registries keep
// under its sha256.
func (v *View) follow(l linked) (digest.Digest, error) {
	v.mu.Lock()
	at, known := v.links[l]
	v.mu.Unlock()
	if known {
		return at, nil
	}
	if err := (Links{Repository: l.repository, Layers: []digest.Digest{l.digest}}).check(); err != nil {
		return "", err
	}
	name := storage.LayerLinkPath(l.repository, l.digest)
	if l.manifest {
		name = storage.RevisionLinkPath(l.repository, l.digest)
	}
	content, err := v.readLink(name)
	if err != nil {
		return "", err
	}
	switch {
	case content == l.digest.String():
		at = l.digest
	case mayBeAlias(l.digest, content):
		at = digest.Digest(content)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.links[l] = at
	return at, nil
}

// readLink reads a link; none holds nothing.
func (v *View) readLink(name string) (string, error) {
	path := v.path(name)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && !info.Mode().IsRegular()) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return held(os.OpenFile(path, readOnly, 0))
}

// size is how large a blob is, in bytes; negative where there is none.
func (v *View) size(d digest.Digest) (int64, error) {
	v.mu.Lock()
	size, known := v.sizes[d]
	v.mu.Unlock()
	if known {
		return size, nil
	}
	info, err := os.Stat(v.path(storage.BlobPath(d)))
	switch {
	case errors.Is(err, fs.ErrNotExist) || (err == nil && !info.Mode().IsRegular()):
		size = -1
	case err != nil:
		return 0, err
	default:
		size = info.Size()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sizes[d] = size
	return size, nil
}

func (v *View) path(name string) string { return filepath.Join(v.dir, filepath.FromSlash(name)) }
