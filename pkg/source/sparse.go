package source

import (
	"archive/tar"
	"fmt"
	"io"
	"math"
	"sync"
)

// A sparse file's bytes lie in pieces in an archive, with the holes between them
// left out. archive/tar knows the three ways that GNU tar writes of them.

const (
	// maxSparse and maxSparseRatio bound a sparse file whose holes would take for
	// ever to read: over both, it is not read.
	maxSparse      = 64 << 30 // bytes
	maxSparseRatio = 1000     // bytes for each that is stored
)

// sparseFile reads a sparse file of an archive in place, from front to end. To
// go back, it begins anew.
type sparseFile struct {
	archive io.ReaderAt
	headers int64 // where its headers begin
	size    int64

	mu   sync.Mutex
	r    io.Reader
	at   int64 // of r
	want int64 // what Read reads next
}

func openSparse(archive io.ReaderAt, headers, size int64) (content, error) {
	s := &sparseFile{archive: archive, headers: headers, size: size}
	return s, s.rewind()
}

func (s *sparseFile) rewind() error {
	r := tar.NewReader(io.NewSectionReader(s.archive, s.headers, math.MaxInt64-s.headers))
	if _, err := r.Next(); err != nil {
		return fmt.Errorf("reading sparse file: %w", err)
	}
	s.r, s.at = r, 0
	return nil
}

// ReadAt implements io.ReaderAt.
func (s *sparseFile) ReadAt(p []byte, at int64) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.readAt(p, at)
}

func (s *sparseFile) readAt(p []byte, at int64) (n int, err error) {
	if at < 0 {
		return 0, fmt.Errorf("reading sparse file: at byte %d", at)
	}
	if at >= s.size {
		return 0, io.EOF
	}
	if at < s.at {
		if err := s.rewind(); err != nil {
			return 0, err
		}
	}
	if skipped, err := io.CopyN(io.Discard, s.r, at-s.at); err != nil {
		s.at += skipped
		return 0, unexpected(err)
	}
	full := p[:min(int64(len(p)), s.size-at)]
	n, err = io.ReadFull(s.r, full)
	s.at = at + int64(n)
	switch {
	case err != nil:
		return n, unexpected(err)
	case n < len(p):
		return n, io.EOF
	default:
		return n, nil
	}
}

// unexpected makes an end into one that comes too early.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Read implements io.Reader.
func (s *sparseFile) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.readAt(p, s.want)
	s.want += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// Seek implements io.Seeker.
func (s *sparseFile) Seek(offset int64, whence int) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += s.want
	case io.SeekEnd:
		offset += s.size
	}
	if offset < 0 {
		return 0, fmt.Errorf("reading sparse file: at byte %d", offset)
	}
	s.want = offset
	return offset, nil
}

// Close implements io.Closer.
func (s *sparseFile) Close() error { return nil }
