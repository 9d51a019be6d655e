package storage

import (
	"io"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

// small is a small file, read whole.
type small struct {
	content  []byte // until it is given back
	modified time.Time
	mode     fs.FileMode
}

// smallFiles are those that were given back, with their room. A scan reads
// hundreds of thousands, and keeps what is in them, but not their bytes.
var smallFiles = sync.Pool{New: func() any { return new(small) }}

// mostKept is of how many bytes the room of one is kept: few files have more.
const mostKept = 64 << 10

func (f *small) giveBack() {
	if cap(f.content) <= mostKept {
		f.content = f.content[:0]
		smallFiles.Put(f)
	}
}

// readSmall reads a file, up to one byte more than most. What is no regular file
// is not read, and has its mode. The caller gives back what it gets.
func readSmall(fsys fs.FS, name string, most int64) (*small, error) {
	f := smallFiles.Get().(*small)
	if own, ok := fsys.(source.SmallFS); ok {
		if f.content, f.modified, ok = own.ReadSmall(name, f.content, most); ok {
			f.mode = 0
			return f, nil
		}
	}
	f.content = f.content[:0]
	if err := f.read(fsys, name, most); err != nil {
		f.giveBack()
		return nil, err
	}
	return f, nil
}

func (f *small) read(fsys fs.FS, name string, most int64) error {
	opened, err := fsys.Open(name)
	if err != nil {
		return &openError{err}
	}
	defer opened.Close()
	info, err := opened.Stat()
	if err != nil {
		return err
	}
	f.modified, f.mode = info.ModTime(), info.Mode()
	if !f.mode.IsRegular() {
		return nil
	}
	f.content, err = readSized(opened, f.content, info.Size(), most)
	return err
}

// openError is one of opening a file: only that tells of its absence.
type openError struct{ error }

func (e *openError) Unwrap() error { return e.error }

// readSized appends what should be size bytes, up to one more than most. Where the
// file ends as it should, nobody asks for what comes after: over a network, that
// would be one more round trip.
func readSized(r io.Reader, buf []byte, size, most int64) ([]byte, error) {
	buf = slices.Grow(buf[:0], int(min(max(size, 0), most))+1)
	for int64(len(buf)) <= most && (int64(len(buf)) != size || size == 0) {
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, len(buf)+1)
		}
		n, err := r.Read(buf[len(buf):min(cap(buf), int(most)+1)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			return buf, err
		}
	}
	return buf, nil
}
