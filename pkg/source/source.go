// Package source says where the bytes of a registry are: it opens a location
// and gives a file system rooted at the registry's docker/registry/v2, which
// holds "blobs" and "repositories". It only ever reads.
package source

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
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

// SmallFS is a Source that reads small files with fewer steps than it takes to
// open one: most files of a registry's storage hold a digest and nothing else.
type SmallFS interface {
	// ReadSmall appends a regular file's bytes to buf, up to one more than most, so
	// that a larger file can be told, and says when it was last written. It is false
	// for anything else, and where anything goes wrong: Open says what it is.
	ReadSmall(name string, buf []byte, most int64) (content []byte, modified time.Time, ok bool)
}

// HomeFS is a Source that can also tell what lies in the registry's root
// directory, the one that holds docker.
type HomeFS interface {
	// StatHome describes a file there; where the source has no such directory,
	// the error wraps fs.ErrNotExist.
	StatHome(name string) (fs.FileInfo, error)
}

// DigestFS is a Source that knows digests of files which it read on the way, so
// that nobody need read them again.
type DigestFS interface {
	// Digest is a file's digest by an algorithm, and false where it is not known.
	Digest(name string, algorithm digest.Algorithm) (digest.Digest, bool)
}

// WrittenFS is a Source whose files may lie in an archive, which somebody may
// write to while it is read.
type WrittenFS interface {
	// Written is when the archive, or any part of it, was last written to; the zero
	// time where files do not lie in it any more.
	Written() (time.Time, error)
}

// FindingsFS is a Source that found something about itself: that an archive is
// cut off, or that it holds what was not read.
type FindingsFS interface {
	Findings() []report.Finding
}

// LayoutsFS is a Source that may hold dir: layouts instead of a registry's
// storage. It is then rooted at the directory of layouts.
type LayoutsFS interface {
	HoldsLayouts() bool
}

// ErrNotRegular is wrapped by errors of Open for FIFOs, sockets and devices.
// They are never opened: that alone can block for ever.
var ErrNotRegular = errors.New("neither a regular file nor a directory")

// ErrNotKept is wrapped by errors of Open for files of an archive whose bytes
// went by and were not kept.
var ErrNotKept = errors.New("its bytes were not kept")

// Options steer how a source is opened; nil means defaults.
type Options struct {
	// Stdin is what the location "-" reads; nil means that there is none.
	Stdin io.Reader
	// Unpack is the directory that the files of an archive go to which can only
	// be read from front to end, each under its digest. Where it is empty,
	// nothing is unpacked: of such an archive only what says what is in it can
	// be opened, and of all else the size and the digests are known.
	Unpack string
	// Keep says of which files of such an archive the bytes are wanted, by the
	// digest that a file's name says it has; nil: of all. The others are neither
	// unpacked nor hashed, so that of a large archive one image can be had. What
	// says what is in the archive is kept as ever.
	Keep func(digest.Digest) bool
	// Progress is told how far the reading of an archive has come.
	Progress func(report.Progress)
}

// Open finds the registry at a location:
//
//   - a directory: its root directory, or any on the way down from there to
//     docker/registry/v2; or a directory of dir: layouts
//   - a tar, in which it may lie in any directory: read in place
//   - a tar compressed with gzip, zstd, xz or bzip2, or any of these on standard
//     input ("-") or from a FIFO: read from front to end, once
//   - any of these files in parts, by the name of one of them
//
// An archive that is cut off or damaged is opened all the same, with what is
// whole of it; its Findings say what is not. Errors carry a hint where there is
// something to do about them, and wrap ErrNoRoom where the disk is full.
func Open(ctx context.Context, location string, opts *Options) (Source, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if opts == nil {
		opts = &Options{}
	}
	return openLocation(ctx, location, opts)
}
