package storage

import (
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// shared keeps what many manifests say once: the same layer, in the same words,
// stands in most of a repository's images, and a descriptor and its strings take
// a few hundred bytes each time.
type shared struct {
	digestOf func(digest.Digest) digest.Digest // the copy of a digest that is kept

	mu          sync.Mutex
	descriptors map[digest.Digest]*ocispec.Descriptor // the first of each digest
	mediaTypes  map[string]string
	platforms   map[platform]*ocispec.Platform
}

// platform is what tells most platforms apart.
type platform struct{ os, architecture, variant, version string }

func newShared(s *scanner) *shared {
	return &shared{
		digestOf: func(d digest.Digest) digest.Digest {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.ownDigest(d)
		},
		descriptors: map[digest.Digest]*ocispec.Descriptor{},
		mediaTypes:  map[string]string{},
		platforms:   map[platform]*ocispec.Platform{},
	}
}

// ownDigest gives the copy of a digest that its blob keeps. The caller holds mu.
func (s *scanner) ownDigest(d digest.Digest) digest.Digest {
	if b := s.blobs[d]; b != nil && b.digest != "" {
		return b.digest
	}
	return d
}

// manifest puts what is kept already in the place of what a manifest says again.
func (t *shared) manifest(m *Manifest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m.Digest = t.digestOf(m.Digest)
	m.MediaType, m.ArtifactType = t.text(m.MediaType), t.text(m.ArtifactType)
	m.Descriptor.ArtifactType = t.text(m.Descriptor.ArtifactType)
	for _, list := range [][]*ocispec.Descriptor{m.Manifests, m.Blobs} {
		for i, d := range list {
			list[i] = t.descriptor(d)
		}
	}
	if m.Subject != nil {
		m.Subject = t.descriptor(m.Subject)
	}
}

// settle forgets which descriptors there are, once every manifest is read.
func (t *shared) settle() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.descriptors = map[digest.Digest]*ocispec.Descriptor{}
}

// descriptor gives one that says the same, or a copy: what it was decoded into
// would keep all that it was decoded with.
func (t *shared) descriptor(d *ocispec.Descriptor) *ocispec.Descriptor {
	first := t.descriptors[d.Digest]
	if first != nil && same(first, d) {
		return first
	}
	own := *d
	own.MediaType, own.ArtifactType = t.text(d.MediaType), t.text(d.ArtifactType)
	if d.Platform != nil {
		own.Platform = t.known(d.Platform)
	}
	if first != nil {
		own.Digest = first.Digest
		return &own
	}
	own.Digest = t.digestOf(d.Digest)
	t.descriptors[own.Digest] = &own
	return &own
}

// same tells whether two descriptors of one digest say the same.
func same(a, b *ocispec.Descriptor) bool {
	return a.MediaType == b.MediaType && a.Size == b.Size && a.ArtifactType == b.ArtifactType &&
		slices.Equal(a.URLs, b.URLs) && samePlatform(a.Platform, b.Platform)
}

func samePlatform(a, b *ocispec.Platform) bool {
	if a == nil || b == nil {
		return a == b
	}
	return keyOf(a) == keyOf(b) && slices.Equal(a.OSFeatures, b.OSFeatures)
}

func keyOf(p *ocispec.Platform) platform {
	return platform{p.OS, p.Architecture, p.Variant, p.OSVersion}
}

func (t *shared) text(s string) string {
	if known, there := t.mediaTypes[s]; there {
		return known
	}
	t.mediaTypes[s] = s
	return s
}

// platform gives one that says the same.
func (t *shared) platform(p *ocispec.Platform) *ocispec.Platform {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.known(p)
}

func (t *shared) known(p *ocispec.Platform) *ocispec.Platform {
	known := t.platforms[keyOf(p)]
	switch {
	case known == nil && len(p.OSFeatures) == 0:
		own := *p // and not what it is part of
		known = &own
		t.platforms[keyOf(p)] = known
	case !samePlatform(known, p):
		own := *p
		return &own
	}
	return known
}

// platformNames are the names of the platforms that are shared.
func (t *shared) platformNames() map[*ocispec.Platform][]string {
	names := make(map[*ocispec.Platform][]string, len(t.platforms))
	for _, p := range t.platforms {
		names[p] = []string{platformName(p)}
	}
	return names
}
