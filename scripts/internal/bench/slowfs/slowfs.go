// Package slowfs is a file system on which everything takes its time, as over a
// network.
package slowfs

import (
	"io/fs"
	"sync/atomic"
	"time"
)

// FS adds a delay to each operation on the files of another file system.
type FS struct {
	fsys       fs.FS
	delay      time.Duration
	operations atomic.Int64
}

// New makes such a file system.
func New(fsys fs.FS, delay time.Duration) *FS { return &FS{fsys: fsys, delay: delay} }

// Operations is how many there were.
func (f *FS) Operations() int64 { return f.operations.Load() }

func (f *FS) wait() {
	f.operations.Add(1)
	if f.delay > 0 {
		time.Sleep(f.delay)
	}
}

// Open implements fs.FS.
func (f *FS) Open(name string) (fs.File, error) {
	f.wait()
	opened, err := f.fsys.Open(name)
	if err != nil {
		return nil, err
	}
	return &file{opened, f}, nil
}

// ReadDir implements fs.ReadDirFS.
func (f *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	f.wait()
	return fs.ReadDir(f.fsys, name)
}

// Stat implements fs.StatFS.
func (f *FS) Stat(name string) (fs.FileInfo, error) {
	f.wait()
	return fs.Stat(f.fsys, name)
}

type file struct {
	fs.File
	on *FS
}

func (f *file) Stat() (fs.FileInfo, error) {
	f.on.wait()
	return f.File.Stat()
}

func (f *file) Read(p []byte) (int, error) {
	f.on.wait()
	return f.File.Read(p)
}

// ReadDir implements fs.ReadDirFile.
func (f *file) ReadDir(n int) ([]fs.DirEntry, error) {
	f.on.wait()
	dir, ok := f.File.(fs.ReadDirFile)
	if !ok {
		return nil, fs.ErrInvalid
	}
	return dir.ReadDir(n)
}
