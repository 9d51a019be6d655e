package plan

import (
	"iter"
	"regexp"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

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

// schemeSubject gives the digest a tag is named after, if the repository has
// that manifest; else the tag is one like any other.
func (s *selection) schemeSubject(t storage.Tag) digest.Digest {
	if d := referrerOf(t.Name); d != t.Digest && s.there[d] {
		return d
	}
	return ""
}

// addReferrers takes what refers to a choice, to what it holds, or to another
// referrer. Only an exclusion keeps a referrer out: it need not be asked for.
// One that a choice holds already need not go by its digest as well.
func (s *selection) addReferrers() {
	if len(s.bySubject) == 0 && len(s.byScheme) == 0 {
		return
	}
	held := map[digest.Digest]bool{}
	tagged, named := 0, 0 // choices whose referrers were looked for, of either kind
	for named < len(s.choices) {
		for ; tagged < len(s.choices); tagged++ {
			s.addByScheme(s.choices[tagged], held)
		}
		s.addBySubject(s.choices[named], held)
		named++
	}
}

// manifests are those that a choice holds, as far as they are there.
func (s *selection) manifests(c choice) []*ocispec.Descriptor {
	d := c.tag.Digest
	if c.tag.Problem != nil && s.rules.Recover {
		d = c.tag.Candidate
	}
	if d == "" {
		return nil
	}
	return s.x.Closure(d).Manifests
}

func (s *selection) addByScheme(c choice, held map[digest.Digest]bool) {
	for _, m := range s.manifests(c) {
		held[m.Digest] = true
		for _, t := range s.byScheme[m.Digest] {
			if !matchAny(s.rules.Exclude, s.reference(t)) {
				s.take(t)
			}
		}
	}
}

func (s *selection) addBySubject(c choice, held map[digest.Digest]bool) {
	for _, m := range s.manifests(c) {
		for _, referrer := range s.bySubject[m.Digest] {
			t := storage.Tag{Digest: referrer.Digest}
			if !held[referrer.Digest] && !matchAny(s.rules.Exclude, s.reference(t)) {
				held[referrer.Digest] = true
				s.take(t)
			}
		}
	}
}

// dropReferrers leaves out what refers to a choice, directly or through others.
func (s *selection) dropReferrers() {
	held := map[digest.Digest]bool{}
	for _, c := range s.choices {
		for _, m := range s.manifests(c) {
			held[m.Digest] = true
		}
	}
	s.choices = slices.DeleteFunc(s.choices, func(c choice) bool {
		for d := range s.chain(c.tag.Digest, c.subject) {
			if held[d] {
				return true
			}
		}
		return false
	})
}

// chain follows subjects, from one that refers to the next. Tags may be named
// after one another in a ring.
func (s *selection) chain(own, subject digest.Digest) iter.Seq[digest.Digest] {
	return func(yield func(digest.Digest) bool) {
		seen := map[digest.Digest]bool{own: true}
		for d := subject; d != "" && !seen[d] && yield(d); d = s.subjects[d] {
			seen[d] = true
		}
	}
}

// depth counts the images that one refers to, one through the other.
func (s *selection) depth(own, subject digest.Digest) int {
	n := 0
	for d := range s.chain(own, subject) {
		if s.x.Manifest(d) == nil {
			break
		}
		n++
	}
	return n
}
