package storage

import (
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// Closure is everything that a manifest needs, itself included.
type Closure struct {
	Manifests []ocispec.Descriptor // children before parents, each once
	Blobs     []ocispec.Descriptor // each once, in the order they are first named
	Size      int64                // bytes of all these
	Platforms []string             // os/architecture[/variant], in the order they are named
	Problems  []Problem            // empty: the image is whole
}

// Whole tells whether everything is there, as far as is known.
func (c *Closure) Whole() bool { return len(c.Problems) == 0 }

// Missing gives the digests that are absent or damaged. What could not be read
// is not among them: nothing is known of it.
func (c *Closure) Missing() []digest.Digest {
	var missing []digest.Digest
	for _, p := range c.Problems {
		if p.Code != report.Unreadable && !slices.Contains(missing, p.Digest) {
			missing = append(missing, p.Digest)
		}
	}
	return missing
}

// Closure resolves a manifest: its manifests, its blobs, and what is missing.
// Layers that are kept elsewhere by design, with urls and no blob, are no part
// of it.
func (x *Index) Closure(d digest.Digest) *Closure {
	if d.Validate() != nil {
		return &Closure{Problems: []Problem{{Digest: d, Code: report.ManifestMissing, Detail: "no valid digest"}}}
	}
	w := walk{x: x, c: &Closure{}, seen: map[digest.Digest]bool{}}
	w.manifest(ocispec.Descriptor{Digest: d}, report.ManifestMissing)
	return w.c
}

type walk struct {
	x    *Index
	c    *Closure
	seen map[digest.Digest]bool
}

// manifest files a manifest after what it names. The descriptor is its
// parent's; where the manifest is absent, the finding is of the given code.
func (w *walk) manifest(as ocispec.Descriptor, ifAbsent report.Code) {
	if w.seen[as.Digest] {
		return
	}
	w.seen[as.Digest] = true
	file := w.x.manifests[as.Digest]
	if file == nil {
		file = &manifestFile{problem: &Problem{Digest: as.Digest, Code: report.ManifestMissing, Path: BlobPath(as.Digest)}}
	}
	if file.problem != nil {
		p := *file.problem
		if p.Code == report.ManifestMissing {
			p.Code = ifAbsent
		}
		w.c.Problems = append(w.c.Problems, p)
		return
	}
	m := file.manifest
	for _, child := range m.Manifests {
		w.manifest(child, report.IndexIncomplete)
	}
	for _, b := range m.Blobs {
		w.blob(b)
	}
	own := m.Descriptor
	if own.Platform == nil {
		own.Platform = as.Platform
	}
	w.platform(as.Platform, m)
	w.c.Manifests = append(w.c.Manifests, own)
	w.c.Size += own.Size
}

func (w *walk) blob(b ocispec.Descriptor) {
	if w.seen[b.Digest] {
		return
	}
	w.seen[b.Digest] = true
	found := w.x.lookUp(b.Digest)
	switch {
	case found.problem == absent && len(b.URLs) > 0:
		return
	case found.problem == absent:
		found.problem = report.BlobMissing
		fallthrough
	case found.problem != "":
		w.c.Problems = append(w.c.Problems, Problem{Digest: b.Digest, Code: found.problem, Path: w.x.Path(b.Digest), Detail: found.detail})
		return
	}
	b.Size = found.size
	w.c.Blobs = append(w.c.Blobs, b)
	w.c.Size += found.size
}

// platform notes what an image runs on: as its index says, else as its config.
func (w *walk) platform(stated *ocispec.Platform, m *Manifest) {
	if stated == nil {
		stated = m.Platform
	}
	if stated == nil || IsIndex(m.MediaType) || stated.OS == "unknown" || stated.OS == "" {
		return
	}
	name := platformName(stated)
	if !slices.Contains(w.c.Platforms, name) {
		w.c.Platforms = append(w.c.Platforms, name)
	}
}

func platformName(p *ocispec.Platform) string {
	name := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		name += "/" + p.Variant
	}
	return name
}
