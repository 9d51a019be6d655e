package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seed-5b48bd9d/drydock/pkg/dirlayout"
	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// conversion is the part of a run that writes layouts. An archive that can only
// be read from front to end is unpacked where they are to be, before anything is
// known of it; for all else, the layouts come after the plan.
type conversion struct {
	session  *session
	location string // of the source
	dir      string // empty: where nobody said, next to the source
	method   link.Method
	hash     bool // all of a bundle, whatever the flags say
	layouts  *dirlayout.Layouts
	src      source.Source
	index    *storage.Index
	fresh    bool // the directory of layouts was not there
	finished bool // every image came to its end
	removed  bool // the layouts, since all went well
}

// read reads the source, unpacked where that needs be, unless nothing is to be written.
func (c *conversion) read(ctx context.Context, location string, f *sourceFlags, sel *selectFlags, dryRun bool) (source.Source, *storage.Index, error) {
	c.location = location
	r := reading{location: location, hash: c.hash}
	if !dryRun {
		r.unpack = c.begin
	}
	return c.session.scan(ctx, r, f, sel)
}

// begin gives the directory to unpack the source to.
func (c *conversion) begin(form source.Form) (unpack string, err error) {
	if c.method == link.Symlink {
		return "", usageError{errors.New("--link=symlink: the files of an archive that is unpacked do not stay")}
	}
	if c.dir == "" {
		c.dir = besideArchive(c.location)
	}
	c.look()
	if c.layouts, err = dirlayout.Prepare(c.dir); err != nil {
		return "", err
	}
	c.layouts.OfferLayouts()
	unpack = c.layouts.Unpacked()
	return unpack, c.session.room("unpacking "+c.location, form, c.dir, unpack)
}

// use takes the source as it was read, and sees that what is planned has room.
func (c *conversion) use(src source.Source, x *storage.Index, p *plan.Plan) (err error) {
	if differential(x, p) {
		return report.WithHint(errors.New("this bundle does not hold what it builds on, and no layouts can be made of it alone"),
			"drydock push takes it; or unpack it with tar over the bundle that it builds on")
	}
	c.src, c.index = src, x
	if c.layouts != nil {
		c.layouts.Use(src, &dirlayout.Options{Link: c.method, Path: x.Path})
		return nil
	}
	if c.dir == "" {
		c.dir = defaultLayouts(src, c.location)
	}
	c.look()
	if c.layouts, err = openLayouts(c.dir, src, x, c.method); err != nil {
		return err
	}
	return c.fits(p)
}

// look notes whether the directory of layouts has to be made.
func (c *conversion) look() {
	_, err := os.Lstat(c.dir)
	c.fresh = errors.Is(err, fs.ErrNotExist)
}

// fits tells what the file system of the layouts cannot do, and stops where what
// is planned will not fit.
func (c *conversion) fits(p *plan.Plan) error {
	if len(p.Images) == 0 {
		return nil
	}
	media, err := c.layouts.Media(c.file(p))
	if err != nil {
		return fmt.Errorf("preparing layouts: %w", err)
	}
	if media.Names && c.links(media) {
		return nil
	}
	once, each := c.layouts.Missing(p.Images)
	advice := fmt.Sprintf("drydock bundle SOURCE %s makes one archive of them, with each blob once; --volume-size 4G cuts it for FAT32", filepath.Clean(c.dir)+".tar")
	cost := fmt.Sprintf("%s as links to each other, %s without links", size(once), size(each))
	need := once
	switch {
	case !media.Names:
		return report.WithHint(fmt.Errorf("layouts cannot be in %s: its file system (exFAT, NTFS?) takes no colon in a name; they would be %s", c.dir, cost), advice)
	case !media.Links:
		need = each
		c.session.note("the file system of %s has no hard links: the layouts take %s; %s", c.dir, cost, advice)
	}
	return c.session.fits("the layouts", need, c.dir)
}

// file is the path of one of the source's files, or empty where they have none.
func (c *conversion) file(p *plan.Plan) string {
	for _, i := range p.Images {
		for _, b := range i.Blobs {
			path := dirlayout.Local(c.src, c.index.Path(b.Digest))
			if _, err := os.Stat(path); err == nil {
				return path
			}
		}
	}
	return ""
}

// links tells whether files become links to the source's own, which take no room.
func (c *conversion) links(media dirlayout.Media) bool {
	switch c.method {
	case link.Copy:
		return false
	case link.Symlink, link.Reflink:
		return true
	default:
		return media.Sources
	}
}

// close ends the work. The layouts keep their links to what was unpacked.
func (c *conversion) close(ctx context.Context) error {
	if c.layouts == nil {
		return nil
	}
	err := errors.Join(c.session.endUnpacked(c.layouts, c.finished), c.layouts.Close())
	if c.removed || c.fresh {
		_ = os.Remove(c.dir) // unless there is something in it
	}
	return err
}

// besideArchive is where the layouts of an archive go if nobody says: beside it
// or, for a pipe, here.
func besideArchive(location string) string {
	if info, err := os.Stat(location); location != "-" && err == nil && info.Mode().IsRegular() {
		return filepath.Join(filepath.Dir(location), "drydock-layouts")
	}
	return "drydock-layouts"
}
