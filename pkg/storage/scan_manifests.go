package storage

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

const (
	// registryManifestLimit is how large a manifest registries take, bytes:
	// distribution, registry/handlers/manifests.go.
	registryManifestLimit = 4 << 20
	// maxManifest bounds what is read of one into memory, bytes.
	maxManifest = 32 << 20
	// maxConfig bounds what is read of a config for its platform, bytes.
	maxConfig = 8 << 20
)

// manifestFile is one manifest, read once whoever needs it.
type manifestFile struct {
	manifest *Manifest // nil where there is a problem
	problem  *Problem
}

// names gives everything that the manifest names, children first.
func (f *manifestFile) names() iter.Seq[*ocispec.Descriptor] {
	return func(yield func(*ocispec.Descriptor) bool) {
		if f == nil || f.manifest == nil {
			return
		}
		for _, list := range [][]*ocispec.Descriptor{f.manifest.Manifests, f.manifest.Blobs} {
			for _, d := range list {
				if !yield(d) {
					return
				}
			}
		}
	}
}

// loadManifests reads every manifest that a tag, a revision or an index names.
// A revision without a link was deleted, and nobody's.
func (s *scanner) loadManifests(ctx context.Context) error {
	c := s.crew(ctx)
	roots := map[digest.Digest]bool{}
	for _, r := range s.repositories {
		for _, tags := range [][]Tag{r.Tags, r.Deleted} {
			for _, t := range tags {
				roots[t.Digest], roots[t.Candidate] = true, true
			}
		}
		for d, l := range r.revisions {
			if l.problem() != absent {
				roots[d] = true
			}
		}
	}
	delete(roots, "")
	for d := range roots {
		c.do(func() { s.loadManifest(c, d) })
	}
	return c.wait()
}

// loadManifest reads a manifest and then what it names. What a parent's
// descriptor says of its type plays no part: a manifest may have many parents,
// and none of them is asked when a registry serves it.
func (s *scanner) loadManifest(c *crew, d digest.Digest) {
	s.mu.Lock()
	if s.manifests[d] != nil {
		s.mu.Unlock()
		return
	}
	file := &manifestFile{}
	s.manifests[d] = file
	s.mu.Unlock()

	file.problem = s.readBlob(d, maxManifest, func(content []byte) (problem *Problem) {
		file.manifest, problem = s.parse(d, content)
		return problem
	})
	if file.manifest == nil {
		return
	}
	for _, child := range file.manifest.Manifests {
		c.do(func() { s.loadManifest(c, child.Digest) })
	}
}

// parse reads a manifest, and keeps its content where that was asked for.
func (s *scanner) parse(d digest.Digest, content []byte) (*Manifest, *Problem) {
	m, err := ParseManifest(content, d, "")
	if err != nil {
		return nil, &Problem{Digest: d, Code: report.ManifestInvalid, Path: BlobPath(d), Detail: err.Error()}
	}
	s.shared.manifest(m)
	if s.opts.KeepIndexes && IsIndex(m.MediaType) {
		m.Raw = bytes.Clone(content)
	}
	return m, nil
}

// readBlob reads a small blob whole, checks its digest, and has it used, whose
// problem it gives if there is no other: the content is gone afterwards. The codes
// of its problems are those of manifests.
func (s *scanner) readBlob(d digest.Digest, most int64, use func(content []byte) *Problem) *Problem {
	fail := func(code report.Code, detail string) *Problem {
		return &Problem{Digest: d, Code: code, Path: BlobPath(d), Detail: detail}
	}
	b := s.blob(d)
	if b.problem() == absent {
		s.scanBlob(d) // it may be new, or in a directory that cannot be listed
		b = s.blob(d)
	}
	switch {
	case b.problem() == absent:
		return fail(report.ManifestMissing, "")
	case b.problem() == report.BlobEmpty:
		return fail(report.ManifestDamaged, "it has no bytes")
	case b.problem() != "":
		return fail(b.problem(), b.detail())
	case b.size > most:
		return fail(report.ManifestTooLarge, fmt.Sprintf("%d bytes, at most %d are read", b.size, most))
	}
	if found, _, ok := s.knownDigest(d); ok && found != d {
		return fail(report.ManifestDamaged, fmt.Sprintf("its %d bytes have the digest %s", b.size, found))
	}
	f, err := readSmall(s.fsys, s.pathOf(d), most)
	if err != nil {
		return s.unreadable(d, b.size, err)
	}
	defer f.giveBack()
	switch {
	case !f.mode.IsRegular():
		return fail(report.BlobNotAFile, "it is "+fileType(f.mode))
	case int64(len(f.content)) > most:
		return fail(report.ManifestTooLarge, fmt.Sprintf("over %d bytes", most))
	case !HasDigest(f.content, d):
		return fail(report.ManifestDamaged, fmt.Sprintf("its %d bytes have the digest %s", len(f.content), d.Algorithm().FromBytes(f.content)))
	}
	s.markHashed(d)
	return use(f.content)
}

// unreadable says why a blob of a size in bytes, which was there, cannot be read.
func (s *scanner) unreadable(d digest.Digest, size int64, err error) *Problem {
	p := &Problem{Digest: d, Code: readProblem(err, report.BlobNotAFile), Path: BlobPath(d), Detail: err.Error()}
	switch {
	case errors.Is(err, source.ErrNotKept): // what could be a manifest or a config was
		p.Code, p.Detail = report.ManifestInvalid, fmt.Sprintf("its %d bytes are no JSON", size)
	case p.Code == absent:
		p.Code, p.Detail = report.ManifestMissing, "it went away during the scan"
	}
	return p
}

func (s *scanner) markHashed(d digest.Digest) {
	s.mu.Lock()
	s.blobs[d].hashed = true
	s.mu.Unlock()
}

func (s *scanner) doubt(d digest.Digest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.blobs[d]; b != nil {
		b.doubted = true
	}
}

// loadConfigs reads the configs of images for their platforms, each once.
func (s *scanner) loadConfigs(ctx context.Context) error {
	s.shared.settle()
	var images []*Manifest
	for _, file := range s.manifests {
		if m := file.manifest; m != nil && len(m.Blobs) > 0 && IsImageConfig(m.Blobs[0].MediaType) && !IsIndex(m.MediaType) && !s.isAway(m.Blobs[0].Digest) {
			images = append(images, m)
		}
	}
	config := func(m *Manifest) digest.Digest { return m.Blobs[0].Digest }
	slices.SortFunc(images, func(a, b *Manifest) int { return cmp.Compare(config(a), config(b)) })
	c := s.crew(ctx)
	for len(images) > 0 {
		n := 1
		for n < len(images) && config(images[n]) == config(images[0]) {
			n++
		}
		users := images[:n]
		images = images[n:]
		c.do(func() {
			platform := s.loadConfig(config(users[0]))
			for _, m := range users {
				m.Platform = platform
			}
		})
	}
	return c.wait()
}

func (s *scanner) isAway(d digest.Digest) bool {
	b := s.blob(d)
	return b.oddity().away != ""
}

// loadConfig gives nil where a config names no platform, or cannot be read. What
// is wrong with its bytes is for settleBlobs to say, as of any blob.
func (s *scanner) loadConfig(d digest.Digest) *ocispec.Platform {
	var platform *ocispec.Platform
	problem := s.readBlob(d, maxConfig, func(content []byte) *Problem {
		platform = s.platformIn(d, content)
		return nil
	})
	switch {
	case problem == nil:
	case problem.Code == report.ManifestInvalid:
		s.findNotJSON(d, problem.Detail)
	case problem.Code != report.ManifestTooLarge:
		s.doubt(d)
	}
	return platform
}

// platformIn gives the platform that a config names, or nil. It is all that is
// read of the config.
func (s *scanner) platformIn(d digest.Digest, content []byte) *ocispec.Platform {
	var platform ocispec.Platform
	if err := json.Unmarshal(content, &platform); err != nil {
		if !json.Valid(content) {
			s.findNotJSON(d, err.Error())
		}
		return nil
	}
	if platform.OS == "" && platform.Architecture == "" {
		return nil
	}
	return s.shared.platform(&platform)
}

func (s *scanner) findNotJSON(d digest.Digest, detail string) {
	f := report.ConfigNotJSON.New(detail)
	f.Digest, f.Path = d.String(), s.pathOf(d)
	s.find(f)
}
