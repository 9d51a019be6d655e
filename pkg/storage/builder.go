package storage

import (
	"context"
	"io/fs"
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

// NewBuilder starts with nothing. What is added lies in fsys; of the options, a
// builder heeds Jobs, ReadData and Progress.
func NewBuilder(fsys fs.FS, opts *ScanOptions) *Builder {
	s := newScanner(fsys, opts)
	s.told = true
	return &Builder{s: s, repositories: map[string]*Repository{}}
}

// Tag adds a tag, or, where the name is empty, a manifest without one.
func (b *Builder) Tag(repository, name string, d digest.Digest, updated time.Time) {
	r := b.repository(repository)
	if name != "" {
		r.Tags = append(r.Tags, Tag{Name: name, Digest: d, Updated: updated})
		return
	}
	r.revisions[d] = revision{updated: updated}
}

func (b *Builder) repository(name string) *Repository {
	r := b.repositories[name]
	if r == nil {
		r = &Repository{Name: name, revisions: map[digest.Digest]revision{}}
		b.repositories[name] = r
		b.s.repositories = append(b.s.repositories, r)
	}
	return r
}

func (b *Builder) link(repository string, d digest.Digest) {
	r := b.repository(repository)
	if _, there := r.revisions[d]; !there {
		r.revisions[d] = revision{}
	}
}

// Manifest adds a manifest to a repository. Content that is not the digest's,
// or no manifest, becomes a problem of the images that need it.
func (b *Builder) Manifest(repository string, d digest.Digest, content []byte, stated string) *Manifest {
	b.link(repository, d)
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
	b.s.shared.manifest(m)
	m.Raw = content
	file.manifest = m
	return m
}

// Blob adds a blob, or a manifest's content, of a size in bytes, that lies under
// a path. Where it was seen before, the first place counts.
func (b *Builder) Blob(d digest.Digest, size int64, path string) {
	if old := b.s.blobs[d]; old == nil || old.problem() != "" || old.oddity().away != "" {
		b.s.blobs[d] = &blob{digest: d, size: size, odd: &oddity{path: path}}
	}
}

// Away adds a manifest that is not here, because it is said to be where the
// images go to. What it names has to be added too.
func (b *Builder) Away(repository string, m *Manifest) {
	b.link(repository, m.Digest)
	if b.s.manifests[m.Digest] == nil {
		b.s.manifests[m.Digest] = &manifestFile{manifest: m}
	}
	b.AwayBlob(repository, m.Digest, m.Size)
}

// AwayBlob is Away for a blob of a size in bytes.
func (b *Builder) AwayBlob(repository string, d digest.Digest, size int64) {
	if b.s.blobs[d] == nil {
		b.s.blobs[d] = &blob{digest: d, size: size, odd: &oddity{away: repository}}
	}
}

// Damaged adds a blob that is there and cannot be used, unless it was seen sound elsewhere.
func (b *Builder) Damaged(d digest.Digest, code report.Code, detail string) {
	if b.s.blobs[d] == nil {
		b.s.blobs[d] = bad(code, detail)
	}
}

// Find adds a finding.
func (b *Builder) Find(f report.Finding) { b.s.find(f) }

// Index closes the builder: configs are read for their platforms, and blobs are
// hashed where that was asked for or where sizes disagree. The error is ctx's.
func (b *Builder) Index(ctx context.Context) (*Index, error) {
	for _, stage := range []func(context.Context) error{b.s.loadConfigs, b.s.settleBlobs} {
		if err := stage(ctx); err != nil {
			return nil, err
		}
	}
	return b.s.index(), ctx.Err()
}
