package plan

import (
	"cmp"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// selection chooses among the images of one repository.
type selection struct {
	x     *storage.Index
	r     *storage.Repository
	rules *Rules

	there     map[digest.Digest]bool // the repository's manifests, and what its indexes name
	bySubject map[digest.Digest][]*storage.Manifest
	byScheme  map[digest.Digest][]storage.Tag // tags named after what they refer to
	subjects  map[digest.Digest]digest.Digest // of manifests that refer to others
	chosen    map[string]bool                 // names of references
	choices   []choice
	opened    map[digest.Digest]bool     // incomplete indexes whose whole children were taken
	trims     map[digest.Digest]*trimmed // of incomplete indexes, by their digests
}

// choice is one image of the repository: a tag, or a manifest by digest.
type choice struct {
	tag     storage.Tag // Name empty for a manifest by digest
	subject digest.Digest
}

func newSelection(x *storage.Index, r *storage.Repository, rules *Rules) *selection {
	s := &selection{
		x: x, r: r, rules: rules,
		there:     map[digest.Digest]bool{},
		bySubject: map[digest.Digest][]*storage.Manifest{},
		byScheme:  map[digest.Digest][]storage.Tag{},
		subjects:  map[digest.Digest]digest.Digest{},
		chosen:    map[string]bool{},
		opened:    map[digest.Digest]bool{},
		trims:     map[digest.Digest]*trimmed{},
	}
	for _, m := range r.Manifests {
		s.there[m.Digest] = true
		for _, child := range m.Manifests {
			s.there[child.Digest] = true
		}
		if m.Subject != nil {
			s.bySubject[m.Subject.Digest] = append(s.bySubject[m.Subject.Digest], m)
			s.subjects[m.Digest] = m.Subject.Digest
		}
	}
	for _, t := range s.tags() {
		if d := s.schemeSubject(t); d != "" {
			s.byScheme[d] = append(s.byScheme[d], t)
			if s.subjects[t.Digest] == "" {
				s.subjects[t.Digest] = d
			}
		}
	}
	return s
}

// tags are the repository's tags, those to recover among them if asked for.
func (s *selection) tags() []storage.Tag {
	if !s.rules.Recover {
		return s.r.Tags
	}
	tags := slices.Clone(s.r.Tags)
	for _, t := range s.r.Deleted {
		if t.Candidate != "" {
			tags = append(tags, t)
		}
	}
	return tags
}

// unasked counts the manifests that nothing reaches and that are left where
// they are, since nobody asked for them.
func (s *selection) unasked() int {
	n := 0
	if s.rules.Untagged {
		return n
	}
	for _, m := range s.r.Untagged() {
		if s.rules.wants(Reference{Repository: s.r.Name, Digest: m.Digest}) {
			n++
		}
	}
	return n
}

// choose gives the repository's images that the rules ask for.
func (s *selection) choose() []choice {
	for _, t := range s.newest() {
		s.take(t)
	}
	if s.rules.Untagged {
		for _, m := range s.r.Untagged() {
			s.takeManifest(m)
		}
	}
	if s.rules.NoReferrers {
		s.dropReferrers()
	} else {
		s.addReferrers()
	}
	return s.choices
}

// newest gives the tags that pass the globs and the times. A tag named after a
// subject that is there is not counted among the newest: it goes with its
// subject. Nor is a broken one of unknown age: nobody can say that it is old.
func (s *selection) newest() []storage.Tag {
	var counted, others []storage.Tag
	for _, t := range s.tags() {
		ageless := t.Problem != nil && t.Updated.IsZero()
		switch {
		case !s.rules.wants(s.reference(t)):
		case ageless:
			others = append(others, t)
		case t.Updated.Before(s.rules.Since):
		case s.rules.Latest > 0 && s.schemeSubject(t) != "":
		default:
			counted = append(counted, t)
		}
	}
	if s.rules.Latest > 0 && len(counted) > s.rules.Latest {
		slices.SortStableFunc(counted, func(a, b storage.Tag) int {
			return cmp.Or(b.Updated.Compare(a.Updated), cmp.Compare(a.Name, b.Name))
		})
		counted = counted[:s.rules.Latest]
	}
	return append(counted, others...)
}

func (s *selection) reference(t storage.Tag) Reference {
	return Reference{Repository: s.r.Name, Tag: t.Name, Digest: t.Digest}
}

func (s *selection) take(t storage.Tag) {
	ref := s.reference(t)
	if s.chosen[ref.String()] {
		return
	}
	s.chosen[ref.String()] = true
	c := choice{tag: t, subject: referrerOf(t.Name)}
	if m := s.x.Manifest(t.Digest); m != nil && (c.subject == "" || c.subject == t.Digest) {
		c.subject = s.subjects[t.Digest]
	}
	s.choices = append(s.choices, c)
}

// takeManifest takes a manifest by its digest, if the globs let it pass.
func (s *selection) takeManifest(m *storage.Manifest) {
	t := storage.Tag{Digest: m.Digest}
	if s.rules.wants(s.reference(t)) {
		s.take(t)
	}
}

// image makes a choice into images to carry, or says why it is left out.
func (s *selection) image(c choice) ([]Image, *LeftOut) {
	if c.tag.Name == "" {
		c.tag.Updated = s.r.Updated(c.tag.Digest)
	}
	i := Image{
		Source:  s.reference(c.tag),
		Updated: c.tag.Updated,
		Subject: c.subject,
		Depth:   s.depth(c.tag.Digest, c.subject),
	}
	if c.tag.Problem != nil {
		if !s.rules.Recover || c.tag.Candidate == "" {
			return nil, s.leaveOut(i, *c.tag.Problem)
		}
		i.Source.Digest, i.Recovered = c.tag.Candidate, true
	}
	closure := s.x.Closure(i.Source.Digest)
	s.fill(&i, closure)
	if closure.Whole() {
		return []Image{i}, nil
	}
	if s.rules.Incomplete == TrimIncomplete {
		if trimmed := s.trim(i); trimmed != nil {
			return []Image{*trimmed}, nil
		}
	}
	return s.wholeChildren(i), s.leaveOut(i, closure.Problems...)
}

func (s *selection) fill(i *Image, closure *storage.Closure) {
	i.Manifests, i.Blobs = closure.Manifests, closure.Blobs
	i.Size, i.Platforms = closure.Size, closure.Platforms
	if m := s.x.Manifest(i.Source.Digest); m != nil {
		i.Manifest, i.ArtifactType = &m.Descriptor, m.ArtifactType
	} else {
		i.Manifest = &ocispec.Descriptor{Digest: i.Source.Digest}
	}
	i.Target = i.Source
}

func (s *selection) leaveOut(i Image, problems ...storage.Problem) *LeftOut {
	if i.Manifest == nil { // its tag hides which it is
		i.Manifest = &ocispec.Descriptor{}
	}
	l := &LeftOut{Image: i, Code: problems[0].Code}
	l.Target = l.Source
	for _, p := range problems {
		if p.Digest != "" && p.Code != report.Unreadable && !slices.Contains(l.Missing, p.Digest) {
			l.Missing = append(l.Missing, p.Digest)
		}
	}
	l.Reason = describe(problems)
	return l
}
