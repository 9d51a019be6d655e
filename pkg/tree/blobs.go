package tree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// Placed is how a blob came into the tree.
type Placed int

// The ways a blob can come there.
const (
	WasThere Placed = iota // nothing was done
	Linked                 // a hard link to the source's file
	Cloned                 // a reflink
	Copied
)

// ErrWrongBytes is wrapped where the bytes of a blob do not have its digest.
var ErrWrongBytes = errors.New("its bytes have another digest")

// blob is a blob that somebody asked for. Its lock is held while it is placed.
type blob struct {
	mu   sync.Mutex
	done bool
	err  error // that would come again
}

// Blob puts a blob of the source, of a size in bytes, into the tree, hashed
// before it has its name there, unless it is to be trusted. One that is there is
// left: if its size is another, the error is a WrongSizeError. Where the source's
// bytes are not the digest's, it wraps ErrWrongBytes.
//
// A blob lies under the digest that it is named by, sha512 as well as sha256.
// Registries that were pushed to keep both under sha256, where their own garbage
// collection, which goes by what manifests name, takes the former for unused.
func (t *Tree) Blob(ctx context.Context, d digest.Digest, size int64) (Placed, error) {
	return t.once(d, func() (Placed, error) {
		return t.place(d, size, func(to string) (Placed, error) { return t.fill(ctx, d, size, to) })
	})
}

// Content is Blob for bytes that the source does not have as they are.
func (t *Tree) Content(ctx context.Context, d digest.Digest, content []byte) (Placed, error) {
	return t.once(d, func() (Placed, error) {
		return t.place(d, int64(len(content)), func(to string) (Placed, error) {
			return t.write(ctx, d, int64(len(content)), bytes.NewReader(content), to)
		})
	})
}

// once has each blob placed once, whoever asks for it.
func (t *Tree) once(d digest.Digest, place func() (Placed, error)) (Placed, error) {
	if err := d.Validate(); err != nil {
		return WasThere, fmt.Errorf("placing blob %q: %w", d, err)
	}
	t.mu.Lock()
	b := t.blobs[d]
	if b == nil {
		b = &blob{}
		t.blobs[d] = b
	}
	t.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done {
		return WasThere, b.err
	}
	placed, err := place()
	if err != nil {
		placed, err = WasThere, fmt.Errorf("placing blob %s: %w", d, err)
	}
	if _, wrong := errors.AsType[*WrongSizeError](err); err == nil || wrong || errors.Is(err, ErrWrongBytes) {
		b.done, b.err = true, err
	}
	return placed, err
}

// place makes a blob's file, unless it is there.
func (t *Tree) place(d digest.Digest, size int64, fill func(to string) (Placed, error)) (Placed, error) {
	name := storage.BlobPath(d)
	if there, err := t.has(name, d, size); err != nil || there {
		return WasThere, err
	}
	s, err := t.stage(path.Base(name))
	if err != nil {
		return WasThere, err
	}
	defer s.remove()
	placed, err := fill(s.file)
	if err != nil {
		return WasThere, err
	}
	made, err := s.publish(name)
	if err != nil {
		return WasThere, err
	}
	if !made { // the registry itself was quicker
		if there, err := t.has(name, d, size); err != nil || there {
			return WasThere, err
		}
		return WasThere, &fs.PathError{Op: "rename", Path: t.path(name), Err: fs.ErrExist}
	}
	switch placed {
	case Copied:
		t.copied.Add(size)
	default:
		t.linked.Add(1)
	}
	return placed, nil
}

// has tells whether a blob of the right size is there. What else may be in its
// place is never opened.
func (t *Tree) has(name string, d digest.Digest, size int64) (bool, error) {
	info, err := t.root.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, t.outside(name, err)
	case !info.Mode().IsRegular():
		return false, fmt.Errorf("%s is in its place and no regular file", t.path(name))
	case info.Size() != size:
		err := &WrongSizeError{Digest: d, Path: name, Size: info.Size(), Want: size}
		t.find(err.finding())
		return false, err
	}
	return true, nil
}
