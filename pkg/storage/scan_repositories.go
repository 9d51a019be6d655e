package storage

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

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
	switch {
	case kinds[manifestsDir]:
		c.do(func() { s.scanRepository(c, name) })
	case kinds[uploadsDir] && s.opts.Thorough && !kinds[layersDir]:
		s.findAt(report.UploadsLeftover, repositoryPath(name), "nothing else is there: no repository")
	}
	if s.opts.Thorough {
		c.do(func() { s.scanUploads(name, kinds[uploadsDir]) })
		c.do(func() { s.scanLayers(name, kinds[layersDir]) })
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
	r := &Repository{Name: name, revisions: map[digest.Digest]link{}}
	s.mu.Lock()
	s.repositories = append(s.repositories, r)
	s.mu.Unlock()
	s.scanTags(c, r)
	s.scanRevisions(c, r)
	s.scanAliases(c, r)
}

// list lists a directory of a repository; one that is absent is empty.
func (s *scanner) list(r *Repository, dir string) []fs.DirEntry {
	entries, err := fs.ReadDir(s.fsys, dir)
	if err != nil && !isAbsent(err) {
		f := report.Unreadable.New(err.Error())
		f.Path, f.Repository = dir, r.Name
		s.find(f)
	}
	return entries
}

func (s *scanner) scanRevisions(c *crew, r *Repository) {
	dir := path.Join(repositoryPath(r.Name), revisionsDir)
	for _, algorithm := range s.list(r, dir) {
		if !digest.Algorithm(algorithm.Name()).Available() {
			continue
		}
		revisions := s.list(r, path.Join(dir, algorithm.Name()))
		for batch := range slices.Chunk(revisions, batchSize) {
			c.do(func() {
				for _, e := range batch {
					d := digest.NewDigestFromEncoded(digest.Algorithm(algorithm.Name()), e.Name())
					if d.Validate() == nil {
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
	name := revisionLinkPath(r.Name, d)
	l := readLink(s.fsys, name)
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
	s.mu.Lock()
	r.revisions[d] = l
	s.mu.Unlock()
}

func (s *scanner) findPadded(repository, tag, name string) {
	f := report.LinkPadded.New("")
	f.Repository, f.Tag, f.Path = repository, tag, name
	s.find(f)
}
