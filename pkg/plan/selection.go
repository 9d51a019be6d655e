package plan

import (
	"cmp"
	"regexp"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// selection chooses among the images of one repository.
type selection struct {
	x     *storage.Index
	r     *storage.Repository
	rules *Rules

	bySubject map[digest.Digest][]*storage.Manifest
	byScheme  map[digest.Digest][]storage.Tag // tags named after what they refer to
	chosen    map[string]bool                 // names of references
	choices   []choice
}

// choice is one image of the repository: a tag, or a manifest by digest.
type choice struct {
	tag     storage.Tag // Name empty for a manifest by digest
	subject digest.Digest
}

// referrerTag is how cosign names the tags of signatures, attestations and
// SBOMs after their subject, and how clients name the list of referrers where
// a registry keeps none (OCI distribution spec 1.1, referrers tag schema).
var referrerTag = regexp.MustCompile(`^(sha256|sha384|sha512)-([0-9a-f]{64,128})(?:\..+)?$`)

// referrerOf gives the digest a tag is named after, or "".
func referrerOf(tag string) digest.Digest {
	parts := referrerTag.FindStringSubmatch(tag)
	if parts == nil {
		return ""
	}
	d := digest.NewDigestFromEncoded(digest.Algorithm(parts[1]), parts[2])
	if d.Validate() != nil {
		return ""
	}
	return d
}

func newSelection(x *storage.Index, r *storage.Repository, rules *Rules) *selection {
	s := &selection{
		x: x, r: r, rules: rules,
		bySubject: map[digest.Digest][]*storage.Manifest{},
		byScheme:  map[digest.Digest][]storage.Tag{},
		chosen:    map[string]bool{},
	}
	for _, m := range r.Manifests {
		if m.Subject != nil {
			s.bySubject[m.Subject.Digest] = append(s.bySubject[m.Subject.Digest], m)
		}
	}
	for _, t := range s.tags() {
		if d := referrerOf(t.Name); d != "" && x.Manifest(d) != nil {
			s.byScheme[d] = append(s.byScheme[d], t)
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
// subject that is there is not counted among the newest: it goes with its subject.
func (s *selection) newest() []storage.Tag {
	var tags []storage.Tag
	for _, t := range s.tags() {
		if !s.rules.wants(s.reference(t)) || (!s.rules.Since.IsZero() && t.Updated.Before(s.rules.Since)) {
			continue
		}
		if s.rules.Latest > 0 && s.x.Manifest(referrerOf(t.Name)) != nil {
			continue
		}
		tags = append(tags, t)
	}
	if s.rules.Latest > 0 && len(tags) > s.rules.Latest {
		slices.SortStableFunc(tags, func(a, b storage.Tag) int {
			return cmp.Or(b.Updated.Compare(a.Updated), cmp.Compare(a.Name, b.Name))
		})
		tags = tags[:s.rules.Latest]
	}
	return tags
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
	if m := s.x.Manifest(t.Digest); c.subject == "" && m != nil && m.Subject != nil {
		c.subject = m.Subject.Digest
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

// addReferrers takes what refers to a choice, to what it holds, or to another
// referrer. Only an exclusion keeps a referrer out: it need not be asked for.
// One that a choice holds already need not go by its digest as well.
func (s *selection) addReferrers() {
	held := map[digest.Digest]bool{}
	for i := 0; i < len(s.choices); i++ { // grows as referrers are found
		manifests := s.x.Closure(s.choices[i].tag.Digest).Manifests
		for _, m := range manifests {
			held[m.Digest] = true
			for _, t := range s.byScheme[m.Digest] {
				if !matchAny(s.rules.Exclude, s.reference(t)) {
					s.take(t)
				}
			}
		}
	}
	for i := 0; i < len(s.choices); i++ {
		for _, m := range s.x.Closure(s.choices[i].tag.Digest).Manifests {
			for _, referrer := range s.bySubject[m.Digest] {
				t := storage.Tag{Digest: referrer.Digest}
				if !held[referrer.Digest] && !matchAny(s.rules.Exclude, s.reference(t)) {
					held[referrer.Digest] = true
					s.take(t)
				}
			}
		}
	}
}

// dropReferrers leaves out what refers to a choice.
func (s *selection) dropReferrers() {
	held := map[digest.Digest]bool{}
	for _, c := range s.choices {
		for _, m := range s.x.Closure(c.tag.Digest).Manifests {
			held[m.Digest] = true
		}
	}
	s.choices = slices.DeleteFunc(s.choices, func(c choice) bool { return held[c.subject] })
}

// depth counts the images that one refers to, one through the other.
func (s *selection) depth(subject digest.Digest) int {
	n := 0
	for m := s.x.Manifest(subject); m != nil; m = s.x.Manifest(subject) {
		n++
		if m.Subject == nil {
			break
		}
		subject = m.Subject.Digest
	}
	return n
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
		Depth:   s.depth(c.subject),
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
			return append(s.wholeChildren(i), *trimmed), nil
		}
	}
	return s.wholeChildren(i), s.leaveOut(i, closure.Problems...)
}

func (s *selection) fill(i *Image, closure *storage.Closure) {
	i.Manifests, i.Blobs = closure.Manifests, closure.Blobs
	i.Size, i.Platforms = closure.Size, closure.Platforms
	i.Manifest.Digest = i.Source.Digest
	if m := s.x.Manifest(i.Source.Digest); m != nil {
		i.Manifest, i.ArtifactType = m.Descriptor, m.ArtifactType
	}
	i.Target = i.Source
}

func (s *selection) leaveOut(i Image, problems ...storage.Problem) *LeftOut {
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
