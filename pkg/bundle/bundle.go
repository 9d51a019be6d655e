// Package bundle writes the images of a plan as one archive, for carrying them
// to where the registry cannot be reached: a tar of dir: layouts, of which
// "tar x" makes what "skopeo sync --src dir" reads (see package dirlayout).
//
//	drydock-inventory.json        what is in it; see Inventory
//	<repository>:<tag>/           a layout, with the tag's time
//	<repository>:<tag>/manifest.json, …
//	SHA256SUMS                    for sha256sum -c, of all the files above
//
// The bytes of a blob or a manifest are in it once; each further file of them
// is a hard link. The same images give the same bytes: everything is sorted,
// and nothing says when, where or by whom it was made. It is a plain tar (POSIX
// ustar, with pax headers where a name or a size needs one), compressed with
// zstd where the file's name says so.
//
// A differential bundle builds on an earlier one, its base, and leaves out what
// that has: images as a whole, and blobs. In layouts that are in it, blobs that
// the base has are hard links to where they lie once the base is unpacked, so
// that "tar x" over it makes whole layouts again. Without the base, tar says of
// each such link that it leads nowhere.
package bundle

import (
	"errors"
	"fmt"
	"math"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// Options steer how a bundle is made; nil means defaults.
type Options struct {
	// Path says where in the source a blob's bytes lie; nil means the index's own.
	Path func(digest.Digest) string
	// Since is the inventory of the bundle to build on; nil means none.
	Since *Inventory
	// VolumeSize is how large a file may get, bytes, 1 MiB at least; 0 means that
	// there is one file of any size.
	VolumeSize int64
	// Only is the one volume to make again, counted from 1; 0 means all.
	Only int
	// Force replaces a finished bundle of the same name.
	Force bool
	// Progress is told how much of the archive is written.
	Progress func(report.Progress)
}

// Bundle is what an archive is going to hold, all of it known before a byte is
// written. It does not change, and can be written any number of times.
type Bundle struct {
	opts      Options
	images    []plan.Image               // those of the plan, in its order
	refused   map[string]error           // by the names of layouts, those that no bundle can hold
	layouts   []layout                   // those that are carried, by name
	contents  map[digest.Digest]*content // what is carried
	inventory *Inventory
	carried   int   // contents
	first     int64 // length of the inventory, bytes
	sums      int64 // length of SHA256SUMS, bytes
	size      int64 // of the archive, bytes
}

// New works out the bundle of a plan's images, which are those of the index.
// It reads nothing. Errors are those of an archive that could not be read again.
func New(x *storage.Index, p *plan.Plan, opts *Options) (*Bundle, error) {
	b := &Bundle{images: p.Images, refused: map[string]error{}, contents: map[digest.Digest]*content{}}
	if opts != nil {
		b.opts = *opts
	}
	if b.opts.Path == nil {
		b.opts.Path = x.Path
	}
	if err := gather(b, x); err != nil {
		return nil, fmt.Errorf("planning bundle: %w", err)
	}
	if err := b.measure(); err != nil {
		return nil, fmt.Errorf("planning bundle: %w", err)
	}
	return b, nil
}

// Size is how long the archive is without compression, bytes.
func (b *Bundle) Size() int64 { return b.size }

// Carried is how many blobs and manifests there are in it.
func (b *Bundle) Carried() int { return b.carried }

// Inventory is what the archive begins with.
func (b *Bundle) Inventory() *Inventory { return b.inventory }

// measure adds up the archive's length.
func (b *Bundle) measure() error {
	b.sums = sumLength(InventoryName)
	for e := range b.layoutEntries() {
		if e.summed() {
			b.sums += sumLength(e.name)
		}
	}
	b.size = int64(len(trailer))
	for e := range b.entries() {
		length := e.length()
		if b.size > math.MaxInt64-length {
			return errors.New("it would be longer than any file can be")
		}
		b.size += length
	}
	return nil
}
