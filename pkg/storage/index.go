package storage

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// Index is what a tree holds. It does not change once it is made, and is safe
// for use by several goroutines.
type Index struct {
	repositories []*Repository // by name
	manifests    map[digest.Digest]*manifestFile
	blobs        map[digest.Digest]*blob
	platforms    map[*ocispec.Platform][]string // the names of those that many share
	findings     []report.Finding
	unreferenced int64 // bytes
	closures     closures
}

// Repository is a repository's tags and manifests.
type Repository struct {
	Name      string
	Tags      []Tag       // by name; those with a Problem too
	Deleted   []Tag       // tags of which only the history is left
	Manifests []*Manifest // its revisions that are whole themselves, by digest

	revisions map[digest.Digest]revision    // until it is filed
	updated   []time.Time                   // of each of Manifests, when its link was last written
	referrers map[digest.Digest][]*Manifest // by subject
}

// Tag is a name for a manifest.
type Tag struct {
	Name    string
	Digest  digest.Digest // empty where a broken link hides it
	Updated time.Time     // when its link was last written

	// Problem is why a registry would not serve the tag, whatever its manifest
	// is like; nil where it would.
	Problem *Problem
	// Candidate is what the tag most likely named, where there is a Problem:
	// the one digest of its history, or its own where only the manifest's link
	// is broken. Empty where nothing is likely.
	Candidate digest.Digest
}

// Problem is why something cannot be had.
type Problem struct {
	Digest digest.Digest // empty for a tag's link
	Code   report.Code
	Path   string // relative to docker/registry/v2
	Detail string
}

// Repositories gives the repositories by name.
func (x *Index) Repositories() iter.Seq[*Repository] { return slices.Values(x.repositories) }

// Empty tells whether there is no repository at all, nor a finding that might
// hide one.
func (x *Index) Empty() bool {
	return len(x.repositories) == 0 && !slices.ContainsFunc(x.findings, func(f report.Finding) bool { return f.Level == report.Skip })
}

// Repository finds a repository by its name, or nil.
func (x *Index) Repository(name string) *Repository {
	i, ok := slices.BinarySearchFunc(x.repositories, name, func(r *Repository, name string) int {
		return strings.Compare(r.Name, name)
	})
	if !ok {
		return nil
	}
	return x.repositories[i]
}

// Blob gives a blob's size in bytes, and whether it is there with nothing known
// against it.
func (x *Index) Blob(d digest.Digest) (size int64, ok bool) {
	b := x.lookUp(d)
	return b.size, b.problem() == ""
}

// Path is where the bytes of a blob or a manifest lie in the source: relative to
// docker/registry/v2, or to the directory of layouts.
func (x *Index) Path(d digest.Digest) string {
	return x.lookUp(d).pathOf(d)
}

// Away tells of a blob or a manifest that is not in the source, because it is
// said to be where the images go to, and as part of which repository.
func (x *Index) Away(d digest.Digest) (repository string, away bool) {
	repository = x.lookUp(d).oddity().away
	return repository, repository != ""
}

func (x *Index) lookUp(d digest.Digest) *blob {
	if b := x.blobs[d]; b != nil {
		return b
	}
	return &absentBlob
}

// Manifest gives a manifest that is there and whole, or nil.
func (x *Index) Manifest(d digest.Digest) *Manifest {
	if file := x.manifests[d]; file != nil {
		return file.manifest
	}
	return nil
}

// Unreferenced is how many bytes no manifest refers to, as far as a thorough
// scan could tell.
func (x *Index) Unreferenced() int64 { return x.unreferenced }

// Findings gives what is wrong or worth knowing, sorted.
func (x *Index) Findings() []report.Finding { return x.findings }

// Referrers gives the repository's manifests that name a subject, by digest.
func (r *Repository) Referrers(subject digest.Digest) iter.Seq[*Manifest] {
	return slices.Values(r.referrers[subject])
}

// Tag finds a tag by its name.
func (r *Repository) Tag(name string) (Tag, bool) {
	i, ok := slices.BinarySearchFunc(r.Tags, name, func(t Tag, name string) int { return strings.Compare(t.Name, name) })
	if !ok {
		return Tag{}, false
	}
	return r.Tags[i], true
}

// Untagged gives the manifests that no tag, no index and no subject of the
// repository reaches, by digest.
func (r *Repository) Untagged() []*Manifest {
	reached := map[digest.Digest]bool{}
	present := map[digest.Digest]bool{}
	for _, t := range r.Tags {
		reached[t.Digest] = true
	}
	for _, m := range r.Manifests {
		present[m.Digest] = true
		for _, c := range m.Manifests {
			reached[c.Digest] = true
		}
	}
	var untagged []*Manifest
	for _, m := range r.Manifests {
		if !reached[m.Digest] && (m.Subject == nil || !present[m.Subject.Digest]) {
			untagged = append(untagged, m)
		}
	}
	return untagged
}

// file puts tags and manifests into their order, and manifests under their subjects.
func (r *Repository) file() {
	byName := func(a, b Tag) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(r.Tags, byName)
	slices.SortFunc(r.Deleted, byName)
	slices.SortFunc(r.Manifests, func(a, b *Manifest) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	r.updated = make([]time.Time, 0, len(r.Manifests))
	r.referrers = map[digest.Digest][]*Manifest{}
	for _, m := range r.Manifests {
		r.updated = append(r.updated, r.revisions[m.Digest].updated)
		if m.Subject != nil {
			r.referrers[m.Subject.Digest] = append(r.referrers[m.Subject.Digest], m)
		}
	}
}

// Updated is when one of Manifests was last put into the repository; of any other
// it is zero.
func (r *Repository) Updated(d digest.Digest) time.Time {
	i, ok := slices.BinarySearchFunc(r.Manifests, d, func(m *Manifest, d digest.Digest) int { return cmp.Compare(m.Digest, d) })
	if !ok {
		return time.Time{}
	}
	return r.updated[i]
}
