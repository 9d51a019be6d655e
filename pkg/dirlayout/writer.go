package dirlayout

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
)

// writer builds one layout beside its final name.
type writer struct {
	layouts *Layouts
	tmp     string
	dir     *link.Dir // tmp, until it is filled
	final   string
	version string
}

func (l *Layouts) create(final string) (*writer, error) {
	tmp := l.staging + separator + strconv.FormatInt(l.made.Add(1), 10)
	if err := os.Mkdir(tmp, 0o755); err != nil {
		return nil, err
	}
	dir, err := link.OpenDir(tmp)
	if err != nil {
		return nil, errors.Join(err, os.Remove(tmp))
	}
	return &writer{layouts: l, tmp: tmp, dir: dir, final: final, version: Version1_1}, nil
}

// fill puts every file of an image into the layout.
func (w *writer) fill(ctx context.Context, i plan.Image) error {
	for _, b := range i.Blobs {
		if err := w.linkBlob(ctx, b.Digest, b.Size); err != nil {
			return err
		}
	}
	for _, m := range i.Manifests {
		var content []byte
		if i.Trim != nil {
			content = i.Trim.Contents[m.Digest]
		}
		top := m.Digest == i.Manifest.Digest
		if err := w.linkManifest(ctx, m.Digest, m.Size, top, content); err != nil {
			return err
		}
	}
	if err := w.layouts.versions.place(w.version, w.dir, "version"); err != nil {
		return err
	}
	if i.Updated.IsZero() {
		return nil
	}
	return os.Chtimes(w.tmp, i.Updated, i.Updated) // for Scan: the files' times are the blobs'
}

// linkManifest puts a manifest into the layout: as manifest.json where it is
// the image's own, else under its digest. Content is given for one that the
// source does not have.
func (w *writer) linkManifest(ctx context.Context, d digest.Digest, size int64, top bool, content []byte) error {
	names := []string{"manifest.json"}
	if !top {
		names = w.names(d, ".manifest.json")
	}
	for _, name := range names {
		if content != nil {
			if err := os.WriteFile(w.dir.Path(name), content, 0o644); err != nil {
				return err
			}
			continue
		}
		if err := w.link(ctx, d, size, name); err != nil {
			return err
		}
	}
	return nil
}

// linkBlob puts a blob of the given size in bytes into the layout.
func (w *writer) linkBlob(ctx context.Context, d digest.Digest, size int64) error {
	for _, name := range w.names(d, "") {
		if err := w.link(ctx, d, size, name); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) link(ctx context.Context, d digest.Digest, size int64, name string) error {
	return w.layouts.place.place(ctx, w.layouts.path(d), size, w.dir, name)
}

// names are the file names a reader may look for: the digest's hex and, for
// algorithms other than sha256, also with the algorithm in front.
func (w *writer) names(d digest.Digest, suffix string) []string {
	names := FileNames(d, suffix)
	if len(names) > 1 {
		w.version = Version1_2
	}
	return names
}

// FileNames are the names that readers look for a digest's file under: its hex
// and, for algorithms other than sha256, also with the algorithm in front.
func FileNames(d digest.Digest, suffix string) []string {
	names := []string{d.Encoded() + suffix}
	if d.Algorithm() != digest.Canonical {
		names = append(names, d.Algorithm().String()+"-"+d.Encoded()+suffix)
	}
	return names
}

// commit gives the layout its final name, unless the image has a whole one there
// by now: made says which. What else was there goes only when the new one is
// ready to take its place.
func (w *writer) commit(i plan.Image) (made bool, err error) {
	err = rename(w.tmp, w.final)
	if errors.Is(err, fs.ErrNotExist) { // the first one of its directory
		if err := os.MkdirAll(filepath.Dir(w.final), 0o755); err != nil {
			return false, err
		}
		err = rename(w.tmp, w.final)
	}
	if err == nil || !isInTheWay(err) {
		return err == nil, err
	}
	if whole, err := w.layouts.existing(w.final, i); err != nil || whole {
		return false, err
	}
	err = w.replace()
	return err == nil, err
}

// replace gives the layout the name of one that is not whole.
func (w *writer) replace() error {
	if err := replaceable(w.final); err != nil {
		return err
	}
	old := w.tmp + ".old"
	if err := rename(w.final, old); err != nil {
		return err
	}
	if err := rename(w.tmp, w.final); err != nil {
		return errors.Join(err, rename(old, w.final))
	}
	// It is done. What cannot be removed here stays in the work directory.
	_ = os.RemoveAll(old)
	return nil
}

// abort takes away what was built so far.
func (w *writer) abort() { os.RemoveAll(w.tmp) }

// rename is os.Rename without its look at the target beforehand, which the kernel
// takes as well.
func rename(from, to string) error {
	for {
		err := unix.Rename(from, to)
		if err == nil {
			return nil
		}
		if err != syscall.EINTR {
			return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
		}
	}
}

// isInTheWay tells errors of a rename that mean that its target is there.
func isInTheWay(err error) bool {
	return errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) || errors.Is(err, syscall.ENOTDIR)
}
