package source

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

const (
	small        = 4 << 10   // bytes of a file that is kept whatever it is
	maxJSON      = 32 << 20  // bytes of a JSON file that is kept
	maxInventory = 512 << 20 // bytes of an inventory that is kept
)

// store keeps what is to be kept of an archive that is read from front to end:
// what says what is in it in one file without a name, and the rest, where that
// is asked for, in files of their own.
type store struct {
	disk   *os.File // small files, one behind the other, and sums
	w      *bufio.Writer
	at     int64       // of what is written next
	looked int64       // at when room was last looked for
	first  [small]byte // of the present file
	fan    *fan
	unpack *unpacker                // nil: nothing is unpacked
	wanted func(digest.Digest) bool // nil: everything is
}

func newStore(unpack string, wanted func(digest.Digest) bool) (_ *store, err error) {
	s := &store{fan: newFan(), wanted: wanted}
	if unpack != "" {
		if s.unpack, err = newUnpacker(unpack); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	s.disk, err = temporary()
	if err != nil {
		return nil, errors.Join(s.trouble(err), s.Close())
	}
	s.w = bufio.NewWriterSize(s.disk, chunkSize)
	return s, nil
}

// Close gives up what was kept. What was unpacked stays.
func (s *store) Close() error {
	if s.fan != nil {
		s.fan.close()
		s.fan = nil
	}
	if s.disk == nil {
		return nil
	}
	return s.disk.Close()
}

// finish ends the writing; from now on there is only reading.
func (s *store) finish() error {
	s.fan.close()
	s.fan = nil
	if err := s.w.Flush(); err != nil {
		return s.trouble(err)
	}
	s.w = nil
	if s.unpack != nil {
		return s.unpack.finish()
	}
	return nil
}

// trouble explains errors of the kept file.
func (s *store) trouble(err error) error {
	return report.WithHint(fmt.Errorf("keeping what the archive says is in it, in %s: %w", os.TempDir(), noRoomLeft(err)),
		"make room there, or name another directory in TMPDIR")
}

// file implements taker.
func (s *store) file(ctx context.Context, m member, from *body, n *node) error {
	return s.takeFile(ctx, m.path, m.size, from, n)
}

// sparseFile implements taker.
func (s *store) sparseFile(ctx context.Context, m *member, from *body, n *node) error {
	r, err := readSparse(tar.NewReader(io.MultiReader(bytes.NewReader(m.raw), from)), m)
	if err != nil {
		return err
	}
	return s.takeFile(ctx, m.path, m.size, r, n)
}

// takeFile keeps, hashes or unpacks a file, or lets it pass.
func (s *store) takeFile(ctx context.Context, path []string, size int64, from io.Reader, n *node) error {
	n.size = size
	if len(path) == 0 || !matters(path) {
		n.size = pass(from)
		return nil
	}
	read, end := io.ReadFull(from, s.first[:min(size, small)])
	first := s.first[:read]
	if end != nil {
		size = int64(read) // there is no more of it
	}
	rest := io.MultiReader(bytes.NewReader(first), from)
	switch {
	case s.unpack != nil && (size > small || ownFile(path)):
		if !s.wants(path) {
			n.size = int64(read) + pass(from)
			return nil
		}
		return s.unpackFile(ctx, path, size, rest, n)
	case size <= small:
		return s.keepSmall(first, n)
	case looksLikeJSON(first) && (size <= maxJSON || (size <= maxInventory && isInventory(path[len(path)-1]))):
		return s.keep(rest, n)
	case !s.wants(path):
		n.size = int64(read) + pass(from)
		return nil
	default:
		return s.hash(rest, n)
	}
}

// wants tells whether a file's bytes are of use, as far as its name says it.
func (s *store) wants(path []string) bool {
	if s.wanted == nil {
		return true
	}
	d, ok := statedDigest(path)
	return !ok || s.wanted(d)
}

// pass lets a file pass, and gives the number of its bytes. What ends it is for
// the tape to say.
func pass(from io.Reader) int64 {
	if b, ok := from.(*body); ok {
		return b.pass()
	}
	n, _ := io.Copy(io.Discard, from)
	return n
}

func looksLikeJSON(head []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte("{"))
}

// keepSmall puts the bytes of a small file into the kept file.
func (s *store) keepSmall(bytes []byte, n *node) error {
	n.place, n.at, n.size = kept, s.at, int64(len(bytes))
	if _, err := s.Write(bytes); err != nil {
		return s.trouble(err)
	}
	return nil
}

// keep is keepSmall for a file of any size.
func (s *store) keep(from io.Reader, n *node) error {
	n.place, n.at = kept, s.at
	written, err := s.fan.copy(from, goOn, s)
	n.size = written
	if err != nil {
		return s.trouble(err)
	}
	return nil
}

// Write writes to the kept file.
func (s *store) Write(p []byte) (int, error) {
	if s.at-s.looked >= stretch {
		if err := room(os.TempDir(), stretch); err != nil {
			return 0, err
		}
		s.looked = s.at
	}
	n, err := s.w.Write(p)
	s.at += int64(n)
	return n, err
}

// hash lets a file pass, and keeps its sums.
func (s *store) hash(from io.Reader, n *node) error {
	short, long := sha256.New(), sha512.New()
	read, err := s.fan.copy(from, goOn, short, long)
	if err != nil {
		return err
	}
	n.size = read
	return s.note(gone, long.Sum(short.Sum(nil)), n)
}

func goOn(int64) error { return nil }

// note keeps a file's sums: its sha256 and, perhaps, its sha512 behind it.
func (s *store) note(where place, sums []byte, n *node) error {
	n.place, n.at, n.extra = where, s.at, uint32(len(sums))
	if _, err := s.Write(sums); err != nil {
		return s.trouble(err)
	}
	return nil
}

// sums gives what note kept; nothing where it kept nothing.
func (s *store) sums(n *node) []byte {
	if n.extra == 0 || (n.place != gone && n.place != unpacked) {
		return nil
	}
	b := make([]byte, n.extra)
	if _, err := s.disk.ReadAt(b, n.at); err != nil {
		return nil
	}
	return b
}

// digest is what is known of a file's digest. That of a file that is kept is
// made when it is asked for.
func (s *store) digest(n *node, algorithm digest.Algorithm) (digest.Digest, bool) {
	if n.kind != regular {
		return "", false
	}
	if n.place == kept {
		if !algorithm.Available() {
			return "", false
		}
		d, err := algorithm.FromReader(io.NewSectionReader(s.disk, n.at, n.size))
		return d, err == nil
	}
	sums := s.sums(n)
	switch {
	case algorithm == digest.SHA256 && len(sums) >= sha256.Size:
		return digest.NewDigestFromBytes(algorithm, sums[:sha256.Size]), true
	case algorithm == digest.SHA512 && len(sums) == sha256.Size+sha512.Size:
		return digest.NewDigestFromBytes(algorithm, sums[sha256.Size:]), true
	default:
		return "", false
	}
}

// open opens what was kept or unpacked.
func (s *store) open(n *node) (content, error) {
	if n.place == kept {
		return section{io.NewSectionReader(s.disk, n.at, n.size)}, nil
	}
	path, ok := s.unpackedPath(n)
	if !ok {
		return nil, ErrNotKept
	}
	return os.Open(path)
}

func (s *store) unpackedPath(n *node) (string, bool) {
	sums := s.sums(n)
	if s.unpack == nil || len(sums) < sha256.Size {
		return "", false
	}
	return s.unpack.path([sha256.Size]byte(sums)), true
}
