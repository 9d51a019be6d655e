package dirlayout

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// ErrNoLayouts is wrapped where a directory holds no layout.
var ErrNoLayouts = errors.New("no layouts in it")

// Scan reads a directory of layouts into an Index. A layout's path below it is
// its name: repository:tag or repository@digest; without either it is the tag
// latest, as for skopeo. Locate gives the way back. A tag's time is that of the
// layout's directory. Errors are those of the directory as a whole, and
// ErrNoLayouts.
func Scan(ctx context.Context, dir string) (*storage.Index, error) {
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, fmt.Errorf("scanning layouts %s: %w", dir, err)
	}
	r := reader{dir: root, b: storage.NewBuilder(), names: map[string]bool{}}
	err = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && path == root:
			return err
		case err != nil:
			r.find(report.Unreadable, path, err.Error())
			return nil
		case path != root && strings.HasPrefix(e.Name(), "."):
			return skip(e)
		case e.Type()&fs.ModeSymlink != 0:
			return r.visitLink(path)
		case !e.IsDir() || path == root:
			return nil
		}
		return r.visit(path)
	})
	if err != nil {
		return nil, fmt.Errorf("scanning layouts %s: %w", dir, err)
	}
	if r.layouts == 0 {
		return nil, report.WithHint(fmt.Errorf("scanning layouts %s: %w", dir, ErrNoLayouts),
			"give the directory that convert wrote: it holds <repository>:<tag>/manifest.json")
	}
	return r.b.Index(), nil
}

func skip(e fs.DirEntry) error {
	if e.IsDir() {
		return fs.SkipDir
	}
	return nil
}

func isThere(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

type reader struct {
	dir     string
	b       *storage.Builder
	layouts int
	names   map[string]bool        // of images
	seen    map[digest.Digest]bool // manifests of the present layout
}

func (r *reader) find(code report.Code, path, detail string) {
	f := code.New(detail)
	if rel, err := filepath.Rel(r.dir, path); err == nil {
		f.Path = filepath.ToSlash(rel)
	}
	r.b.Find(f)
}

// visitLink reads a symbolic link to a layout. One to any other directory is
// not followed, and named.
func (r *reader) visitLink(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		r.find(report.RepositoryLoop, path, err.Error())
	case !info.IsDir():
	case isThere(filepath.Join(path, "manifest.json")):
		if err := r.visit(path); err != fs.SkipDir {
			return err
		}
	default:
		r.find(report.Unreadable, path, "a symbolic link to a directory, which is not followed")
	}
	return nil
}

// visit reads a directory if it is a layout, and looks further down if not.
func (r *reader) visit(path string) error {
	rel, err := filepath.Rel(r.dir, path)
	if err != nil {
		return err
	}
	if !isThere(filepath.Join(path, "manifest.json")) {
		if strings.ContainsAny(filepath.Base(path), ":@") {
			r.find(report.ManifestMissing, path, "a layout without manifest.json")
		}
		return nil
	}
	r.layouts++
	repository, tag, named := splitName(filepath.ToSlash(rel))
	if !storage.ValidRepository(repository) || (tag != "" && !storage.ValidTag(tag)) || (tag == "" && named.Validate() != nil) {
		r.find(report.RepositoryName, path, "no layout's name: repository:tag or repository@digest is")
		return fs.SkipDir
	}
	name := report.Name(repository, tag, named.String())
	if r.names[name] {
		r.find(report.TargetCollision, path, "two layouts are "+name)
		return fs.SkipDir
	}
	r.names[name] = true
	content, err := readFile(filepath.Join(path, "manifest.json"), maxManifest)
	if err != nil {
		r.find(report.Unreadable, path, err.Error())
		return fs.SkipDir
	}
	info, err := os.Stat(path)
	if err != nil {
		r.find(report.Unreadable, path, err.Error())
		return fs.SkipDir
	}
	d := named
	if d == "" {
		d = digestOf(content)
	}
	r.b.Tag(repository, tag, d, info.ModTime())
	r.seen = map[digest.Digest]bool{}
	r.manifest(path, repository, d, content, "")
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

// manifest adds a manifest of a layout and everything it names.
func (r *reader) manifest(path, repository string, d digest.Digest, content []byte, stated string) {
	if r.seen[d] {
		return
	}
	r.seen[d] = true
	r.b.Blob(d, int64(len(content)))
	m := r.b.Manifest(repository, d, content, stated)
	if m == nil {
		return
	}
	for _, child := range m.Manifests {
		content, err := r.child(path, child.Digest)
		if err == nil {
			r.manifest(path, repository, child.Digest, content, child.MediaType)
		} else if !errors.Is(err, fs.ErrNotExist) {
			r.b.Damaged(child.Digest, report.Unreadable, err.Error())
		}
	}
	for _, b := range m.Blobs {
		r.blob(path, b)
	}
}

// child reads a manifest that another names.
func (r *reader) child(path string, d digest.Digest) (content []byte, err error) {
	for _, name := range fileNames(d, ".manifest.json") {
		content, err = readFile(filepath.Join(path, name), maxManifest)
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return content, err
}

// blob adds a blob by its size or, where that is not what the descriptor says,
// by its hash.
func (r *reader) blob(path string, b ocispec.Descriptor) {
	for _, name := range fileNames(b.Digest, "") {
		file := filepath.Join(path, name)
		info, err := os.Stat(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			r.b.Damaged(b.Digest, report.Unreadable, err.Error())
		case !info.Mode().IsRegular():
			r.b.Damaged(b.Digest, report.BlobNotAFile, "")
		case b.Size >= 0 && info.Size() != b.Size:
			r.hash(file, b, info.Size())
		default:
			r.b.Blob(b.Digest, info.Size())
		}
		return
	}
}

// hash settles a disagreement about a blob's size.
func (r *reader) hash(file string, b ocispec.Descriptor, size int64) {
	f, err := openFile(file)
	if err != nil {
		r.b.Damaged(b.Digest, report.Unreadable, err.Error())
		return
	}
	defer f.Close()
	is, err := b.Digest.Algorithm().FromReader(f)
	switch {
	case err != nil:
		r.b.Damaged(b.Digest, report.Unreadable, err.Error())
	case is == b.Digest:
		r.b.Blob(b.Digest, size)
	case size == 0:
		r.b.Damaged(b.Digest, report.BlobEmpty, "")
	default:
		r.b.Damaged(b.Digest, report.BlobTruncated, fmt.Sprintf("%d bytes, its descriptor says %d", size, b.Size))
	}
}
