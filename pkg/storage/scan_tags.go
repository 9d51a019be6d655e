package storage

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// scanTags reads the links of all tags of a repository.
func (s *scanner) scanTags(c *crew, r *Repository) {
	dir := path.Join(repositoryPath(r.Name), tagsDir)
	tags := slices.DeleteFunc(s.list(r.Name, dir), func(e fs.DirEntry) bool {
		return noise(e.Name()) || (e.Type().IsRegular() && !ValidTag(e.Name()))
	})
	s.mu.Lock()
	r.Tags = slices.Grow(r.Tags, len(tags))
	s.mu.Unlock()
	for batch := range slices.Chunk(tags, batchSize) {
		c.do(func() {
			for _, e := range batch {
				s.scanTag(r, e.Name())
			}
		})
	}
}

func (s *scanner) scanTag(r *Repository, name string) {
	if !ValidTag(name) {
		f := report.TagName.New(fmt.Sprintf("%q", name))
		f.Repository, f.Path = r.Name, tagPath(r.Name, name)
		s.find(f)
		return
	}
	where := TagLinkPath(r.Name, name)
	l := s.readLink(where)
	if l.padded {
		s.findPadded(r.Name, name, where)
	}
	if s.opts.Thorough {
		s.findLeftovers(r, path.Dir(where))
	}
	t := Tag{Name: name, Digest: l.digest, Updated: l.updated}
	if l.problem != "" {
		t.Problem = &Problem{Code: l.problem, Path: where, Detail: l.detail}
		t.Candidate = s.candidate(r, name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t.Digest = s.ownDigest(t.Digest)
	if l.problem == absent {
		t.Problem.Code, t.Problem.Detail = report.TagDeleted, ""
		r.Deleted = append(r.Deleted, t)
		return
	}
	r.Tags = append(r.Tags, t)
}

// candidate is the one digest that a tag's history names, if it is one. The
// history is a directory of links, one for each manifest the tag ever named. One
// that cannot be read offers none; the tag's own link has a finding already.
func (s *scanner) candidate(r *Repository, tag string) digest.Digest {
	var found digest.Digest
	dir := path.Join(tagPath(r.Name, tag), indexDir)
	algorithms, _ := fs.ReadDir(s.fsys, dir)
	for _, algorithm := range algorithms {
		digests, _ := fs.ReadDir(s.fsys, path.Join(dir, algorithm.Name()))
		for _, e := range digests {
			d := newDigest(digest.Algorithm(algorithm.Name()), e.Name())
			if validate(d) != nil {
				continue
			}
			if found != "" {
				return ""
			}
			found = d
		}
	}
	return found
}

// findLeftovers names what an interrupted write left beside a link.
// distribution 3.1 and later write "link.<uuid>.tmp" first, then rename it.
// Where the directory cannot be listed, only leftovers are lost.
func (s *scanner) findLeftovers(r *Repository, dir string) {
	entries, _ := fs.ReadDir(s.fsys, dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), linkFile+".") {
			f := report.LinkLeftover.New("")
			f.Repository, f.Path = r.Name, path.Join(dir, e.Name())
			s.find(f)
		}
	}
}
