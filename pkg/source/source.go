// Package source says where the bytes of a registry are: it opens a location
// and gives a file system rooted at the registry's docker/registry/v2, which
// holds "blobs" and "repositories". It only ever reads.
package source

import (
	"context"
	"errors"
	"io"
	"io/fs"
)

// Source is a file system rooted at docker/registry/v2. Its Open refuses, with
// ErrNotRegular, whatever is neither a regular file nor a directory.
type Source interface {
	fs.ReadDirFS
	fs.StatFS
	io.Closer
}

// LocalFS is a Source whose files lie in the local file system, so that they
// can be hard-linked.
type LocalFS interface {
	// LocalPath is the path of a file of the source, which may or may not be
	// there, and false where it has none.
	LocalPath(name string) (string, bool)
}

// HomeFS is a Source that can also tell what lies in the registry's root
// directory, the one that holds docker.
type HomeFS interface {
	// StatHome describes a file there; where the source has no such directory,
	// the error wraps fs.ErrNotExist.
	StatHome(name string) (fs.FileInfo, error)
}

// ErrNotRegular is wrapped by errors of Open for FIFOs, sockets and devices.
// They are never opened: that alone can block for ever.
var ErrNotRegular = errors.New("neither a regular file nor a directory")

// Open finds the registry at a location: its root directory, or any directory
// on the way down from there to docker/registry/v2. Errors carry a hint that
// says what was looked for.
func Open(ctx context.Context, location string) (Source, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return openDir(location)
}
