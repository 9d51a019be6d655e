// Package graft puts the blobs of images as files into the storage of the very
// registry that they are pushed to, by hard link where source and target share a
// file system: none of their bytes go over HTTP. Manifests and tags go through the
// registry's API all the same, since Harbor knows of an artifact by its push alone.
//
// That a directory is the storage of a registry, only trying tells: see
// Storage.Prove, which comes before all else.
package graft

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/push"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/tree"
)

// Options steer how blobs are put into the storage; nil means defaults.
type Options struct {
	// Path says where in the source a blob's bytes lie; nil means
	// storage.BlobPath. An Index's Path knows exceptions.
	Path func(digest.Digest) string
	// Link is how they get there; "" means link.Auto.
	Link link.Method
	// Trust leaves out hashing blobs before they go in. No registry will look at
	// them again.
	Trust bool
	// Patience is how long a file that the registry wrote may take to be seen
	// here, as on a network file system; 0 means three seconds.
	Patience time.Duration
}

// Storage is a directory that is said to be the target's storage.
type Storage struct {
	dir   string
	src   source.Source
	opts  Options
	turns chan struct{} // as many as blobs go in side by side
	tree  *tree.Tree    // nil until it is proven
	probe int64         // bytes that were copied to prove it

	interrupted bool // a run before this one left its work directory
}

// Open finds a registry's storage at its root directory, or at any on the way down
// to docker/registry/v2. The root directory of a registry that nothing was pushed
// to is empty. Open refuses the source's own storage. It writes nothing.
func Open(dir string, src source.Source, opts *Options) (*Storage, error) {
	s := &Storage{dir: dir, src: src, turns: make(chan struct{}, max(2, runtime.GOMAXPROCS(0)))}
	if opts != nil {
		s.opts = *opts
	}
	if s.opts.Patience == 0 {
		s.opts.Patience = 3 * time.Second
	}
	if err := Check(dir); err != nil {
		return nil, err
	}
	f, err := s.Foresee(func(func(digest.Digest, int64) bool) {})
	if err != nil {
		return nil, err
	}
	s.interrupted = f.Interrupted
	return s, nil
}

// Foresee says what placing blobs of these sizes, in bytes, would do, each once.
// It writes nothing.
func (s *Storage) Foresee(blobs iter.Seq2[digest.Digest, int64]) (*tree.Forecast, error) {
	return tree.Foresee(s.dir, blobs, s.treeOptions())
}

// Check finds out whether a registry's storage may be at a directory, for whoever
// has no source yet. It writes nothing.
func Check(dir string) error {
	if empty, err := isEmpty(dir); err != nil || empty {
		return err
	}
	_, err := rootOf(dir)
	return err
}

// isEmpty tells of a directory in which there is nothing but what file systems
// put there.
func isEmpty(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrPermission) {
		return false, report.WithHint(fmt.Errorf("opening storage: %w", err), mustWrite)
	}
	if err != nil {
		return false, report.WithHint(fmt.Errorf("opening storage: %w", err),
			"give the directory that the target's registry keeps its files in; for Harbor that is /data/registry on its host, unless its data_volume says otherwise")
	}
	for _, e := range entries {
		if e.Name() != "lost+found" && !strings.HasPrefix(e.Name(), ".") {
			return false, nil
		}
	}
	return true, nil
}

// rootOf is docker/registry/v2 of a registry's storage.
func rootOf(dir string) (source.Dir, error) {
	src, err := source.Open(context.Background(), dir, nil)
	d, ok := src.(source.Dir)
	if err == nil && (!ok || d.HoldsLayouts()) {
		err = errors.Join(errors.New("it holds layouts, or is an archive"), src.Close())
	}
	if err != nil {
		return source.Dir{}, report.WithHint(fmt.Errorf("opening storage %s: no registry's storage is there: %w", dir, err),
			"give the directory that the target's registry keeps its files in: the one that holds docker/registry/v2, for Harbor /data/registry on its host")
	}
	return d, nil
}

func (s *Storage) treeOptions() *tree.Options {
	return &tree.Options{Source: s.src, Path: s.opts.Path, Link: s.opts.Link, Trust: s.opts.Trust, Existing: true}
}

// errUnproven is a mistake of whoever calls.
var errUnproven = errors.New("placing a blob: nobody has shown that the storage is the target's")

// Place puts a blob of so many bytes into the storage, unless it is there, and
// links it in a repository: a push.Placer. It needs Prove. Errors wrap
// push.ErrDamaged where the source's bytes are wrong, and are a
// *tree.WrongSizeError where the storage has other bytes under this digest.
func (s *Storage) Place(ctx context.Context, repository string, d digest.Digest, size int64) (put bool, err error) {
	if s.tree == nil {
		return false, errUnproven
	}
	how, err := s.blob(ctx, d, size)
	switch {
	case errors.Is(err, tree.ErrWrongBytes):
		return false, fmt.Errorf("%w: %w", push.ErrDamaged, err)
	case err != nil:
		return false, err
	}
	_, err = s.tree.LinkLayer(repository, d)
	return how != tree.WasThere, err
}

// blob places a blob when it is its turn: hashing more of them at a time than
// there are processors takes no less time, and disks that turn more.
func (s *Storage) blob(ctx context.Context, d digest.Digest, size int64) (tree.Placed, error) {
	select {
	case s.turns <- struct{}{}:
	case <-ctx.Done():
		return tree.WasThere, ctx.Err()
	}
	defer func() { <-s.turns }()
	return s.tree.Blob(ctx, d, size)
}

// Room is how many bytes blobs of these sizes would take in the storage, each
// once: none where they become links. It needs Prove.
func (s *Storage) Room(blobs iter.Seq2[digest.Digest, int64]) int64 {
	if s.tree == nil {
		return 0
	}
	return s.tree.Room(blobs)
}

// Findings is what turned out to be wrong with the storage. Paths are relative to
// its docker/registry/v2.
func (s *Storage) Findings() []report.Finding {
	if s.tree == nil {
		return nil
	}
	return s.tree.Findings()
}

// Usage is what placing blobs took so far.
func (s *Storage) Usage() link.Usage {
	if s.tree == nil {
		return link.Usage{}
	}
	u := s.tree.Usage()
	u.Copied -= s.probe
	return u
}

// Close has all that was placed on the disk, and gives the storage up. Where there
// was nothing to place, it clears up after a run that was interrupted.
func (s *Storage) Close() error {
	if s.tree == nil && s.interrupted {
		t, err := tree.Open(s.dir, s.treeOptions())
		if err != nil {
			return nil // another run is at work there, and clears up itself
		}
		s.tree = t
	}
	if s.tree == nil {
		return nil
	}
	return s.tree.Close()
}
