package storage

import (
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// Builder makes an Index of images that lie somewhere else than in a tree,
// such as in layouts. It is for one goroutine.
type Builder struct {
	s            *scanner
	repositories map[string]*Repository
}

// NewBuilder starts with nothing.
func NewBuilder() *Builder {
	return &Builder{s: newScanner(nil, nil), repositories: map[string]*Repository{}}
}

// Tag adds a tag, or, where the name is empty, makes sure of the repository.
func (b *Builder) Tag(repository, name string, d digest.Digest, updated time.Time) {
	r := b.repository(repository)
	if name != "" {
		r.Tags = append(r.Tags, Tag{Name: name, Digest: d, Updated: updated})
	}
}

func (b *Builder) repository(name string) *Repository {
	r := b.repositories[name]
	if r == nil {
		r = &Repository{Name: name, revisions: map[digest.Digest]link{}}
		b.repositories[name] = r
		b.s.repositories = append(b.s.repositories, r)
	}
	return r
}

// Manifest adds a manifest to a repository. Content that is not the digest's,
// or no manifest, becomes a problem of the images that need it.
func (b *Builder) Manifest(repository string, d digest.Digest, content []byte, stated string) *Manifest {
	b.repository(repository).revisions[d] = link{digest: d}
	if file := b.s.manifests[d]; file != nil && file.manifest != nil {
		return file.manifest
	}
	file := &manifestFile{}
	b.s.manifests[d] = file
	if !HasDigest(content, d) {
		file.problem = &Problem{Digest: d, Code: report.ManifestDamaged}
		return nil
	}
	m, err := ParseManifest(content, d, stated)
	if err != nil {
		file.problem = &Problem{Digest: d, Code: report.ManifestInvalid, Detail: err.Error()}
		return nil
	}
	m.Raw = content
	file.manifest = m
	return m
}

// Blob adds a blob of a size in bytes.
func (b *Builder) Blob(d digest.Digest, size int64) { b.s.blobs[d] = &blob{size: size} }

// Damaged adds a blob that is there and cannot be used, unless it was seen sound elsewhere.
func (b *Builder) Damaged(d digest.Digest, code report.Code, detail string) {
	if b.s.blobs[d] == nil {
		b.s.blobs[d] = &blob{problem: code, detail: detail}
	}
}

// Find adds a finding.
func (b *Builder) Find(f report.Finding) { b.s.find(f) }

// Index closes the builder.
func (b *Builder) Index() *Index { return b.s.index() }
