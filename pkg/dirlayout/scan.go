package dirlayout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// maxManifest bounds what is read of a manifest into memory, bytes.
const maxManifest = 32 << 20

// ErrNoLayouts is wrapped where a directory holds no layout.
var ErrNoLayouts = errors.New("no layouts in it")

// Scan reads a directory of layouts into an Index. A layout's path below it is
// its name: repository:tag or repository@digest; without either it is the tag
// latest, as for skopeo.
func Scan(ctx context.Context, dir string) (*storage.Index, error) {
	r := reader{dir: dir, b: storage.NewBuilder()}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && path == dir:
			return err
		case err != nil:
			r.find(report.Unreadable, path, err.Error())
			return nil
		case !e.IsDir():
			return nil
		case path != dir && strings.HasPrefix(e.Name(), "."):
			return fs.SkipDir
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

type reader struct {
	dir     string
	b       *storage.Builder
	layouts int
}

func (r *reader) find(code report.Code, path, detail string) {
	f := code.New(detail)
	if rel, err := filepath.Rel(r.dir, path); err == nil {
		f.Path = filepath.ToSlash(rel)
	}
	r.b.Find(f)
}

// visit reads a directory if it is a layout, and looks further down if not.
func (r *reader) visit(path string) error {
	info, err := os.Lstat(filepath.Join(path, "manifest.json"))
	if err != nil || path == r.dir {
		return nil
	}
	r.layouts++
	rel, err := filepath.Rel(r.dir, path)
	if err != nil {
		return err
	}
	repository, tag, named := splitName(filepath.ToSlash(rel))
	if !storage.ValidRepository(repository) || (tag != "" && !storage.ValidTag(tag)) {
		r.find(report.RepositoryName, path, "no layout's name: repository:tag or repository@digest is")
		return fs.SkipDir
	}
	content, err := readManifest(filepath.Join(path, "manifest.json"))
	if err != nil {
		r.find(report.Unreadable, path, err.Error())
		return fs.SkipDir
	}
	d := named
	if d == "" {
		d = digestOf(content)
	}
	r.b.Tag(repository, tag, d, info.ModTime())
	r.manifest(path, repository, d, content, "")
	return fs.SkipDir
}

// splitName takes a layout's path apart.
func splitName(path string) (repository, tag string, d digest.Digest) {
	if name, encoded, ok := strings.Cut(path, "@"); ok {
		return name, "", digest.Digest(encoded)
	}
	at := strings.LastIndexAny(path, ":/")
	if at < 0 || path[at] == '/' {
		return path, "latest", ""
	}
	return path[:at], path[at+1:], ""
}

// digestOf is a manifest's digest: that of its bytes, or of what was signed in
// a manifest of schema 1.
func digestOf(content []byte) digest.Digest {
	if payload, err := storage.SignedPayload(content); err == nil {
		return digest.FromBytes(payload)
	}
	return digest.FromBytes(content)
}

func readManifest(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err == nil && len(content) > maxManifest {
		err = fmt.Errorf("%s: over %d bytes", path, maxManifest)
	}
	return content, err
}

// manifest adds a manifest of a layout and everything it names.
func (r *reader) manifest(path, repository string, d digest.Digest, content []byte, stated string) {
	if d.Validate() != nil {
		r.find(report.LinkInvalid, path, fmt.Sprintf("%q is no digest", d))
		return
	}
	r.b.Blob(d, int64(len(content)))
	m := r.b.Manifest(repository, d, content, stated)
	if m == nil {
		return
	}
	for _, child := range m.Manifests {
		content, err := readManifest(filepath.Join(path, child.Digest.Encoded()+".manifest.json"))
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

// blob adds a blob by its size, which says all that is known without reading.
func (r *reader) blob(path string, b ocispec.Descriptor) {
	info, err := os.Stat(filepath.Join(path, b.Digest.Encoded()))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		r.b.Damaged(b.Digest, report.Unreadable, err.Error())
	case !info.Mode().IsRegular():
		r.b.Damaged(b.Digest, report.BlobNotAFile, "")
	default:
		r.b.Blob(b.Digest, info.Size())
	}
}
