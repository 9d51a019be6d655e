package floor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Requests is everything that has to be asked of an empty registry so that it has
// the images of some layouts: each blob is uploaded once and mounted into every
// further repository; each manifest is put.
type Requests struct {
	uploads  []upload
	mounts   []mount
	children []put // manifests that an index names
	tops     []put // manifests with a tag
}

type upload struct {
	repository string
	digest     digest.Digest
	path       string
	size       int64
}

type mount struct {
	repository, from string
	digest           digest.Digest
}

type put struct {
	repository, name, mediaType string
	content                     []byte
}

// names is what a manifest names.
type names struct {
	MediaType string
	Config    *ocispec.Descriptor
	Layers    []ocispec.Descriptor
	Manifests []ocispec.Descriptor
}

// ReadRequests reads layouts of images with tags, one below another.
func ReadRequests(layouts string) (*Requests, error) {
	r := &reader{first: map[digest.Digest]string{}, has: map[string]bool{}}
	err := filepath.WalkDir(layouts, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.Name() != "manifest.json" {
			return err
		}
		dir := filepath.Dir(path)
		name, err := filepath.Rel(layouts, dir)
		if err != nil {
			return err
		}
		repository, tag, ok := strings.Cut(filepath.ToSlash(name), ":")
		if !ok {
			return fmt.Errorf("%s: no tag in its name", dir)
		}
		return r.layout(dir, repository, tag)
	})
	if err != nil {
		return nil, fmt.Errorf("reading layouts: %w", err)
	}
	if len(r.tops) == 0 {
		return nil, errors.New("reading layouts: there are none")
	}
	// What takes longest goes first, so that nobody waits for it at the end.
	slices.SortStableFunc(r.uploads, func(a, b upload) int { return int(b.size - a.size) })
	return &r.Requests, nil
}

type reader struct {
	Requests
	first map[digest.Digest]string // repositories that blobs are uploaded to
	has   map[string]bool          // what repositories have, "repository@digest"
}

func (r *reader) layout(dir, repository, tag string) error {
	return r.manifest(dir, "manifest.json", repository, tag, &r.tops)
}

func (r *reader) manifest(dir, file, repository, name string, to *[]put) error {
	content, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return err
	}
	var m names
	if err := json.Unmarshal(content, &m); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	*to = append(*to, put{repository, name, m.MediaType, content})
	for _, child := range m.Manifests {
		if !r.isNew(repository, child.Digest) {
			continue
		}
		if err := r.manifest(dir, child.Digest.Encoded()+".manifest.json", repository, child.Digest.String(), &r.children); err != nil {
			return err
		}
	}
	if m.Config != nil {
		m.Layers = append(m.Layers, *m.Config)
	}
	for _, b := range m.Layers {
		r.blob(dir, repository, b)
	}
	return nil
}

func (r *reader) blob(dir, repository string, b ocispec.Descriptor) {
	if !r.isNew(repository, b.Digest) {
		return
	}
	if from := r.first[b.Digest]; from != "" {
		r.mounts = append(r.mounts, mount{repository, from, b.Digest})
		return
	}
	r.first[b.Digest] = repository
	r.uploads = append(r.uploads, upload{repository, b.Digest, filepath.Join(dir, b.Digest.Encoded()), b.Size})
}

func (r *reader) isNew(repository string, d digest.Digest) bool {
	key := repository + "@" + d.String()
	seen := r.has[key]
	r.has[key] = true
	return !seen
}

// Count is how many requests there are, and how many bytes of blobs are in them.
func (r *Requests) Count() (requests int, bytes int64) {
	for _, u := range r.uploads {
		bytes += u.size
	}
	return 2*len(r.uploads) + len(r.mounts) + len(r.children) + len(r.tops), bytes
}
