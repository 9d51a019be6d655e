package dirlayout

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

// Media is what the file system that layouts are to lie on can do.
type Media struct {
	Names   bool // it takes a colon in a name, as every layout's has
	Links   bool // it has hard links: a blob of many images takes room once
	Sources bool // the source's own files can be linked, and take no room at all
}

// The calls that a file system is tried by; a test puts others in their place.
var (
	tryName = func(path string) error { return os.Mkdir(path, 0o755) }
	tryLink = link.Hard
)

// Media tries the file system, in the work directory. A file of the source, by
// its path in the local file system, is for the last of the questions; it may be
// empty. Errors are those that say nothing of what a file system can do.
func (l *Layouts) Media(file string) (m Media, err error) {
	dir := filepath.Join(l.staging, "media")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return m, err
	}
	defer os.RemoveAll(dir)
	err = tryName(filepath.Join(dir, "name:tag"))
	if err != nil && !refusesNames(err) {
		return m, err
	}
	m.Names = err == nil
	own := filepath.Join(dir, "file")
	if err := os.WriteFile(own, nil, 0o644); err != nil {
		return m, err
	}
	if m.Links, err = canLink(own, filepath.Join(dir, "link")); err != nil || file == "" {
		return m, err
	}
	m.Sources, err = canLink(file, filepath.Join(dir, "source"))
	return m, err
}

func canLink(from, to string) (bool, error) {
	err := tryLink(from, to)
	if err != nil && link.Refused(err) {
		return false, nil
	}
	return err == nil, err
}

// refusesNames tells errors that mean "no such name here": Linux's exFAT and
// NTFS say EINVAL, others say that they do not support it.
func refusesNames(err error) bool {
	return errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.EILSEQ) || errors.Is(err, syscall.ENOENT)
}

// Missing is how many bytes the layouts of images hold that are not there yet:
// with each blob once, as hard links have it, and with each image on its own.
func (l *Layouts) Missing(images []plan.Image) (once, each int64) {
	seen := map[digest.Digest]bool{}
	var missing []plan.Image
	for _, i := range images {
		if _, err := os.Stat(filepath.Join(l.Path(i), "manifest.json")); err != nil {
			missing = append(missing, i)
			continue
		}
		for _, b := range i.Blobs {
			seen[b.Digest] = true
		}
	}
	for _, i := range missing {
		each += i.Size
		for _, parts := range [][]*ocispec.Descriptor{i.Blobs, i.Manifests} {
			for _, d := range parts {
				if !seen[d.Digest] {
					seen[d.Digest] = true
					once += d.Size
				}
			}
		}
	}
	return max(once-l.pooled(), 0), each
}

// pooled is how many bytes an interrupted run copied that need not be copied again.
func (l *Layouts) pooled() (bytes int64) {
	entries, err := os.ReadDir(l.pool)
	if err != nil {
		return 0
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			bytes += info.Size()
		}
	}
	return bytes
}

// Local is the path of a source's file in the local file system, or empty.
func Local(src source.Source, name string) string {
	if local, ok := src.(source.LocalFS); ok {
		if path, ok := local.LocalPath(name); ok {
			return path
		}
	}
	return ""
}
