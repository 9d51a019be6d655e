package dirlayout

import (
	"io/fs"
	"path/filepath"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

// Unpacked is the directory for the files of an archive that has to be unpacked,
// on the file system of the layouts, which can then be links to them. It stays
// when the layouts are closed, for a run that goes on, until RemoveUnpacked.
func (l *Layouts) Unpacked() string { return l.unpacked }

// RemoveUnpacked takes that directory away. The layouts keep their links.
func (l *Layouts) RemoveUnpacked() error { return source.RemoveUnpacked(l.unpacked) }

// OfferLayouts puts the blobs of the layouts that are there already where the
// archive is unpacked to, so that they are not written a second time. Where that
// cannot be, it saves nothing, and no harm is done.
func (l *Layouts) OfferLayouts() {
	_ = filepath.WalkDir(l.dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil
		case e.IsDir() && e.Name() == workDir:
			return fs.SkipDir
		case e.Type().IsRegular() && digest.NewDigestFromEncoded(digest.SHA256, e.Name()).Validate() == nil:
			if source.Offer(l.unpacked, e.Name(), path) != nil {
				return fs.SkipAll
			}
		}
		return nil
	})
}
