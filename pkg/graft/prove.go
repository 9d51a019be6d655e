package graft

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/push"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
	"github.com/seed-5b48bd9d/drydock/pkg/tree"
)

// A Probe is a small random blob that shows whether the storage is the target's.
type Probe struct {
	Repository string
	Digest     digest.Digest
	Removed    bool // from the repository: its bytes stay all the same until the target collects its garbage
}

func (p Probe) String() string {
	if p.Removed {
		return fmt.Sprintf("blob %s, which belongs to no repository", p.Digest)
	}
	return fmt.Sprintf("blob %s in %s, which no image names", p.Digest, p.Repository)
}

// Prove shows that the storage is the registry's: a random blob that is pushed to
// a repository through the API has to appear in it, and one that is placed in it
// has to come back through the API. The repository need not be there, its project
// has to. The probe that was placed is removed; of the one that was pushed, it
// says what is left, if it came so far.
func (s *Storage) Prove(ctx context.Context, r *push.Registry, repository string) (left *Probe, err error) {
	content := probeContent()
	d, err := r.SendBlob(ctx, repository, content)
	if err != nil {
		return nil, fmt.Errorf("proving that %s is the target's storage: %w", s.dir, err)
	}
	left = &Probe{Repository: repository, Digest: d}
	switch err = s.awaitFile(ctx, d, content); {
	case ctx.Err() != nil:
		return left, ctx.Err()
	case err != nil:
		err = s.notTheTargets(ctx, r, left, err)
	default:
		err = s.take(ctx, r, repository, path.Dir(storage.BlobPath(d)))
	}
	left.Removed = r.RemoveBlob(ctx, repository, d) == nil
	return left, err
}

// take opens the storage for placing blobs, if what is placed there comes back. The
// directory made was made there by the registry.
func (s *Storage) take(ctx context.Context, r *push.Registry, repository, made string) error {
	opts := s.treeOptions()
	opts.Like = made
	t, err := tree.Open(s.dir, opts)
	if err != nil {
		return withHint(err, mustWrite)
	}
	if err := s.proveBack(ctx, r, t, repository); err != nil {
		return errors.Join(err, t.Close())
	}
	s.tree, s.probe = t, t.Usage().Copied
	return nil
}

// probeContent is a blob that nobody has, and that says what it is.
func probeContent() []byte {
	return []byte("drydock wrote this to find out whose storage it is in: " + rand.Text() + "\n")
}

// errNotThere says that a file did not appear.
var errNotThere = errors.New("it did not appear")

// awaitFile waits until a blob that was pushed is in the storage.
func (s *Storage) awaitFile(ctx context.Context, d digest.Digest, content []byte) error {
	for end := time.Now().Add(s.opts.Patience); ; {
		got, err := s.readBlob(d, int64(len(content))+1)
		switch {
		case err == nil && bytes.Equal(got, content):
			return nil
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return err
		case time.Now().After(end) && err == nil:
			return errors.New("other bytes lie under its digest")
		case time.Now().After(end):
			return errNotThere
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// readBlob reads a blob of the storage; fs.ErrNotExist says that it is not there.
func (s *Storage) readBlob(d digest.Digest, most int64) ([]byte, error) {
	if empty, err := isEmpty(s.dir); err != nil || empty {
		return nil, errors.Join(err, fs.ErrNotExist)
	}
	root, err := rootOf(s.dir)
	if err != nil {
		return nil, err
	}
	f, err := root.Open(storage.BlobPath(d))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

// notTheTargets says why a pushed blob may not be in the storage.
func (s *Storage) notTheTargets(ctx context.Context, r *push.Registry, p *Probe, why error) error {
	host := r.URL().Host
	err := fmt.Errorf("%s is not the storage of %s: a blob was pushed there, and looked for here: %w", s.dir, host, why)
	_, from, fetched := r.FetchBlob(ctx, p.Repository, p.Digest, 1<<10)
	switch {
	case !errors.Is(why, errNotThere):
		return report.WithHint(err, "run as root on the host that has the storage, and see that it can be read")
	case from != "" && from != host:
		return report.WithHint(fmt.Errorf("%w; the target sends whoever reads a blob to %s", err, from),
			"it keeps its blobs in object storage and not in files: leave out --graft")
	case fetched != nil:
		return report.WithHint(errors.Join(err, fetched), "the target does not give back what was pushed to it: look at its log first")
	}
	return report.WithHint(err, "give the directory that the target's registry itself writes to, for Harbor /data/registry on its host, unless its data_volume says otherwise; "+
		"where it keeps blobs in object storage (S3, GCS, Azure, Swift), leave out --graft")
}

// proveBack places a probe in the storage, reads it through the API, and removes
// it again.
func (s *Storage) proveBack(ctx context.Context, r *push.Registry, t *tree.Tree, repository string) error {
	content := probeContent()
	d := digest.FromBytes(content)
	_, err := t.Content(ctx, d, content)
	if err == nil {
		_, err = t.LinkLayer(repository, d)
	}
	if err != nil {
		err = withHint(fmt.Errorf("placing a probe in %s: %w", s.dir, err), mustWrite)
	} else {
		err = s.comesBack(ctx, r, repository, content)
	}
	return errors.Join(err, removeProbe(t.Dir(), repository, d))
}

// withHint adds advice to an error that has none.
func withHint(err error, advice string) error {
	if report.Advice(err) != "" {
		return err
	}
	return report.WithHint(err, advice)
}

// mustWrite is what to do where the storage cannot be written to.
const mustWrite = "run as root, or as the user of the target's registry, on a host where its storage can be written to"

// removeProbe removes what a probe is made of: two files, and the two directories
// that are named after it. Those above may be in use by now.
func removeProbe(v2, repository string, d digest.Digest) error {
	var errs []error
	for _, name := range []string{storage.LayerLinkPath(repository, d), storage.BlobPath(d)} {
		file := filepath.Join(v2, filepath.FromSlash(name))
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("removing a probe: %w", err))
		}
		_ = os.Remove(filepath.Dir(file)) // unless it was not made, or something is in it
	}
	return errors.Join(errs...)
}

// comesBack asks the registry for the placed probe.
func (s *Storage) comesBack(ctx context.Context, r *push.Registry, repository string, want []byte) error {
	got, _, err := r.FetchBlob(ctx, repository, digest.FromBytes(want), int64(len(want))+1)
	var status *push.StatusError
	switch {
	case err == nil && bytes.Equal(got, want):
		return nil
	case err == nil:
		err = errors.New("it gives other bytes")
	case errors.Is(err, push.ErrNotFound):
		return report.WithHint(fmt.Errorf("%s does not see what is put into %s: %w", r.URL().Host, s.dir, err),
			"what is pushed appears there, but not the other way: it may be a mirror of the target's storage, or a cache may stand between the registry and its files; "+
				"give the directory that the registry itself reads, or leave out --graft")
	case errors.As(err, &status) && status.Status >= http.StatusInternalServerError:
		return report.WithHint(fmt.Errorf("%s cannot read what is put into %s: %w", r.URL().Host, s.dir, err),
			"look at owner and modes of the files there: those of docker/registry/v2 are what new files get; and at access control lists, SELinux labels and user namespaces, which a link or a copy does not get")
	}
	return fmt.Errorf("asking %s for what was put into %s: %w", r.URL().Host, s.dir, err)
}
