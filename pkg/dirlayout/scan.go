package dirlayout

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// ErrNoLayouts is wrapped where a directory holds no layout.
var ErrNoLayouts = errors.New("no layouts in it")

// FS is where layouts are read from: a source that holds them.
type FS interface {
	fs.ReadDirFS
	fs.StatFS
}

// Scan reads a directory of layouts, the root of fsys, into an Index. A layout's
// path below it is its name: repository:tag or repository@digest; without either
// it is the tag latest, as for skopeo. Locate gives the way back. A tag's time is
// that of the layout's directory. Of the options, ReadData, Jobs and Progress
// count. Errors are those of the directory as a whole, and ErrNoLayouts.
func Scan(ctx context.Context, fsys FS, opts *storage.ScanOptions) (*storage.Index, error) {
	b := storage.NewBuilder(fsys, opts)
	if _, err := Read(ctx, fsys, b, nil); err != nil {
		return nil, err
	}
	if src, ok := fsys.(source.FindingsFS); ok {
		for _, f := range src.Findings() {
			b.Find(f)
		}
	}
	return b.Index(ctx)
}

// Read is Scan for a caller that has more to add, and that may know the digests
// that layouts with a tag should have, by their names; what such a layout holds
// instead is damaged. It gives the names of the layouts that are there.
func Read(ctx context.Context, fsys FS, b *storage.Builder, expected map[string]digest.Digest) (names map[string]bool, err error) {
	r := reader{fsys: fsys, b: b, names: map[string]bool{}, expected: expected}
	err = fs.WalkDir(fsys, ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && name == ".":
			return err
		case err != nil:
			r.find(report.Unreadable, name, err.Error())
			return nil
		case name != "." && strings.HasPrefix(e.Name(), "."):
			return skip(e)
		case e.Type()&fs.ModeSymlink != 0:
			return r.visitLink(name)
		case !e.IsDir() || name == ".":
			return nil
		}
		return r.visit(name)
	})
	if err != nil {
		return nil, fmt.Errorf("scanning layouts: %w", err)
	}
	if r.layouts == 0 {
		return nil, report.WithHint(fmt.Errorf("scanning layouts: %w", ErrNoLayouts),
			"give the directory that convert wrote: it holds <repository>:<tag>/manifest.json")
	}
	return r.names, nil
}

func skip(e fs.DirEntry) error {
	if e.IsDir() {
		return fs.SkipDir
	}
	return nil
}

type reader struct {
	fsys     FS
	b        *storage.Builder
	layouts  int
	names    map[string]bool // of images
	expected map[string]digest.Digest
	seen     map[digest.Digest]bool // manifests of the present layout
}

// isThere tells whether a name leads to something, or would if a link were whole.
func isThere(fsys FS, name string) bool {
	_, err := fsys.Stat(name)
	return !errors.Is(err, fs.ErrNotExist) || isListed(fsys, name)
}

// isListed tells of a symbolic link to nothing that it is there itself.
func isListed(fsys FS, name string) bool {
	entries, err := fsys.ReadDir(path.Dir(name))
	return err == nil && holds(entries, path.Base(name))
}

func (r *reader) find(code report.Code, name, detail string) {
	f := code.New(detail)
	f.Path = name
	r.b.Find(f)
}

// visitLink reads a symbolic link to a layout. One to any other directory is
// not followed, and named.
func (r *reader) visitLink(name string) error {
	info, err := r.fsys.Stat(name)
	switch {
	case err != nil:
		r.find(report.RepositoryLoop, name, err.Error())
	case !info.IsDir():
	case isThere(r.fsys, path.Join(name, "manifest.json")):
		if err := r.visit(name); err != fs.SkipDir {
			return err
		}
	default:
		r.find(report.Unreadable, name, "a symbolic link to a directory, which is not followed")
	}
	return nil
}

// visit reads a directory if it is a layout, and looks further down if not.
func (r *reader) visit(dir string) error {
	top := path.Join(dir, "manifest.json")
	if !isThere(r.fsys, top) {
		if strings.ContainsAny(path.Base(dir), ":@") {
			r.find(report.ManifestMissing, dir, "a layout without manifest.json")
		}
		return nil
	}
	r.layouts++
	repository, tag, named := splitName(dir)
	if !storage.ValidRepository(repository) || (tag != "" && !storage.ValidTag(tag)) || (tag == "" && named.Validate() != nil) {
		r.find(report.RepositoryName, dir, "no layout's name: repository:tag or repository@digest is")
		return fs.SkipDir
	}
	name := report.Name(repository, tag, named.String())
	if r.names[name] {
		r.find(report.TargetCollision, dir, "two layouts are "+name)
		return fs.SkipDir
	}
	r.names[name] = true
	content, err := readIn(r.fsys, top, maxManifest)
	if err != nil {
		r.find(report.Unreadable, dir, err.Error())
		return fs.SkipDir
	}
	info, err := r.fsys.Stat(dir)
	if err != nil {
		r.find(report.Unreadable, dir, err.Error())
		return fs.SkipDir
	}
	d := named
	if d == "" {
		d = r.expected[name]
	}
	if d == "" {
		d = digestOf(content)
	}
	r.b.Tag(repository, tag, d, info.ModTime())
	r.seen = map[digest.Digest]bool{}
	r.manifest(dir, repository, d, content, top, "")
	return fs.SkipDir
}

// digestOf is a manifest's digest: that of its bytes, or of what was signed in
// a manifest of schema 1.
func digestOf(content []byte) digest.Digest {
	if payload, err := storage.SignedPayload(content); err == nil {
		return digest.FromBytes(payload)
	}
	return digest.FromBytes(content)
}

// manifest adds the content of a manifest that lies in a file of a layout, and
// everything it names.
func (r *reader) manifest(dir, repository string, d digest.Digest, content []byte, file, stated string) {
	if r.seen[d] {
		return
	}
	r.seen[d] = true
	r.b.Blob(d, int64(len(content)), file)
	m := r.b.Manifest(repository, d, content, stated)
	if m == nil {
		return
	}
	for _, child := range m.Manifests {
		content, file, err := r.child(dir, child.Digest)
		if err == nil {
			r.manifest(dir, repository, child.Digest, content, file, child.MediaType)
		} else if !errors.Is(err, fs.ErrNotExist) {
			r.b.Damaged(child.Digest, report.Unreadable, err.Error())
		}
	}
	for _, b := range m.Blobs {
		r.blob(dir, b)
	}
}

// child reads a manifest that another names.
func (r *reader) child(dir string, d digest.Digest) (content []byte, file string, err error) {
	for _, name := range FileNames(d, ".manifest.json") {
		file = path.Join(dir, name)
		content, err = readIn(r.fsys, file, maxManifest)
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return content, file, err
}

// blob adds a blob by its size. Whether that is right is settled when all are known.
func (r *reader) blob(dir string, b *ocispec.Descriptor) {
	for _, name := range FileNames(b.Digest, "") {
		file := path.Join(dir, name)
		info, err := r.fsys.Stat(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			r.b.Damaged(b.Digest, report.Unreadable, err.Error())
		case !info.Mode().IsRegular():
			r.b.Damaged(b.Digest, report.BlobNotAFile, "")
		case info.Size() == 0 && b.Digest != b.Digest.Algorithm().FromBytes(nil):
			r.b.Damaged(b.Digest, report.BlobEmpty, "")
		default:
			r.b.Blob(b.Digest, info.Size(), file)
		}
		return
	}
}
