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

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// The contents of the file version, of which there are two. The second version
// knows digests of other algorithms, by names with the algorithm in front.
const (
	Version1_1 = "Directory Transport Version: 1.1\n"
	Version1_2 = "Directory Transport Version: 1.2\n"
)

// writer builds one layout beside its final name.
type writer struct {
	layouts *Layouts
	tmp     string
	final   string
	version string
}

func (l *Layouts) create(final string) (*writer, error) {
	tmp := filepath.Join(l.staging, strconv.FormatInt(l.made.Add(1), 10))
	if err := os.Mkdir(tmp, 0o755); err != nil {
		return nil, err
	}
	return &writer{layouts: l, tmp: tmp, final: final, version: Version1_1}, nil
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
	if err := os.WriteFile(filepath.Join(w.tmp, "version"), []byte(w.version), 0o644); err != nil {
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
			if err := os.WriteFile(filepath.Join(w.tmp, name), content, 0o644); err != nil {
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
	return w.layouts.place.place(ctx, w.layouts.path(d), size, w.tmp+string(filepath.Separator)+name)
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

// commit gives the layout its final name. What was there before goes only when
// the new one is ready to take its place.
func (w *writer) commit() error {
	if err := os.MkdirAll(filepath.Dir(w.final), 0o755); err != nil {
		return err
	}
	err := os.Rename(w.tmp, w.final)
	if err == nil || !isInTheWay(err) {
		return err
	}
	if err := replaceable(w.final); err != nil {
		return err
	}
	old := w.tmp + ".old"
	if err := os.Rename(w.final, old); err != nil {
		return err
	}
	if err := os.Rename(w.tmp, w.final); err != nil {
		return errors.Join(err, os.Rename(old, w.final))
	}
	// It is done. What cannot be removed here stays in the work directory.
	_ = os.RemoveAll(old)
	return nil
}

// abort takes away what was built so far.
func (w *writer) abort() { os.RemoveAll(w.tmp) }

// existing tells whether the image's layout is there and whole already: every
// file of the right size, and the manifest that of the image.
func (l *Layouts) existing(final string, i plan.Image) (bool, error) {
	content, err := readFile(filepath.Join(final, "manifest.json"), maxManifest)
	if errors.Is(err, fs.ErrPermission) {
		return false, err
	}
	if err != nil { // whether it may be replaced is settled when a whole one is ready
		return false, nil
	}
	if !storage.HasDigest(content, i.Manifest.Digest) || !hasVersion(final) {
		return false, nil
	}
	for _, m := range i.Manifests {
		if m.Digest != i.Manifest.Digest && !hasFiles(final, FileNames(m.Digest, ".manifest.json"), m.Size) {
			return false, nil
		}
	}
	for _, b := range i.Blobs {
		if !hasFiles(final, FileNames(b.Digest, ""), b.Size) {
			return false, nil
		}
	}
	for _, b := range i.Blobs {
		l.place.pool.know(l.path(b.Digest), filepath.Join(final, b.Digest.Encoded()))
	}
	return true, nil
}

func hasVersion(dir string) bool {
	content, err := readFile(filepath.Join(dir, "version"), 1<<10)
	return err == nil && (string(content) == Version1_1 || string(content) == Version1_2)
}

// hasFiles tells whether all names are regular files of a size in bytes.
func hasFiles(dir string, names []string, size int64) bool {
	for _, name := range names {
		info, err := os.Stat(dir + string(filepath.Separator) + name)
		if err != nil || !info.Mode().IsRegular() || info.Size() != size {
			return false
		}
	}
	return true
}

// isInTheWay tells errors of a rename that mean that its target is there.
func isInTheWay(err error) bool {
	return errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) || errors.Is(err, syscall.ENOTDIR)
}
