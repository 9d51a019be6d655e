package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

const (
	partialSuffix = ".partial"
	sumSuffix     = ".sha256"
)

// errEnough ends the writing of a stream of which only a part is wanted.
var errEnough = errors.New("the rest is not wanted")

// volumes writes a stream into files, each of which appears under its name when
// it is whole and on the disk, with its checksum beside it. It is an io.Writer.
type volumes struct {
	name func(n int) string // of volumes, from 1
	most int64              // bytes in each
	only int                // the one that is kept; 0: all
	// admit is asked before a file gets its name. The sum is its sha256,
	// hexadecimal.
	admit func(name, sum string) error

	pos     int64
	current *volume
	made    []string // files under their names
}

func (v *volumes) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		n := v.pos / v.most // counted from 0
		some := p[written:min(int64(len(p)), int64(written)+(n+1)*v.most-v.pos)]
		if v.keeps(n) {
			if err := v.write(int(n+1), some); err != nil {
				return written, err
			}
		}
		written += len(some)
		v.pos += int64(len(some))
		if v.pos == (n+1)*v.most {
			if err := v.finish(); err != nil {
				return written, err
			}
			if v.only != 0 && n == int64(v.only-1) {
				return written, errEnough
			}
		}
	}
	return written, nil
}

func (v *volumes) keeps(n int64) bool { return v.only == 0 || n == int64(v.only-1) }

// passes tells whether no byte from one place to another is kept.
func (v *volumes) passes(from, to int64) bool {
	return v.only != 0 && (to <= int64(v.only-1)*v.most || from >= int64(v.only)*v.most)
}

// skip passes over bytes that are not kept.
func (v *volumes) skip(n int64) { v.pos += n }

func (v *volumes) write(n int, p []byte) error {
	if v.current == nil {
		var err error
		if v.current, err = createVolume(v.name(n)); err != nil {
			return err
		}
	}
	_, err := v.current.Write(p)
	return advise(err)
}

// advise says what helps where a file cannot grow.
func advise(err error) error {
	switch {
	case errors.Is(err, syscall.EFBIG):
		return report.WithHint(err, "the file system takes no file of this size: cut the bundle into volumes, with --volume-size")
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return report.WithHint(err, "make room or write to another disk; --dry-run says how much is needed, --since-bundle leaves out what the other side has")
	}
	return err
}

// finish gives the present volume its name, if there is one.
func (v *volumes) finish() error {
	if v.current == nil {
		return nil
	}
	current := v.current
	v.current = nil
	names, err := current.commit(v.admit)
	v.made = append(v.made, names...)
	return advise(err)
}

// abandon removes what was written so far. A volume that was made again is whole
// and stays.
func (v *volumes) abandon() {
	if v.current != nil {
		v.current.abort()
	}
	if v.only != 0 {
		return
	}
	for _, name := range v.made {
		os.Remove(name)
	}
}

// volume is one file that is being written, beside its name.
type volume struct {
	file  *os.File
	final string
	hash  hash.Hash
}

func createVolume(final string) (*volume, error) {
	partial := final + partialSuffix
	if err := os.Remove(partial); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	file, err := os.OpenFile(partial, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	return &volume{file: file, final: final, hash: sha256.New()}, nil
}

// Write writes and hashes side by side. What could not be written is hashed in
// vain: there will be no such file.
func (v *volume) Write(p []byte) (int, error) {
	var hashing sync.WaitGroup
	hashing.Go(func() { v.hash.Write(p) })
	defer hashing.Wait()
	return v.file.Write(p)
}

// commit gives the file its name, and then writes its checksum. It gives the
// names of both.
func (v *volume) commit(admit func(name, sum string) error) ([]string, error) {
	sum := hex.EncodeToString(v.hash.Sum(nil))
	if err := v.keep(func() error { return admit(v.final, sum) }); err != nil {
		return nil, err
	}
	made := []string{v.final, v.final + sumSuffix}
	return made, writeFile(v.final+sumSuffix, fileSum(sum, filepath.Base(v.final)))
}

// keep brings the file to the disk and gives it its name, if all is well then.
func (v *volume) keep(admit func() error) error {
	err := errors.Join(v.file.Sync(), v.file.Close())
	if err == nil {
		err = admit()
	}
	if err == nil {
		err = os.Rename(v.file.Name(), v.final)
	}
	if err != nil {
		os.Remove(v.file.Name())
	}
	return err
}

func (v *volume) abort() {
	v.file.Close()
	os.Remove(v.file.Name())
}

// writeFile writes a small file, which appears when it is whole.
func writeFile(name, text string) error {
	v, err := createVolume(name)
	if err != nil {
		return err
	}
	if _, err := v.file.WriteString(text); err != nil {
		v.abort()
		return err
	}
	return v.keep(func() error { return nil })
}
