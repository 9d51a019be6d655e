package storage

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// layerLink is one repository's link to one blob.
type layerLink struct {
	repository string
	digest     digest.Digest
}

// scanRepositories walks the names below repositories. Only a leading "_" is
// the format's own; any other directory may be a repository, hold some, or both.
func (s *scanner) scanRepositories(c *crew) error {
	entries, err := s.readTop(repositoriesDir)
	if err != nil {
		return err
	}
	s.walkBelow(c, "", entries)
	return nil
}

// walk looks at one directory below repositories.
func (s *scanner) walk(c *crew, name string) {
	entries, err := fs.ReadDir(s.fsys, repositoryPath(name))
	if err != nil {
		s.unreadableRepository(name, err)
		return
	}
	kinds := map[string]bool{}
	for _, e := range entries {
		kinds[e.Name()] = true
	}
	if kinds[manifestsDir] {
		c.do(func() { s.scanRepository(c, name) })
	}
	if s.opts.Thorough && kinds[uploadsDir] {
		c.do(func() { s.scanUploads(name, !kinds[manifestsDir]) })
	}
	if s.opts.Thorough && kinds[layersDir] && ValidRepository(name) {
		c.do(func() { s.scanLayers(name) })
	}
	s.walkBelow(c, name, entries)
}

func (s *scanner) walkBelow(c *crew, parent string, entries []fs.DirEntry) {
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "_") || noise(e.Name()) {
			continue
		}
		name := path.Join(parent, e.Name())
		switch {
		case e.Type()&fs.ModeSymlink != 0:
			s.walkLink(c, name)
		case e.IsDir():
			c.do(func() { s.walk(c, name) })
		}
	}
}

// walkLink follows a symbolic link as the registry does, unless it leads to a
// directory that it lies in.
func (s *scanner) walkLink(c *crew, name string) {
	info, err := fs.Stat(s.fsys, repositoryPath(name))
	if err != nil {
		s.findAt(report.RepositoryLoop, repositoryPath(name), err.Error())
		return
	}
	if !info.IsDir() {
		return
	}
	for up := path.Dir(repositoryPath(name)); up != "."; up = path.Dir(up) {
		if above, err := fs.Stat(s.fsys, up); err == nil && os.SameFile(above, info) {
			s.findAt(report.RepositoryLoop, repositoryPath(name), "it leads to a directory that it lies in")
			return
		}
	}
	c.do(func() { s.walk(c, name) })
}

func (s *scanner) unreadableRepository(name string, err error) {
	if isAbsent(err) {
		return // it went away since its parent was listed
	}
	f := report.Unreadable.New(err.Error())
	f.Path, f.Repository = repositoryPath(name), name
	s.find(f)
}

// scanRepository reads a repository's tags and revisions.
func (s *scanner) scanRepository(c *crew, name string) {
	if !ValidRepository(name) {
		f := report.RepositoryName.New(fmt.Sprintf("%q", name))
		f.Path = repositoryPath(name)
		s.find(f)
		return
	}
	r := &Repository{Name: name, revisions: map[digest.Digest]revision{}}
	s.mu.Lock()
	s.repositories = append(s.repositories, r)
	s.mu.Unlock()
	s.scanTags(c, r)
	s.scanRevisions(c, r)
}

// revision is what is known of a repository's link to a manifest.
type revision struct {
	updated time.Time
	flaw    *flaw // nil for all but a few
}

// flaw is why a link is not good.
type flaw struct {
	problem report.Code
	detail  string
}

func (r revision) problem() report.Code {
	if r.flaw == nil {
		return ""
	}
	return r.flaw.problem
}

func (r revision) detail() string {
	if r.flaw == nil {
		return ""
	}
	return r.flaw.detail
}

// list lists a directory of a repository; one that is absent is empty.
func (s *scanner) list(repository, dir string) []fs.DirEntry {
	entries, err := fs.ReadDir(s.fsys, dir)
	code := report.Unreadable
	if isAbsent(err) && s.leadsNowhere(dir) {
		entries, err = fs.ReadDir(s.fsys, dir) // it may have come just now
		code = report.RepositoryLoop
	}
	if err == nil || (isAbsent(err) && code == report.Unreadable) {
		return entries
	}
	f := code.New(err.Error())
	f.Path, f.Repository = dir, repository
	s.find(f)
	s.mu.Lock()
	s.unlisted[dir] = true
	s.mu.Unlock()
	return nil
}

// hidden tells whether a path lies in a directory that could not be listed, so
// that not having seen it says nothing.
func (s *scanner) hidden(name string) bool {
	if len(s.unlisted) == 0 {
		return false
	}
	for ; name != "."; name = path.Dir(name) {
		if s.unlisted[name] {
			return true
		}
	}
	return false
}

// directories lists the directories in one of a repository's, without what
// file systems leave in it.
func (s *scanner) directories(repository, dir string) []fs.DirEntry {
	return slices.DeleteFunc(s.list(repository, dir), func(e fs.DirEntry) bool {
		return noise(e.Name()) || !(e.IsDir() || e.Type()&fs.ModeSymlink != 0)
	})
}

func (s *scanner) scanRevisions(c *crew, r *Repository) {
	dir := path.Join(repositoryPath(r.Name), revisionsDir)
	for _, algorithm := range s.directories(r.Name, dir) {
		if !digest.Algorithm(algorithm.Name()).Available() {
			continue
		}
		revisions := s.list(r.Name, path.Join(dir, algorithm.Name()))
		for batch := range slices.Chunk(revisions, batchSize) {
			c.do(func() {
				for _, e := range batch {
					d := newDigest(digest.Algorithm(algorithm.Name()), e.Name())
					if validate(d) == nil {
						s.scanRevision(r, d)
					}
				}
			})
		}
	}
}

// batchSize is how many links one task reads: enough that handing tasks out
// costs nothing, few enough that a large repository occupies everyone.
const batchSize = 32

// scanRevision reads the link that makes a manifest the repository's own.
func (s *scanner) scanRevision(r *Repository, d digest.Digest) {
	name := RevisionLinkPath(r.Name, d)
	l := s.readLink(name)
	switch {
	case l.problem == absent && s.opts.Thorough:
		s.findLeftovers(r, path.Dir(name))
	case l.problem == report.TagLinkEmpty:
		l.problem = report.RevisionLinkEmpty
	case l.problem == "" && l.digest != d:
		l.problem, l.detail = report.LinkMismatch, "it names "+l.digest.String()
	}
	if l.padded {
		s.findPadded(r.Name, "", name)
	}
	own := revision{updated: l.updated}
	if l.problem != "" {
		own.flaw = &flaw{problem: l.problem, detail: l.detail}
	}
	s.mu.Lock()
	r.revisions[s.ownDigest(d)] = own
	s.mu.Unlock()
}

// settleRevisions looks at the revisions that tags name and no directory
// listed: pushed since, or in a directory that cannot be listed.
func (s *scanner) settleRevisions(ctx context.Context) error {
	c := s.crew(ctx)
	for _, r := range s.repositories {
		unseen := map[digest.Digest]bool{}
		for _, t := range r.Tags {
			if _, seen := r.revisions[t.Digest]; !seen && t.Digest != "" {
				unseen[t.Digest] = true
			}
		}
		for d := range unseen {
			c.do(func() { s.scanRevision(r, d) })
		}
	}
	return c.wait()
}

// readLink is as the function is, and tells a link that is out of reach from
// one that is absent.
func (s *scanner) readLink(name string) link {
	l := readLink(s.fsys, name)
	if l.problem != absent || !s.leadsNowhere(name) {
		return l
	}
	l = readLink(s.fsys, name) // it may have come just now
	if l.problem == absent {
		l.problem = report.LinkNotAFile
	}
	return l
}

func (s *scanner) findPadded(repository, tag, name string) {
	f := report.LinkPadded.New("")
	f.Repository, f.Tag, f.Path = repository, tag, name
	s.find(f)
}
