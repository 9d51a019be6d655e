package bundle

import (
	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
)

// hasWhole tells whether the other side has an image, with every blob that the
// source has of it. A nil inventory has none.
func (inv *Inventory) hasWhole(i *plan.Image) bool {
	base, ok := inv.Image(i.Source.Repository, i.Source.Tag, i.Manifest.Digest)
	if !ok || base.Digest != i.Manifest.Digest {
		return false
	}
	for _, b := range i.Blobs {
		if base, ok := inv.Blob(b.Digest); !ok || base.Size != b.Size {
			return false
		}
	}
	return true
}

// homes says of each blob in which repository the other side has it: the first
// by name of those with an image that needs it.
func (inv *Inventory) homes() map[digest.Digest]string {
	if inv == nil {
		return nil
	}
	homes := make(map[digest.Digest]string, len(inv.Blobs))
	for _, i := range inv.Images {
		_, blobs := inv.Needs(i.Digest)
		for _, b := range blobs {
			if homes[b.Digest] == "" {
				homes[b.Digest] = i.Repository
			}
		}
	}
	return homes
}
