package storage

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

// index closes the scan: it files revisions and tags, and says of each image
// what is wrong with it.
func (s *scanner) index() *Index {
	x := &Index{
		repositories: s.repositories,
		manifests:    s.manifests,
		blobs:        s.blobs,
		platforms:    s.shared.platformNames(),
	}
	slices.SortFunc(x.repositories, func(a, b *Repository) int { return strings.Compare(a.Name, b.Name) })
	for _, r := range x.repositories {
		s.fileRevisions(r)
		for i := range r.Tags {
			s.fileTag(r, &r.Tags[i])
		}
		r.file()
		s.findInRepository(x, r)
		r.revisions = nil // all that is asked of them from now on is filed
	}
	if s.opts.Thorough {
		x.unreferenced = s.findUnused()
	}
	if src, ok := s.fsys.(source.FindingsFS); ok && !s.told {
		s.findings = append(s.findings, src.Findings()...)
	}
	report.SortFindings(s.findings)
	x.findings = slices.Compact(s.findings)
	s.findings, s.layerLinks, s.shared = nil, nil, nil // the index is done with them
	return x
}

func (s *scanner) fileRevisions(r *Repository) {
	r.Manifests = make([]*Manifest, 0, len(r.revisions))
	for d, l := range r.revisions {
		if l.flaw == nil && s.manifests[d].manifest != nil {
			r.Manifests = append(r.Manifests, s.manifests[d].manifest)
		}
	}
}

// fileTag holds a tag against its repository's revisions: a registry serves a
// manifest only where the repository links it. One that is not there at all is
// no more than that.
func (s *scanner) fileTag(r *Repository, t *Tag) {
	if t.Problem != nil {
		return
	}
	l, there := r.revisions[t.Digest]
	code, detail := l.problem(), l.detail()
	switch {
	case !there || code == absent:
		code, detail = report.RevisionMissing, ""
	case code == "":
		return
	}
	if file := s.manifests[t.Digest]; file != nil && file.problem != nil && file.problem.Code == report.ManifestMissing {
		t.Problem = file.problem
		return
	}
	t.Candidate = t.Digest
	t.Problem = &Problem{Digest: t.Digest, Code: code, Path: RevisionLinkPath(r.Name, t.Digest), Detail: detail}
}

// findInRepository names what keeps the repository's images from being whole,
// and what is worth knowing of them.
func (s *scanner) findInRepository(x *Index, r *Repository) {
	known := r.children() // what needs no line of its own: the index or the tag has it
	for _, t := range r.Tags {
		if t.Problem != nil {
			s.findProblem(t.offer(), r.Name, t.Name)
		}
		if t.Digest != "" {
			s.findInImage(x, r, t.Name, t.Digest)
		}
	}
	for _, t := range r.Deleted {
		s.findProblem(t.offer(), r.Name, t.Name)
	}
	s.findBrokenRevisions(r, known)
	for _, t := range r.Tags {
		known[t.Digest] = true
	}
	for _, m := range r.Manifests {
		if !known[m.Digest] {
			s.findInImage(x, r, "", m.Digest)
		}
	}
	if len(r.Tags) == 0 && len(r.Manifests) > 0 && !s.hidden(path.Join(repositoryPath(r.Name), tagsDir)) {
		f := report.RepositoryUntagged.New(fmt.Sprintf("%d manifests", len(r.Manifests)))
		f.Repository, f.Path = r.Name, repositoryPath(r.Name)
		s.find(f)
	}
}

// offer is a tag's problem, with the digest that its history offers instead.
func (t *Tag) offer() Problem {
	p := *t.Problem
	if t.Candidate == "" || t.Digest != "" {
		return p
	}
	if p.Detail != "" {
		p.Detail += "; "
	}
	p.Detail += "its history names " + t.Candidate.String()
	return p
}

// children are the manifests that the repository's indexes name.
func (r *Repository) children() map[digest.Digest]bool {
	children := map[digest.Digest]bool{}
	for _, m := range r.Manifests {
		for _, c := range m.Manifests {
			children[c.Digest] = true
		}
	}
	return children
}

// findBrokenRevisions names revisions that no tag speaks of. A child of an
// index is carried with it, whatever its own link is like: that is a note.
func (s *scanner) findBrokenRevisions(r *Repository, children map[digest.Digest]bool) {
	tagged := map[digest.Digest]bool{}
	for _, t := range r.Tags {
		tagged[t.Digest] = true
	}
	for d, l := range r.revisions {
		switch {
		case tagged[d] || l.problem() == absent:
		case l.problem() != "":
			f := l.problem().New(l.detail())
			f.Repository, f.Digest, f.Path = r.Name, d.String(), RevisionLinkPath(r.Name, d)
			if children[d] && f.Code != report.Unreadable {
				f.Level = report.Note
			}
			s.find(f)
		case s.manifests[d].problem != nil && !children[d]:
			s.findProblem(*s.manifests[d].problem, r.Name, "")
		}
	}
}

func (s *scanner) findProblem(p Problem, repository, tag string) {
	f := p.Code.New(p.Detail)
	f.Repository, f.Tag, f.Digest, f.Path = repository, tag, p.Digest.String(), p.Path
	s.find(f)
}

// findInImage names what an image lacks, and what is odd about its manifests.
func (s *scanner) findInImage(x *Index, r *Repository, tag string, d digest.Digest) {
	c := x.Closure(d)
	for _, p := range c.Problems {
		s.findProblem(p, r.Name, tag)
	}
	for _, own := range c.Manifests {
		m := x.Manifest(own.Digest)
		for _, p := range s.oddities(r, m) {
			s.findProblem(p, r.Name, tag)
		}
	}
	if s.opts.Thorough && !s.told {
		s.findUnlinked(r, tag, d, c)
	}
}

// findUnlinked names what an image has and its repository does not link.
func (s *scanner) findUnlinked(r *Repository, tag string, d digest.Digest, c *Closure) {
	note := func(part digest.Digest, where string) {
		if !s.hidden(where) {
			s.findProblem(Problem{Digest: part, Code: report.BlobUnlinked, Path: where}, r.Name, tag)
		}
	}
	for _, m := range c.Manifests {
		if l, there := r.revisions[m.Digest]; m.Digest != d && (!there || l.problem() == absent) {
			note(m.Digest, RevisionLinkPath(r.Name, m.Digest))
		}
	}
	for _, b := range c.Blobs {
		if _, there := s.layerLinks[layerLink{r.Name, b.Digest}]; !there {
			note(b.Digest, LayerLinkPath(r.Name, b.Digest))
		}
	}
}

// oddities are what a target might not like about a manifest, or its owner
// might not know.
func (s *scanner) oddities(r *Repository, m *Manifest) []Problem {
	var odd []Problem
	note := func(code report.Code, detail string) {
		odd = append(odd, Problem{Digest: m.Digest, Code: code, Path: BlobPath(m.Digest), Detail: detail})
	}
	if m.Size > registryManifestLimit {
		note(report.ManifestLarge, fmt.Sprintf("%d bytes", m.Size))
	}
	if !m.Stated {
		note(report.MediaTypeAbsent, "it is "+m.MediaType)
	}
	switch {
	case IsSchema1(m.MediaType):
		note(report.Schema1, "")
	case m.MediaType == MediaTypeOCIArtifact || m.MediaType == MediaTypeORASArtifact:
		note(report.ArtifactManifest, m.MediaType)
	case !slices.Contains(ManifestMediaTypes, m.MediaType):
		note(report.MediaTypeUnknown, m.MediaType)
	case IsIndex(m.MediaType) && len(m.Blobs) > 0:
		note(report.IndexOfLayers, fmt.Sprintf("%d of its children", len(m.Blobs)))
	}
	for _, b := range m.Blobs {
		if len(b.URLs) > 0 && s.lacksBlob(b.Digest) {
			note(report.ForeignLayer, fmt.Sprintf("%s at %s", b.Digest, clip([]byte(b.URLs[0]), 200)))
		}
	}
	if m.Subject != nil && s.lacks(r, m.Subject.Digest) {
		note(report.SubjectMissing, m.Subject.Digest.String())
	}
	return odd
}

// lacks tells whether a repository is known not to link a manifest.
func (s *scanner) lacks(r *Repository, d digest.Digest) bool {
	l, there := r.revisions[d]
	return (!there || l.problem() == absent) && !s.hidden(RevisionLinkPath(r.Name, d))
}

// findUnused names what no image needs: links to nothing and blobs without use,
// whose bytes it adds up.
func (s *scanner) findUnused() (bytes int64) {
	for l, target := range s.layerLinks {
		if target != "" && s.lacksBlob(target) {
			s.findProblem(Problem{Digest: l.digest, Code: report.LayerLinkDangling, Path: LayerLinkPath(l.repository, l.digest)}, l.repository, "")
		}
	}
	if slices.ContainsFunc(s.findings, hidesManifests) {
		return 0 // who knows what is needed there
	}
	used := map[digest.Digest]bool{}
	for d, file := range s.manifests {
		used[d] = true
		for c := range file.names() {
			used[c.Digest] = true
			if b := s.blobs[c.Digest]; b != nil {
				used[b.oddity().kept] = true
			}
		}
	}
	for d, b := range s.blobs {
		if !used[d] {
			s.findProblem(Problem{Digest: d, Code: report.BlobUnreferenced, Path: BlobPath(d), Detail: fmt.Sprintf("%d bytes", b.size)}, "", "")
			bytes += b.size
		}
	}
	return bytes
}

// hidesManifests tells of findings behind which there may be manifests that
// nobody read.
func hidesManifests(f report.Finding) bool {
	return f.Code == report.Unreadable || f.Code == report.RepositoryLoop || f.Code == report.RepositoryName
}
