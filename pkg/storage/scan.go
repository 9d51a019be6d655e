package storage

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// DefaultJobs is how many files a scan looks at side by side, and has open at most,
// unless told otherwise: far more than cores, since over a network each look waits.
const DefaultJobs = 32

// ScanOptions steer a scan; nil means defaults.
type ScanOptions struct {
	// Jobs is how many files are looked at side by side; 0 means DefaultJobs.
	Jobs int
	// Thorough also looks at what no image needs: layer links, leftovers,
	// uploads. Check does.
	Thorough bool
	// ReadData hashes every blob, once.
	ReadData bool
	// KeepIndexes keeps the content of image indexes, so that they can be cut.
	KeepIndexes bool
	// Tags are added to those of the tree, and win over them.
	Tags TagMap
	// Progress is told how far the scan has come, from several goroutines.
	Progress func(report.Progress)
}

// Scan reads the tree of a registry, rooted at docker/registry/v2, into an
// Index. What is broken or cannot be read becomes a finding and keeps nothing
// else from being read; an error means that the tree as a whole cannot be
// read, or that ctx ended.
func Scan(ctx context.Context, fsys fs.FS, opts *ScanOptions) (*Index, error) {
	s := newScanner(fsys, opts)
	stages := []func(context.Context) error{
		s.scanTree,        // names, links, sizes
		s.addTags,         // those that the tree does not have
		s.settleRevisions, // what tags name and no directory listed
		s.loadManifests,   // contents and what they name
		s.settleAliases,   // blobs that are kept under another digest
		s.settleAbsence,   // blobs that manifests name and no directory listed
		s.loadConfigs,     // platforms
		s.settleBlobs,     // hashes, where asked for or where sizes disagree
		s.lookAbove,       // what lies beside the tree
	}
	for _, stage := range stages {
		if err := stage(ctx); err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return s.index(), nil
}

// scanner gathers what goes into an Index. Its maps are guarded by mu.
type scanner struct {
	fsys fs.FS
	opts ScanOptions

	told bool // by a builder: what nobody added is not there

	mu           sync.Mutex
	repositories []*Repository
	findings     []report.Finding
	blobs        map[digest.Digest]*blob
	manifests    map[digest.Digest]*manifestFile
	shared       *shared                     // what the manifests name, each once
	layerLinks   map[layerLink]digest.Digest // with what each names
	unlisted     map[string]bool             // directories of repositories that could not be read
	filesSeen    int64
}

func newScanner(fsys fs.FS, opts *ScanOptions) *scanner {
	s := &scanner{
		fsys:       fsys,
		blobs:      map[digest.Digest]*blob{},
		manifests:  map[digest.Digest]*manifestFile{},
		layerLinks: map[layerLink]digest.Digest{},
		unlisted:   map[string]bool{},
	}
	s.shared = newShared(s)
	if opts != nil {
		s.opts = *opts
	}
	if s.opts.Jobs <= 0 {
		s.opts.Jobs = DefaultJobs
	}
	return s
}

// crew runs tasks side by side, at most Jobs of them. A task may add tasks:
// where everyone is busy, it does them itself, so that none ever waits for a
// free hand.
type crew struct {
	ctx context.Context
	g   *errgroup.Group
}

func (s *scanner) crew(ctx context.Context) *crew {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(s.opts.Jobs)
	return &crew{ctx: ctx, g: g}
}

func (c *crew) do(task func()) {
	if c.ctx.Err() != nil {
		return
	}
	if !c.g.TryGo(func() error { task(); return nil }) {
		task()
	}
}

func (c *crew) wait() error { return c.g.Wait() }

// scanTree looks at the blobs, and then at the repositories, of which most
// digests are known by then and not kept twice.
func (s *scanner) scanTree(ctx context.Context) error {
	for _, scan := range []func(*crew) error{s.scanBlobs, s.scanRepositories} {
		c := s.crew(ctx)
		c.g.Go(func() error { return scan(c) })
		if err := c.wait(); err != nil {
			return err
		}
	}
	return nil
}

func (s *scanner) find(f report.Finding) {
	s.mu.Lock()
	s.findings = append(s.findings, f)
	s.mu.Unlock()
}

// findAt records a finding about a path that belongs to no image.
func (s *scanner) findAt(code report.Code, path, detail string) {
	f := code.New(detail)
	f.Path = path
	s.find(f)
}

func (s *scanner) progress(p report.Progress) {
	if s.opts.Progress != nil {
		s.opts.Progress(p)
	}
}

// readTop lists one of the two directories that everything hangs on. An
// unreadable one, or a link to a disk that is not mounted, leaves nothing to go
// on with.
func (s *scanner) readTop(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(s.fsys, name)
	if err != nil && (!isAbsent(err) || s.leadsNowhere(name)) {
		return nil, fmt.Errorf("scanning %s: %w", name, err)
	}
	return entries, nil
}

// leadsNowhere tells of a name that cannot be opened for its absence whether
// it, or a directory on the way to it, is there all the same: as a symbolic
// link out of reach, or as a file in a directory's place.
func (s *scanner) leadsNowhere(name string) bool {
	for ; name != "."; name = path.Dir(name) {
		entries, err := fs.ReadDir(s.fsys, path.Dir(name))
		if err == nil {
			return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == path.Base(name) })
		}
		if !isAbsent(err) {
			return false
		}
	}
	return false
}
