package source

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// unpacker writes files of an archive into a directory:
//
//	sha256/<first two digits>/<hex>   each file, once, under the sha256 that it has
//	partial/<number>                  what is being written
//
// No name of the archive becomes one on disk.
type unpacker struct {
	dir   string
	whole map[[sha256.Size]byte]bool // files whose sum is known to be right
	made  map[byte]bool              // directories of two digits
	count int                        // numbers what is being written
	since int64                      // bytes that were written since room was looked for
}

const (
	wholeDir   = "sha256"
	partialDir = "partial"
)

func newUnpacker(dir string) (*unpacker, error) {
	u := &unpacker{dir: dir, whole: map[[sha256.Size]byte]bool{}, made: map[byte]bool{}, since: sure}
	partial := filepath.Join(dir, partialDir)
	err := os.RemoveAll(partial)
	if err == nil {
		err = os.MkdirAll(partial, 0o755)
	}
	if err != nil {
		return nil, report.WithHint(fmt.Errorf("preparing to unpack: %w", err), "name another directory for the layouts")
	}
	return u, nil
}

// RemoveUnpacked removes what Open unpacked into a directory, and the directory
// if nothing else is in it. Hard links to what was unpacked keep their bytes.
func RemoveUnpacked(dir string) error {
	err := errors.Join(os.RemoveAll(filepath.Join(dir, partialDir)), os.RemoveAll(filepath.Join(dir, wholeDir)))
	if err != nil {
		return fmt.Errorf("removing what was unpacked: %w", err)
	}
	os.Remove(dir) // which fails where something else is in it
	return nil
}

// Offer puts a hard link to a file where Open will look for one of this sha256,
// hexadecimal, that an earlier run unpacked. Like any of those it counts only
// once it is hashed, and it saves writing the same bytes a second time.
func Offer(dir, sum, file string) error {
	if !isHex(sum, 64) {
		return fmt.Errorf("offering %s: %q is no sha256", file, sum)
	}
	path := filepath.Join(dir, wholeDir, sum[:2], sum)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("offering %s: %w", file, err)
	}
	if err := os.Link(file, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("offering %s: %w", file, err)
	}
	return nil
}

func (u *unpacker) path(sum [sha256.Size]byte) string {
	name := hex.EncodeToString(sum[:])
	return filepath.Join(u.dir, wholeDir, name[:2], name)
}

// flush writes out what was written to a directory. Tests do without: it takes as
// long as all that others have written to the disk.
var flush = syncAll

// finish sees that what was written outlives a power cut.
func (u *unpacker) finish() error {
	if err := os.Remove(filepath.Join(u.dir, partialDir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("unpacking: %w", err)
	}
	if err := flush(u.dir); err != nil {
		return fmt.Errorf("unpacking: %w", err)
	}
	return nil
}

// reusable tells whether a file is there already: written by this run, or by one
// before it that did not come to its end. The latter's is hashed first.
func (u *unpacker) reusable(sum [sha256.Size]byte, size int64) bool {
	path := u.path(sum)
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() != size {
		return false
	}
	if u.whole[sum] {
		return true
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil || [sha256.Size]byte(h.Sum(nil)) != sum {
		return false
	}
	u.whole[sum] = true
	return true
}

// unpackFile writes a file, or only looks at it where it is there already.
func (s *store) unpackFile(ctx context.Context, path []string, size int64, from io.Reader, n *node) error {
	sinks := []io.Writer{sha256.New()}
	if statesSHA512(path) {
		sinks = append(sinks, sha512.New())
	}
	if sum, ok := statedSum(path); ok && s.unpack.reusable(sum, size) {
		read, err := s.fan.copy(from, goOn, sinks...)
		if err != nil {
			return err
		}
		n.size = read
		sums := sumsOf(sinks)
		if sum != [sha256.Size]byte(sums) {
			return s.note(gone, sums, n) // what is there is another file, of the name that this one pretends to
		}
		return s.note(unpacked, sums, n)
	}
	partial, err := s.unpack.create(size)
	if err != nil {
		return err
	}
	written, err := s.fan.copy(from, s.unpack.enough, append(sinks, partial)...)
	n.size = written
	sums := sumsOf(sinks)
	err = cmp.Or(err, ctx.Err(), partial.Close()) // of an interrupted run's last file only a part came
	if err == nil {
		err = s.unpack.commit(partial.Name(), [sha256.Size]byte(sums))
	}
	if err != nil {
		os.Remove(partial.Name())
		return s.unpack.trouble(err)
	}
	s.unpack.since += written + small // and what the file system adds
	return s.note(unpacked, sums, n)
}

// sumsOf puts the sums behind one another.
func sumsOf(sinks []io.Writer) (sums []byte) {
	for _, w := range sinks {
		if h, ok := w.(hash.Hash); ok {
			sums = h.Sum(sums)
		}
	}
	return sums
}

// create begins a file of this size, if there is room for it.
func (u *unpacker) create(size int64) (*os.File, error) {
	if u.since >= sure || size >= sure {
		if err := room(u.dir, size); err != nil {
			return nil, u.trouble(err)
		}
		u.since = 0
	}
	u.count++
	f, err := os.OpenFile(filepath.Join(u.dir, partialDir, strconv.Itoa(u.count)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, u.trouble(err)
	}
	return f, nil
}

// enough asks for room for the next stretch of a file.
func (u *unpacker) enough(int64) error { return room(u.dir, stretch) }

// commit gives a file that is whole its name.
func (u *unpacker) commit(partial string, sum [sha256.Size]byte) error {
	if u.whole[sum] {
		return os.Remove(partial)
	}
	path := u.path(sum)
	if !u.made[sum[0]] {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		u.made[sum[0]] = true
	}
	if err := syncFile(partial); err != nil {
		return err
	}
	if err := os.Rename(partial, path); err != nil {
		return err
	}
	u.whole[sum] = true
	return nil
}

func (u *unpacker) trouble(err error) error {
	err = fmt.Errorf("unpacking into %s: %w", u.dir, noRoomLeft(err))
	if report.Advice(err) != "" {
		return err
	}
	return report.WithHint(err, "name another directory for the layouts")
}
