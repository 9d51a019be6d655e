package source

import (
	"io"
	"io/fs"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// archive is what an archive holds, as a file system. It does not change once it
// is read, so that many may look at it at once.
type archive struct {
	tree     *tree
	root     uint32
	home     uint32 // the directory that holds docker
	hasHome  bool
	layouts  bool
	findings []report.Finding

	plain   io.ReaderAt // the archive, if it is read in place
	store   *store      // what was kept of it, if not
	closers []io.Closer
}

// HoldsLayouts implements LayoutsFS.
func (a *archive) HoldsLayouts() bool { return a.layouts }

// Findings implements FindingsFS.
func (a *archive) Findings() []report.Finding { return a.findings }

// Close gives up the files of the archive, and what was kept of it.
func (a *archive) Close() (err error) {
	for _, c := range a.closers {
		if e := c.Close(); e != nil && err == nil {
			err = e
		}
	}
	return err
}

// find looks a name up, links followed, and gives the file that it leads to.
func (a *archive) find(op, name string) (uint32, error) {
	if !fs.ValidPath(name) {
		return 0, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	id, err := a.tree.resolve(a.root, name, true)
	if err != nil {
		return 0, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return id, nil
}

// Stat describes what a name leads to, links followed.
func (a *archive) Stat(name string) (fs.FileInfo, error) {
	id, err := a.find("stat", name)
	if err != nil {
		return nil, err
	}
	return a.info(id, path.Base(name)), nil
}

// StatHome implements HomeFS.
func (a *archive) StatHome(name string) (fs.FileInfo, error) {
	if !a.hasHome || !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	}
	above := *a
	above.root = a.home
	return above.Stat(name)
}

// ReadDir lists a directory, sorted by name.
func (a *archive) ReadDir(name string) ([]fs.DirEntry, error) {
	id, err := a.find("readdir", name)
	if err != nil {
		return nil, err
	}
	if a.tree.node(id).kind != directory {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: syscall.ENOTDIR}
	}
	kids := a.tree.kidsOf(id)
	entries := make([]fs.DirEntry, len(kids))
	for i, kid := range kids {
		entries[i] = fs.FileInfoToDirEntry(a.info(kid, a.tree.get(a.tree.node(kid).name)))
	}
	return entries, nil
}

// Open opens a regular file or a directory for reading. Symbolic links are
// followed, as long as they lead to what is in the archive.
func (a *archive) Open(name string) (fs.File, error) {
	id, err := a.find("open", name)
	if err != nil {
		return nil, err
	}
	n, info := a.tree.node(id), a.info(id, path.Base(name))
	if n.kind == directory {
		return &openDirectory{archive: a, name: name, info: info}, nil
	}
	content, err := a.content(id)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &openFile{content: content, info: info}, nil
}

// content opens a file's bytes.
func (a *archive) content(id uint32) (content, error) {
	n := a.tree.node(id)
	if n.kind != regular {
		return nil, ErrNotRegular
	}
	if n.size == 0 {
		return section{io.NewSectionReader(strings.NewReader(""), 0, 0)}, nil
	}
	switch n.place {
	case inPlace:
		return section{io.NewSectionReader(a.plain, n.at, n.size)}, nil
	case sparse:
		return openSparse(a.plain, n.at, n.size)
	case kept, unpacked:
		return a.store.open(n)
	default:
		return nil, ErrNotKept
	}
}

// Digest implements DigestFS.
func (a *archive) Digest(name string, algorithm digest.Algorithm) (digest.Digest, bool) {
	id, err := a.find("digest", name)
	if err != nil || a.store == nil {
		return "", false
	}
	return a.store.digest(a.tree.node(id), algorithm)
}

// LocalPath implements LocalFS.
func (a *archive) LocalPath(name string) (string, bool) {
	id, err := a.find("link", name)
	if err != nil || a.store == nil {
		return "", false
	}
	if n := a.tree.node(id); n.kind == regular && n.place == unpacked {
		return a.store.unpackedPath(n)
	}
	return "", false
}

// Written implements WrittenFS.
func (a *archive) Written() (time.Time, error) {
	if files, ok := a.plain.(*parts); ok {
		return files.written()
	}
	return time.Time{}, nil
}

// info describes a node, under the name that it was asked for by.
func (a *archive) info(id uint32, name string) *fileInfo {
	n := a.tree.node(id)
	if n.kind == hardLink {
		base, err := a.tree.base(id)
		if err != nil {
			return &fileInfo{name: name, mode: fs.FileMode(n.perm), mtime: n.mtime}
		}
		n = a.tree.node(base)
	}
	i := &fileInfo{name: name, mode: n.kind.mode() | permissions(n.perm), mtime: n.mtime}
	if n.kind == regular {
		i.size = n.size
	}
	return i
}

// permissions turns those of a tar header into Go's.
func permissions(perm uint16) fs.FileMode {
	mode := fs.FileMode(perm & 0o777)
	if perm&0o4000 != 0 {
		mode |= fs.ModeSetuid
	}
	if perm&0o2000 != 0 {
		mode |= fs.ModeSetgid
	}
	if perm&0o1000 != 0 {
		mode |= fs.ModeSticky
	}
	return mode
}

// fileInfo implements fs.FileInfo.
type fileInfo struct {
	name  string
	size  int64
	mode  fs.FileMode
	mtime int64 // Unix time, nanoseconds
}

func (i *fileInfo) Name() string       { return i.name }
func (i *fileInfo) Size() int64        { return i.size }
func (i *fileInfo) Mode() fs.FileMode  { return i.mode }
func (i *fileInfo) ModTime() time.Time { return time.Unix(0, i.mtime) }
func (i *fileInfo) IsDir() bool        { return i.mode.IsDir() }
func (i *fileInfo) Sys() any           { return nil }

// content is the bytes of a file of an archive.
type content interface {
	io.ReadSeekCloser
	io.ReaderAt
}

// section is a content without anything to close.
type section struct{ *io.SectionReader }

func (section) Close() error { return nil }

// openFile is a regular file that is read.
type openFile struct {
	content
	info *fileInfo
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }

// openDirectory is a directory that is read.
type openDirectory struct {
	archive *archive
	name    string
	info    *fileInfo
	listed  bool
	rest    []fs.DirEntry
}

func (d *openDirectory) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *openDirectory) Close() error               { return nil }
func (d *openDirectory) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: syscall.EISDIR}
}

// ReadDir implements fs.ReadDirFile.
func (d *openDirectory) ReadDir(n int) ([]fs.DirEntry, error) {
	if !d.listed {
		entries, err := d.archive.ReadDir(d.name)
		if err != nil {
			return nil, err
		}
		d.rest, d.listed = entries, true
	}
	if n <= 0 {
		n = len(d.rest)
	} else if len(d.rest) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(d.rest))
	entries := d.rest[:n]
	d.rest = d.rest[n:]
	return entries, nil
}
