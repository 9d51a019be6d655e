package plan

import (
	"bytes"
	"encoding/json"
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

// trim cuts an incomplete index to its whole children, all else of it as it
// was. It gives nil where the image is no index or no child is whole.
func (s *selection) trim(i Image) *Image {
	t := &Trim{Old: i.Source.Digest, Contents: map[digest.Digest][]byte{}}
	cut := s.cut(i.Source.Digest, t)
	if cut == nil {
		return nil
	}
	whole := &storage.Closure{}
	s.gather(*cut, t, whole, map[digest.Digest]bool{})
	i.Trim, i.Manifest = t, *cut
	i.Manifests, i.Blobs, i.Size, i.Platforms = whole.Manifests, whole.Blobs, whole.Size, whole.Platforms
	i.Target = i.Source
	i.Target.Digest = cut.Digest
	return &i
}

// cut makes the new index, and those inside it, into t. It gives the new
// descriptor, the old one of an index that is whole, or nil where nothing is left.
func (s *selection) cut(d digest.Digest, t *Trim) *ocispec.Descriptor {
	m := s.x.Manifest(d)
	if m == nil {
		return nil
	}
	if s.x.Closure(d).Whole() {
		return &m.Descriptor
	}
	if !storage.IsIndex(m.MediaType) || m.Raw == nil {
		return nil
	}
	left := 0
	content, err := cutManifests(m.Raw, func(child digest.Digest) *ocispec.Descriptor {
		kept := s.cut(child, t)
		if kept != nil {
			left++
		}
		return kept
	})
	if err != nil || left == 0 {
		return nil
	}
	cut := m.Descriptor
	cut.Digest, cut.Size = d.Algorithm().FromBytes(content), int64(len(content))
	t.Contents[cut.Digest] = content
	return &cut
}

// gather collects what a cut index needs: like storage.Closure, with the new
// indexes among the old manifests.
func (s *selection) gather(d ocispec.Descriptor, t *Trim, c *storage.Closure, seen map[digest.Digest]bool) {
	part := s.x.Closure(d.Digest)
	if content, ok := t.Contents[d.Digest]; ok {
		part = &storage.Closure{}
		if m, err := storage.ParseManifest(content, d.Digest, d.MediaType); err == nil {
			for _, child := range m.Manifests {
				s.gather(child, t, part, map[digest.Digest]bool{})
			}
		}
		part.Manifests = append(part.Manifests, d)
	}
	add := func(to *[]ocispec.Descriptor, from []ocispec.Descriptor) {
		for _, one := range from {
			if !seen[one.Digest] {
				seen[one.Digest] = true
				*to = append(*to, one)
				c.Size += one.Size
			}
		}
	}
	add(&c.Manifests, part.Manifests)
	add(&c.Blobs, part.Blobs)
	for _, platform := range part.Platforms {
		if !slices.Contains(c.Platforms, platform) {
			c.Platforms = append(c.Platforms, platform)
		}
	}
}

// wholeChildren are those images in an incomplete index that are whole: each
// goes under its own digest, so that nothing is lost that can be had.
func (s *selection) wholeChildren(i Image) []Image {
	m := s.x.Manifest(i.Source.Digest)
	if m == nil {
		return nil
	}
	var whole []Image
	for _, child := range m.Manifests {
		own := Image{Source: Reference{Repository: s.r.Name, Digest: child.Digest}, Depth: i.Depth}
		closure := s.x.Closure(child.Digest)
		switch {
		case s.chosen[own.Source.String()] || !s.rules.wantsPart(own.Source):
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

// wantsPart tells whether a part of a chosen image may go on its own: only an
// exclusion keeps it out.
func (r *Rules) wantsPart(ref Reference) bool { return !matchAny(r.Exclude, ref) }

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

// cutManifests rewrites the "manifests" of an index: keep says of each child
// what becomes of it, nil for gone. All other bytes stay as they are.
func cutManifests(index []byte, keep func(digest.Digest) *ocispec.Descriptor) ([]byte, error) {
	from, to, err := valueOf(index, "manifests")
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(index[from:to]))
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	out := append([]byte{}, index[:from+1]...)
	end, first := dec.InputOffset(), true
	for dec.More() {
		var element json.RawMessage
		if err := dec.Decode(&element); err != nil {
			return nil, err
		}
		before := index[from+int(end) : from+int(dec.InputOffset())-len(element)] // comma and blanks
		end = dec.InputOffset()
		kept, err := cutElement(element, keep)
		if err != nil {
			return nil, err
		}
		if kept == nil {
			continue
		}
		if first {
			before = bytes.TrimPrefix(bytes.TrimLeft(before, " \t\r\n"), []byte(","))
		}
		out, first = append(append(out, before...), kept...), false
	}
	return append(out, index[from+int(end):]...), nil
}

func cutElement(element []byte, keep func(digest.Digest) *ocispec.Descriptor) ([]byte, error) {
	var was ocispec.Descriptor
	if err := json.Unmarshal(element, &was); err != nil {
		return nil, err
	}
	is := keep(was.Digest)
	if is == nil || is.Digest == was.Digest {
		if is == nil {
			return nil, nil
		}
		return element, nil
	}
	for key, value := range map[string]any{"digest": is.Digest, "size": is.Size} {
		from, to, err := valueOf(element, key)
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		element = slices.Concat(element[:from], text, element[to:])
	}
	return element, nil
}

// valueOf finds where the value of a key of a JSON object stands.
func valueOf(object []byte, key string) (from, to int, err error) {
	dec := json.NewDecoder(bytes.NewReader(object))
	if _, err := dec.Token(); err != nil {
		return 0, 0, err
	}
	found := false
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return 0, 0, err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return 0, 0, err
		}
		if name == key { // the last one counts, as when decoding
			to, found = int(dec.InputOffset()), true
			from = to - len(value)
		}
	}
	if !found {
		return 0, 0, fmt.Errorf("no %q in it", key)
	}
	return from, to, nil
}
