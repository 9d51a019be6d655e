package storage

import (
	"fmt"
	"io/fs"
	"path"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// scanLayers reads a repository's layer links. No image needs them here: the
// blobs are what counts. They say what a registry would refuse to serve.
func (s *scanner) scanLayers(repository string, there bool) {
	if !there {
		return
	}
	dir := path.Join(repositoryPath(repository), layersDir)
	algorithms, _ := fs.ReadDir(s.fsys, dir)
	for _, algorithm := range algorithms {
		links, err := fs.ReadDir(s.fsys, path.Join(dir, algorithm.Name()))
		if err != nil && !isAbsent(err) {
			s.findAt(report.Unreadable, path.Join(dir, algorithm.Name()), err.Error())
		}
		for _, e := range links {
			d := digest.NewDigestFromEncoded(digest.Algorithm(algorithm.Name()), e.Name())
			if d.Validate() == nil {
				s.scanLayerLink(repository, d)
			}
		}
	}
}

// scanLayerLink notes a layer's link. Its problems keep no image from being
// carried, so that they are notes, whatever they are elsewhere.
func (s *scanner) scanLayerLink(repository string, d digest.Digest) {
	where := layerLinkPath(repository, d)
	l := readLink(s.fsys, where)
	if l.problem == "" && l.digest.Algorithm() == d.Algorithm() && l.digest != d {
		l.problem, l.detail = report.LinkMismatch, "it names "+l.digest.String()
	}
	switch l.problem {
	case absent:
		return
	case report.TagLinkEmpty:
		l.problem = report.LinkInvalid
	}
	if l.padded {
		s.findPadded(repository, "", where)
	}
	if l.problem != "" {
		f := l.problem.New("a layer's link: " + l.detail)
		f.Repository, f.Digest, f.Path = repository, d.String(), where
		if f.Code != report.Unreadable {
			f.Level = report.Note
		}
		s.find(f)
	}
	s.mu.Lock()
	s.layerLinks[layerLink{repository, d}] = true
	s.mu.Unlock()
}

// scanUploads counts what interrupted uploads left.
func (s *scanner) scanUploads(repository string, there bool) {
	if !there {
		return
	}
	dir := path.Join(repositoryPath(repository), uploadsDir)
	var files, size int64
	err := fs.WalkDir(s.fsys, dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		if info, err := e.Info(); err == nil {
			files, size = files+1, size+info.Size()
		}
		return nil
	})
	if err != nil && !isAbsent(err) {
		s.findAt(report.Unreadable, dir, err.Error())
	}
	if files > 0 {
		f := report.UploadsLeftover.New(fmt.Sprintf("%d files, %d bytes", files, size))
		f.Path, f.Repository = dir, repository
		s.find(f)
	}
}
