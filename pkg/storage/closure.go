package storage

import (
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// Closure is everything that a manifest needs, itself included. It is shared by
// whoever asks for that manifest, and not to be changed.
type Closure struct {
	Manifests []*ocispec.Descriptor // children before parents, each once; shared, and not to be changed
	Blobs     []*ocispec.Descriptor // each once, in the order they are first named; shared as well
	Size      int64                 // bytes of all these
	Platforms []string              // os/architecture[/variant], in the order they are named; shared as well
	Problems  []Problem             // empty: the image is whole
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
	if validate(d) != nil {
		return &Closure{Problems: []Problem{{Digest: d, Code: report.ManifestMissing, Detail: "no valid digest"}}}
	}
	if c := x.plain(d); c != nil {
		return c
	}
	return x.closures.of(d, func() *Closure {
		w := walk{x: x, c: &Closure{}, seen: map[digest.Digest]bool{}}
		w.manifest(&ocispec.Descriptor{Digest: d}, report.ManifestMissing)
		return w.c
	})
}

// closures keeps those that took a long walk: an index of thousands of manifests
// may have as many tags.
type closures struct {
	mu    sync.Mutex
	kept  map[digest.Digest]*Closure
	parts int // of all that are kept
}

const (
	// manyParts is from how many a closure is kept. The others are sooner resolved
	// again.
	manyParts = 100
	// mostParts bounds what is kept: indexes inside one another, of which each has all
	// the parts of the next, would take the square of their number.
	mostParts = 1 << 20
)

// of gives a closure that is kept, or what resolve makes.
func (k *closures) of(d digest.Digest, resolve func() *Closure) *Closure {
	k.mu.Lock()
	c := k.kept[d]
	k.mu.Unlock()
	if c == nil {
		c = resolve()
		k.keep(d, c)
	}
	return c
}

func (k *closures) keep(d digest.Digest, c *Closure) {
	parts := len(c.Manifests) + len(c.Blobs) + len(c.Problems)
	k.mu.Lock()
	defer k.mu.Unlock()
	if parts < manyParts || k.parts+parts > mostParts {
		return
	}
	c.Manifests, c.Blobs, c.Platforms, c.Problems = slices.Clip(c.Manifests), slices.Clip(c.Blobs), slices.Clip(c.Platforms), slices.Clip(c.Problems)
	if k.kept == nil {
		k.kept = map[digest.Digest]*Closure{}
	}
	k.kept[d] = c
	k.parts += parts
}

// mostPlain is of how many blobs a manifest's list is held against itself for
// such as come twice: one with more takes the way with a map.
const mostPlain = 64

// plain is the closure of a manifest that names no other and has all its blobs,
// each once and as large as is stated: it shares the manifest's own lists, since
// of such are most of a tree's images. It is nil for any other.
func (x *Index) plain(d digest.Digest) *Closure {
	file := x.manifests[d]
	if file == nil || file.problem != nil || len(file.manifest.Manifests) > 0 || len(file.manifest.Blobs) > mostPlain {
		return nil
	}
	m := file.manifest
	c := &Closure{Manifests: []*ocispec.Descriptor{&m.Descriptor}, Blobs: slices.Clip(m.Blobs), Size: m.Size}
	for n, b := range m.Blobs {
		found := x.lookUp(b.Digest)
		again := slices.ContainsFunc(m.Blobs[:n], func(o *ocispec.Descriptor) bool { return o.Digest == b.Digest })
		if found.problem() != "" || found.size != b.Size || b.Digest == d || again {
			return nil
		}
		c.Size += b.Size
	}
	if p := runsOn(nil, m); p != nil {
		c.Platforms = x.platformNames(p)
	}
	return c
}

type walk struct {
	x    *Index
	c    *Closure
	seen map[digest.Digest]bool
}

// manifest files a manifest after what it names. The descriptor is its
// parent's; where the manifest is absent, the finding is of the given code.
func (w *walk) manifest(as *ocispec.Descriptor, ifAbsent report.Code) {
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
	own := &m.Descriptor
	if own.Platform == nil && as.Platform != nil {
		stated := *own
		stated.Platform = as.Platform
		own = &stated
	}
	if p := runsOn(as.Platform, m); p != nil {
		w.platform(p)
	}
	w.c.Manifests = append(w.c.Manifests, own)
	w.c.Size += own.Size
}

func (w *walk) blob(b *ocispec.Descriptor) {
	if w.seen[b.Digest] {
		return
	}
	w.seen[b.Digest] = true
	found := w.x.lookUp(b.Digest)
	switch {
	case found.problem() == absent && len(b.URLs) > 0:
		return
	case found.problem() == absent:
		w.c.Problems = append(w.c.Problems, Problem{Digest: b.Digest, Code: report.BlobMissing, Path: w.x.Path(b.Digest)})
		return
	case found.problem() != "":
		w.c.Problems = append(w.c.Problems, Problem{Digest: b.Digest, Code: found.problem(), Path: w.x.Path(b.Digest), Detail: found.detail()})
		return
	}
	if b.Size != found.size {
		sized := *b
		sized.Size = found.size
		b = &sized
	}
	w.c.Blobs = append(w.c.Blobs, b)
	w.c.Size += found.size
}

// runsOn is the platform of an image: as its index says, else as its config does.
// It is nil for what does not run.
func runsOn(stated *ocispec.Platform, m *Manifest) *ocispec.Platform {
	if stated == nil {
		stated = m.Platform
	}
	if stated == nil || IsIndex(m.MediaType) || stated.OS == "unknown" || stated.OS == "" {
		return nil
	}
	return stated
}

func (w *walk) platform(p *ocispec.Platform) {
	names := w.x.platformNames(p)
	switch {
	case len(w.c.Platforms) == 0:
		w.c.Platforms = names
	case !slices.Contains(w.c.Platforms, names[0]):
		w.c.Platforms = append(w.c.Platforms, names[0])
	}
}

// platformNames is a platform's name in a list of its own, without room for more.
func (x *Index) platformNames(p *ocispec.Platform) []string {
	if names := x.platforms[p]; names != nil {
		return names
	}
	return []string{platformName(p)}
}

func platformName(p *ocispec.Platform) string {
	name := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		name += "/" + p.Variant
	}
	return name
}
