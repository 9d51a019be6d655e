package storage

import (
	"io/fs"
	"path"

	"github.com/opencontainers/go-digest"
)

// scanAliases reads the layer links of a repository under algorithms other
// than sha256. distribution keeps every blob under its sha256, whatever digest
// it was pushed under; the link of that digest names the sha256.
func (s *scanner) scanAliases(c *crew, r *Repository) {
	dir := path.Join(repositoryPath(r.Name), layersDir)
	for _, e := range s.list(r, dir) {
		algorithm := digest.Algorithm(e.Name())
		if algorithm == digest.Canonical || !algorithm.Available() {
			continue
		}
		links := s.list(r, path.Join(dir, e.Name()))
		c.do(func() { s.readAliases(r, algorithm, links) })
	}
}

func (s *scanner) readAliases(r *Repository, algorithm digest.Algorithm, links []fs.DirEntry) {
	for _, e := range links {
		d := digest.NewDigestFromEncoded(algorithm, e.Name())
		if d.Validate() != nil {
			continue
		}
		l := readLink(s.fsys, layerLinkPath(r.Name, d))
		if l.problem == "" && l.digest.Algorithm() == digest.Canonical {
			s.mu.Lock()
			s.aliases[d] = l.digest
			s.mu.Unlock()
		}
	}
}

// addAliases files the blobs that are kept under another digest under their own
// as well. What the link says is only believed once it is hashed.
func (s *scanner) addAliases() {
	for d, kept := range s.aliases {
		if b := s.blobs[kept]; b != nil && s.blobs[d] == nil {
			alias := *b
			alias.path = BlobPath(kept)
			s.blobs[d] = &alias
		}
	}
}
