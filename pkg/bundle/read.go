package bundle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/dirlayout"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// Scan reads a bundle that is opened as a file system, or any directory of
// layouts, into an Index. Where there is an inventory, the archive is held
// against it: an image that should be in it and is not is incomplete, and what
// was left out for the base is marked as being away. Errors are those of
// dirlayout.Scan, and an inventory that cannot be read.
func Scan(ctx context.Context, fsys dirlayout.FS, opts *storage.ScanOptions) (*storage.Index, error) {
	inv, err := inventoryIn(fsys)
	if err != nil {
		return nil, fmt.Errorf("reading bundle: %w", err)
	}
	if inv == nil {
		return dirlayout.Scan(ctx, fsys, opts)
	}
	r := reader{inv: inv, b: storage.NewBuilder(fsys, opts), manifests: map[digest.Digest]*storage.Manifest{}}
	return r.read(ctx, fsys)
}

// inventoryIn gives nil where there is none.
func inventoryIn(fsys fs.FS) (*Inventory, error) {
	f, err := fsys.Open(InventoryName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadInventory(f)
}

// reader holds an archive against its inventory.
type reader struct {
	inv       *Inventory
	b         *storage.Builder
	manifests map[digest.Digest]*storage.Manifest // of the inventory
}

func (r *reader) read(ctx context.Context, fsys dirlayout.FS) (*storage.Index, error) {
	for _, m := range r.inv.Manifests {
		r.manifests[m.Digest] = m
	}
	away := map[string]bool{} // names of files in layouts
	for _, blob := range r.inv.Blobs {
		if blob.Repository != "" {
			r.b.AwayBlob(blob.Repository, blob.Digest, blob.Size)
			away[blob.Digest.Encoded()] = true
			away[blob.Digest.Algorithm().String()+"-"+blob.Digest.Encoded()] = true
		}
	}
	there, err := dirlayout.Read(ctx, fsys, r.b, r.expected())
	if err != nil && !errors.Is(err, dirlayout.ErrNoLayouts) { // the inventory knows what should be there
		return nil, err
	}
	if src, ok := fsys.(source.FindingsFS); ok {
		for _, f := range src.Findings() {
			// A link to what the base has leads out of this archive, by design.
			if f.Code != report.ArchiveMember || !away[path.Base(f.Path)] {
				r.b.Find(f)
			}
		}
	}
	r.addRest(there)
	return r.b.Index(ctx)
}

// expected is what the archive's layouts should hold.
func (r *reader) expected() map[string]digest.Digest {
	expected := map[string]digest.Digest{}
	for _, i := range r.inv.Images {
		if !i.LeftOut && i.Tag != "" {
			expected[report.Name(i.Repository, i.Tag, "")] = i.Digest
		}
	}
	return expected
}

// addRest adds the images that are not in the archive: those that the base has,
// and those that should be and are not.
func (r *reader) addRest(there map[string]bool) {
	for _, i := range r.inv.Images {
		if there[report.Name(i.Repository, i.Tag, i.Digest.String())] {
			continue
		}
		r.b.Tag(i.Repository, i.Tag, i.Digest, i.Updated)
		if i.LeftOut {
			r.addAway(i.Repository, i.Digest, map[digest.Digest]bool{})
		}
	}
}

// addAway adds a manifest that the base has, and what it names. Manifests that
// hold each other cannot be, and an inventory can say so all the same.
func (r *reader) addAway(repository string, d digest.Digest, seen map[digest.Digest]bool) {
	m := r.manifests[d]
	if m == nil || seen[d] {
		return
	}
	seen[d] = true
	r.b.Away(repository, m)
	for _, child := range m.Manifests {
		r.addAway(repository, child.Digest, seen)
	}
	for _, b := range m.Blobs {
		if blob, ok := r.inv.Blob(b.Digest); ok {
			r.b.AwayBlob(repository, blob.Digest, blob.Size)
		}
	}
}
