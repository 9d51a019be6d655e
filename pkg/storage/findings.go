package storage

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// index closes the scan: it files revisions and tags, and says of each image
// what is wrong with it.
func (s *scanner) index() *Index {
	x := &Index{
		repositories: s.repositories,
		manifests:    s.manifests,
		blobs:        s.blobs,
		lookUp:       s.blob,
	}
	slices.SortFunc(x.repositories, func(a, b *Repository) int { return strings.Compare(a.Name, b.Name) })
	for _, r := range x.repositories {
		s.fileRevisions(r)
		for i := range r.Tags {
			s.fileTag(r, &r.Tags[i])
		}
		r.sort()
		s.findInRepository(x, r)
	}
	if s.opts.Thorough {
		s.findUnused(x)
	}
	report.SortFindings(s.findings)
	x.findings = slices.Compact(s.findings)
	return x
}

func (s *scanner) fileRevisions(r *Repository) {
	for d, l := range r.revisions {
		if l.problem == "" && s.manifests[d].manifest != nil {
			r.Manifests = append(r.Manifests, s.manifests[d].manifest)
		}
	}
}

// fileTag holds a tag against its repository's revisions: a registry serves a
// manifest only where the repository links it.
func (s *scanner) fileTag(r *Repository, t *Tag) {
	if t.Problem != nil {
		return
	}
	l, there := r.revisions[t.Digest]
	code := l.problem
	switch {
	case !there || code == absent:
		code = report.RevisionMissing
	case code == "":
		return
	}
	t.Candidate = t.Digest
	t.Problem = &Problem{Digest: t.Digest, Code: code, Path: revisionLinkPath(r.Name, t.Digest), Detail: l.detail}
}

// findInRepository names what keeps the repository's images from being whole,
// and what is worth knowing of them.
func (s *scanner) findInRepository(x *Index, r *Repository) {
	tagged := map[digest.Digest]bool{}
	for _, t := range r.Tags {
		tagged[t.Digest] = true
		if t.Problem != nil {
			s.findProblem(*t.Problem, r.Name, t.Name)
		}
		if t.Problem == nil || t.Problem.Digest != "" {
			s.findInImage(x, r, t.Name, t.Digest)
		}
	}
	for _, t := range r.Deleted {
		p := *t.Problem
		if t.Candidate != "" {
			p.Detail = "its history names " + t.Candidate.String()
		}
		s.findProblem(p, r.Name, t.Name)
	}
	for _, m := range r.Manifests {
		if !tagged[m.Digest] && !s.isChild(r, m.Digest) {
			s.findInImage(x, r, "", m.Digest)
		}
	}
	s.findBrokenRevisions(r, tagged)
	if len(r.Tags) == 0 && len(r.Manifests) > 0 {
		f := report.RepositoryUntagged.New(fmt.Sprintf("%d manifests", len(r.Manifests)))
		f.Repository, f.Path = r.Name, repositoryPath(r.Name)
		s.find(f)
	}
}

func (s *scanner) isChild(r *Repository, d digest.Digest) bool {
	if r.children == nil {
		r.children = map[digest.Digest]bool{}
		for _, m := range r.Manifests {
			for _, c := range m.Manifests {
				r.children[c.Digest] = true
			}
		}
	}
	return r.children[d]
}

// findBrokenRevisions names revisions that nothing but themselves speaks of.
func (s *scanner) findBrokenRevisions(r *Repository, tagged map[digest.Digest]bool) {
	for d, l := range r.revisions {
		file := s.manifests[d]
		switch {
		case tagged[d] || l.problem == absent || s.isChild(r, d):
		case l.problem != "":
			s.findProblem(Problem{Digest: d, Code: l.problem, Path: revisionLinkPath(r.Name, d), Detail: l.detail}, r.Name, "")
		case file.problem != nil:
			s.findProblem(*file.problem, r.Name, "")
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
	if !s.opts.Thorough {
		return
	}
	for _, b := range c.Blobs {
		if !s.layerLinks[layerLink{r.Name, b.Digest}] {
			s.findProblem(Problem{Digest: b.Digest, Code: report.BlobUnlinked, Path: layerLinkPath(r.Name, b.Digest)}, r.Name, tag)
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
		if len(b.URLs) > 0 && s.blob(b.Digest).problem == absent {
			note(report.ForeignLayer, fmt.Sprintf("%s at %s", b.Digest, clip([]byte(b.URLs[0]), 200)))
		}
	}
	if m.Subject != nil && r.revisions[m.Subject.Digest].digest == "" {
		note(report.SubjectMissing, m.Subject.Digest.String())
	}
	return odd
}

// findUnused names what no image needs: links to nothing and blobs without use.
func (s *scanner) findUnused(x *Index) {
	for l := range s.layerLinks {
		if s.blob(l.digest).problem == absent {
			s.findProblem(Problem{Digest: l.digest, Code: report.LayerLinkDangling, Path: layerLinkPath(l.repository, l.digest)}, l.repository, "")
		}
	}
	used := map[digest.Digest]bool{}
	for d, file := range s.manifests {
		used[d] = true
		if file.manifest != nil {
			for _, list := range file.manifest.descriptors() {
				for _, c := range list {
					used[c.Digest] = true
				}
			}
		}
	}
	for d, kept := range s.aliases {
		used[kept] = used[kept] || used[d]
		used[d] = true
	}
	for d := range maps.Keys(s.blobs) {
		if !used[d] {
			s.findProblem(Problem{Digest: d, Code: report.BlobUnreferenced, Path: BlobPath(d), Detail: fmt.Sprintf("%d bytes", s.blobs[d].size)}, "", "")
		}
	}
}

// descriptors are all that a manifest names.
func (m *Manifest) descriptors() [][]ocispec.Descriptor {
	return [][]ocispec.Descriptor{m.Manifests, m.Blobs}
}
