package storage

import (
	"context"
	"fmt"
	"io/fs"
	"path"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

// scanLayers reads a repository's layer links. No image needs them here: the
// blobs are what counts. They say what a registry would refuse to serve.
func (s *scanner) scanLayers(repository string) {
	dir := path.Join(repositoryPath(repository), layersDir)
	for _, algorithm := range s.directories(repository, dir) {
		if !digest.Algorithm(algorithm.Name()).Available() {
			continue
		}
		for _, e := range s.list(repository, path.Join(dir, algorithm.Name())) {
			d := newDigest(digest.Algorithm(algorithm.Name()), e.Name())
			if validate(d) == nil {
				s.scanLayerLink(repository, d)
			}
		}
	}
}

// scanLayerLink notes a layer's link. Its problems keep no image from being
// carried, so that they are notes, whatever they are elsewhere.
func (s *scanner) scanLayerLink(repository string, d digest.Digest) {
	where := LayerLinkPath(repository, d)
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
	s.layerLinks[layerLink{repository, s.ownDigest(d)}] = s.ownDigest(l.digest)
	s.mu.Unlock()
}

// scanUploads counts what interrupted uploads left. Alone, they make no repository.
func (s *scanner) scanUploads(repository string, alone bool) {
	dir := path.Join(repositoryPath(repository), uploadsDir)
	var files, size int64
	_ = fs.WalkDir(s.fsys, dir, func(name string, e fs.DirEntry, err error) error {
		switch {
		case isAbsent(err): // an upload ended just now
		case err != nil:
			s.findAt(report.Unreadable, name, err.Error())
		case e.Type().IsRegular():
			if info, err := e.Info(); err == nil {
				files, size = files+1, size+info.Size()
			}
		}
		return nil
	})
	if files == 0 {
		return
	}
	f := report.UploadsLeftover.New(fmt.Sprintf("%d files, %d bytes", files, size))
	f.Path, f.Repository = dir, repository
	if alone {
		f.Detail += "; no repository is there"
	}
	s.find(f)
}

// lookAbove looks for what a pull-through cache keeps in the registry's root
// directory: when to forget what. (distribution, registry/proxy)
func (s *scanner) lookAbove(context.Context) error {
	const schedule = "scheduler-state.json"
	home, ok := s.fsys.(source.HomeFS)
	if !ok {
		return nil
	}
	if info, err := home.StatHome(schedule); err == nil && info.Mode().IsRegular() {
		s.findAt(report.PullThroughCache, schedule, "it lies in the registry's root directory")
	}
	return nil
}
