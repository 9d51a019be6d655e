package storage

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

const (
	// registryManifestLimit is how large a manifest registries take, bytes:
	// distribution, registry/handlers/manifests.go.
	registryManifestLimit = 4 << 20
	// maxManifest bounds what is read of one into memory, bytes.
	maxManifest = 32 << 20
	// maxConfig bounds what is read of a config for its platform, bytes.
	maxConfig = 8 << 20
)

// manifestFile is one manifest, read once whoever needs it.
type manifestFile struct {
	manifest *Manifest // nil where there is a problem
	problem  *Problem
}

// loadManifests reads every manifest that a tag, a revision or an index names.
func (s *scanner) loadManifests(ctx context.Context) error {
	s.addAliases()
	c := s.crew(ctx)
	roots := map[digest.Digest]bool{}
	for _, r := range s.repositories {
		for _, t := range append(r.Tags, r.Deleted...) {
			roots[t.Digest] = true
			roots[t.Candidate] = true
		}
		for d := range r.revisions {
			roots[d] = true
		}
	}
	delete(roots, "")
	for d := range roots {
		c.do(func() { s.loadManifest(c, d, "") })
	}
	return c.wait()
}

// loadManifest reads a manifest and then what it names. The media type is what
// a parent's descriptor states, for a content that states none.
func (s *scanner) loadManifest(c *crew, d digest.Digest, stated string) {
	s.mu.Lock()
	if s.manifests[d] != nil {
		s.mu.Unlock()
		return
	}
	file := &manifestFile{}
	s.manifests[d] = file
	s.mu.Unlock()

	content, problem := s.readBlob(d, maxManifest)
	if problem != nil {
		file.problem = problem
		return
	}
	m, err := ParseManifest(content, d, stated)
	if err != nil {
		file.problem = &Problem{Digest: d, Code: report.ManifestInvalid, Path: BlobPath(d), Detail: err.Error()}
		return
	}
	file.manifest = m
	if s.opts.KeepIndexes && IsIndex(m.MediaType) {
		m.Raw = content
	}
	for _, child := range m.Manifests {
		c.do(func() { s.loadManifest(c, child.Digest, child.MediaType) })
	}
}

// readBlob reads a small blob whole and checks its digest. The codes of its
// problems are those of manifests.
func (s *scanner) readBlob(d digest.Digest, most int64) ([]byte, *Problem) {
	fail := func(code report.Code, detail string) ([]byte, *Problem) {
		return nil, &Problem{Digest: d, Code: code, Path: BlobPath(d), Detail: detail}
	}
	switch b := s.blob(d); {
	case b.problem == absent:
		return fail(report.ManifestMissing, "")
	case b.problem == report.BlobEmpty:
		return fail(report.ManifestDamaged, "it has no bytes")
	case b.problem != "":
		return fail(b.problem, b.detail)
	case b.size > most:
		return fail(report.ManifestTooLarge, fmt.Sprintf("%d bytes, at most %d are read", b.size, most))
	}
	f, err := s.fsys.Open(s.pathOf(d))
	if err != nil {
		return fail(report.Unreadable, err.Error())
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, most+1))
	switch {
	case err != nil:
		return fail(report.Unreadable, err.Error())
	case int64(len(content)) > most:
		return fail(report.ManifestTooLarge, fmt.Sprintf("over %d bytes", most))
	case !HasDigest(content, d):
		return fail(report.ManifestDamaged, fmt.Sprintf("its %d bytes have the digest %s", len(content), d.Algorithm().FromBytes(content)))
	}
	s.markHashed(d)
	return content, nil
}

func (s *scanner) markHashed(d digest.Digest) {
	s.mu.Lock()
	s.blobs[d].hashed = true
	s.mu.Unlock()
}

// loadConfigs reads the configs of images for their platforms, each once.
func (s *scanner) loadConfigs(ctx context.Context) error {
	users := map[digest.Digest][]*Manifest{}
	for _, file := range s.manifests {
		if m := file.manifest; m != nil && len(m.Blobs) > 0 && IsImageConfig(m.Blobs[0].MediaType) && !IsIndex(m.MediaType) {
			users[m.Blobs[0].Digest] = append(users[m.Blobs[0].Digest], m)
		}
	}
	c := s.crew(ctx)
	var mu sync.Mutex
	for d, manifests := range users {
		c.do(func() {
			platform := s.loadConfig(d)
			mu.Lock()
			defer mu.Unlock()
			for _, m := range manifests {
				m.Platform = platform
			}
		})
	}
	return c.wait()
}

// loadConfig gives nil where a config names no platform. What is wrong with
// its bytes is noted as of any blob.
func (s *scanner) loadConfig(d digest.Digest) *ocispec.Platform {
	content, problem := s.readBlob(d, maxConfig)
	if problem != nil {
		if problem.Code == report.ManifestDamaged && s.blob(d).problem == "" {
			s.condemn(d, report.BlobCorrupt, problem.Detail)
		}
		return nil
	}
	var config ocispec.Image
	if err := json.Unmarshal(content, &config); err != nil {
		if !json.Valid(content) {
			f := report.ConfigNotJSON.New(err.Error())
			f.Digest, f.Path = d.String(), BlobPath(d)
			s.find(f)
		}
		return nil
	}
	if config.OS == "" && config.Architecture == "" {
		return nil
	}
	return &config.Platform
}
