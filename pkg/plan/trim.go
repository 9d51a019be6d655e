package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// Trim is what cutting an index to its whole children made.
type Trim struct {
	Old      digest.Digest            // of the index as the source has it
	Contents map[digest.Digest][]byte // of the new indexes, by their digests
}

// trimmed is a new index, and what it needs.
type trimmed struct {
	trim     *Trim
	manifest *ocispec.Descriptor
	whole    *storage.Closure
}

// trim cuts an incomplete index to its whole children, all else of it as it
// was. It gives nil where the image is no index or no child is whole.
func (s *selection) trim(i Image) *Image {
	old := i.Source.Digest
	made, known := s.trims[old]
	if !known {
		made = s.trimIndex(old)
		s.trims[old] = made
	}
	if made == nil {
		return nil
	}
	i.Trim, i.Manifest = made.trim, made.manifest
	i.Manifests, i.Blobs, i.Size, i.Platforms = made.whole.Manifests, made.whole.Blobs, made.whole.Size, made.whole.Platforms
	i.Target = i.Source
	i.Target.Digest = made.manifest.Digest
	return &i
}

func (s *selection) trimIndex(old digest.Digest) *trimmed {
	t := &Trim{Old: old, Contents: map[digest.Digest][]byte{}}
	cut := s.cut(old, t, map[digest.Digest]*ocispec.Descriptor{})
	if cut == nil {
		return nil
	}
	whole := &storage.Closure{}
	s.gather(cut, t, whole, map[digest.Digest]bool{})
	return &trimmed{t, cut, whole}
}

// cut makes the new index, and those inside it, into t. It gives the new
// descriptor, the old one of an index that is whole, or nil where nothing is
// left. An index that lacks a blob of its own, as build caches have, is not cut.
// Each is cut once, though indexes may hold it by very many ways.
func (s *selection) cut(d digest.Digest, t *Trim, done map[digest.Digest]*ocispec.Descriptor) *ocispec.Descriptor {
	left, known := done[d]
	if !known {
		left = s.cutIndex(d, t, done)
		done[d] = left
	}
	return left
}

func (s *selection) cutIndex(d digest.Digest, t *Trim, done map[digest.Digest]*ocispec.Descriptor) *ocispec.Descriptor {
	m := s.x.Manifest(d)
	if m == nil {
		return nil
	}
	if s.x.Closure(d).Whole() {
		return &m.Descriptor
	}
	if !storage.IsIndex(m.MediaType) || m.Raw == nil || s.lacksBlob(m) {
		return nil
	}
	kept := map[digest.Digest]bool{}
	content, err := cutManifests(m.Raw, func(child digest.Digest) *ocispec.Descriptor {
		if slices.ContainsFunc(m.Blobs, func(b *ocispec.Descriptor) bool { return b.Digest == child }) {
			return &ocispec.Descriptor{Digest: child}
		}
		left := s.cut(child, t, done)
		if left != nil {
			kept[left.Digest] = true
		}
		return left
	})
	if err != nil || len(kept) == 0 {
		return nil
	}
	cut := m.Descriptor
	cut.Digest, cut.Size = d.Algorithm().FromBytes(content), int64(len(content))
	if !namesOnly(content, cut, kept) {
		return nil
	}
	t.Contents[cut.Digest] = content
	return &cut
}

// lacksBlob tells whether one of the manifest's own blobs cannot be had.
func (s *selection) lacksBlob(m *storage.Manifest) bool {
	problems := s.x.Closure(m.Digest).Problems
	return slices.ContainsFunc(m.Blobs, func(b *ocispec.Descriptor) bool {
		return slices.ContainsFunc(problems, func(p storage.Problem) bool { return p.Digest == b.Digest })
	})
}

// namesOnly reads a cut index as everyone else will, and holds its children
// against those that were kept: JSON has ways to say things twice.
func namesOnly(content []byte, as ocispec.Descriptor, kept map[digest.Digest]bool) bool {
	m, err := storage.ParseManifest(content, as.Digest, as.MediaType)
	return err == nil && !slices.ContainsFunc(m.Manifests, func(c *ocispec.Descriptor) bool { return !kept[c.Digest] })
}

// gather collects what a cut index needs: like storage.Closure, with the new
// indexes among the old manifests.
func (s *selection) gather(d *ocispec.Descriptor, t *Trim, c *storage.Closure, seen map[digest.Digest]bool) {
	add := func(to *[]*ocispec.Descriptor, from ...*ocispec.Descriptor) {
		for _, one := range from {
			if !seen[one.Digest] {
				seen[one.Digest] = true
				*to = append(*to, one)
				c.Size += one.Size
			}
		}
	}
	content, isNew := t.Contents[d.Digest]
	switch {
	case seen[d.Digest]:
	case isNew:
		s.gatherBelow(content, d, t, c, seen)
		add(&c.Manifests, d)
	default:
		part := s.x.Closure(d.Digest)
		add(&c.Manifests, part.Manifests...)
		add(&c.Blobs, part.Blobs...)
		for _, platform := range part.Platforms {
			if !slices.Contains(c.Platforms, platform) {
				c.Platforms = append(c.Platforms, platform)
			}
		}
	}
}

// gatherBelow collects what a new index names.
func (s *selection) gatherBelow(content []byte, d *ocispec.Descriptor, t *Trim, c *storage.Closure, seen map[digest.Digest]bool) {
	m, err := storage.ParseManifest(content, d.Digest, d.MediaType)
	if err != nil {
		return
	}
	for _, child := range m.Manifests {
		s.gather(child, t, c, seen)
	}
	for _, b := range m.Blobs {
		if size, ok := s.x.Blob(b.Digest); ok && !seen[b.Digest] {
			seen[b.Digest] = true
			b.Size = size // of a manifest that nobody shares
			c.Blobs = append(c.Blobs, b)
			c.Size += size
		}
	}
}

// wholeChildren are those images in an incomplete index that are whole: each
// goes under its own digest, so that nothing is lost that can be had. Only an
// exclusion keeps one out. An index is opened once, though others may hold it by
// very many ways.
func (s *selection) wholeChildren(i Image) []Image {
	m := s.x.Manifest(i.Source.Digest)
	if m == nil || s.opened[m.Digest] {
		return nil
	}
	s.opened[m.Digest] = true
	var whole []Image
	for _, child := range m.Manifests {
		own := Image{Source: Reference{Repository: s.r.Name, Digest: child.Digest}, Depth: i.Depth}
		closure := s.x.Closure(child.Digest)
		switch {
		case s.chosen[own.Source.String()] || matchAny(s.rules.Exclude, own.Source):
		case closure.Whole():
			s.chosen[own.Source.String()] = true
			s.fill(&own, closure)
			whole = append(whole, own)
		default:
			whole = append(whole, s.wholeChildren(own)...)
		}
	}
	return whole
}

// describe puts an image's problems into a line.
func describe(problems []storage.Problem) string {
	counts := map[report.Code]int{}
	var order []report.Code
	first := map[report.Code]storage.Problem{}
	for _, p := range problems {
		if counts[p.Code] == 0 {
			order = append(order, p.Code)
			first[p.Code] = p
		}
		counts[p.Code]++
	}
	var parts []string
	for _, code := range order {
		part := code.Kind().Means
		if p := first[code]; p.Digest != "" {
			part += ": " + p.Digest.String()
		} else {
			part += ": " + p.Path
		}
		if n := counts[code]; n > 1 {
			part += fmt.Sprintf(" and %d more", n-1)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "; ")
}
