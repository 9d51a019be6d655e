package bundle

import (
	"cmp"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// InventoryName is the archive's first member.
const InventoryName = "drydock-inventory.json"

// Inventory says what a bundle holds, and what it builds on: enough to list it,
// to plan what becomes of it, and to make a bundle that builds on it in turn. It
// is not to be changed.
type Inventory struct {
	// Base is the sha256 of the inventory that the bundle builds on, and empty
	// where it builds on none.
	Base digest.Digest
	// Images are all images that the other side has once it has the bundle and
	// what that builds on, by repository, tag and digest. Each is whole.
	Images []Image
	// Manifests are those that the images need, by digest, without their bytes.
	Manifests []*storage.Manifest
	// Blobs are those that the images need, by digest. Layers that are kept
	// elsewhere by design are not among them.
	Blobs []Blob

	length    int64         // of its JSON, bytes
	digest    digest.Digest // of its JSON
	manifests map[digest.Digest]*storage.Manifest
}

// Image is one image of a bundle.
type Image struct {
	Repository string        `json:"repository"`
	Tag        string        `json:"tag,omitempty"` // empty where no tag names it
	Digest     digest.Digest `json:"digest"`
	Updated    time.Time     `json:"updated,omitzero"` // when the tag was last pushed, to the second
	// LeftOut tells that the base has the image, and the bundle no layout of it.
	LeftOut bool `json:"leftOut,omitempty"`
}

// Name is "repository:tag", or "repository@digest": also the path of its layout.
func (i Image) Name() string { return report.Name(i.Repository, i.Tag, i.Digest.String()) }

func (i Image) compare(o Image) int {
	return cmp.Or(cmp.Compare(i.Repository, o.Repository), cmp.Compare(i.Tag, o.Tag), cmp.Compare(i.Digest, o.Digest))
}

// Blob is one blob of a bundle.
type Blob struct {
	Digest digest.Digest `json:"digest"`
	Size   int64         `json:"size"` // bytes
	// Path is a file that has its bytes once the bundle, and what that builds
	// on, are unpacked into one directory.
	Path string `json:"path"`
	// Repository is where the other side has it, by its name in the source, and
	// empty where the bundle has it.
	Repository string `json:"repository,omitempty"`
}

// LeftOut tells that the base has the blob, and the bundle not.
func (b Blob) LeftOut() bool { return b.Repository != "" }

// Digest is the sha256 of the inventory's JSON, by which a bundle that builds on
// it names it.
func (inv *Inventory) Digest() digest.Digest { return inv.digest }

// Image finds an image by its tag or, where that is empty, by its digest.
func (inv *Inventory) Image(repository, tag string, d digest.Digest) (Image, bool) {
	if inv == nil {
		return Image{}, false
	}
	wanted := Image{Repository: repository, Tag: tag, Digest: d}
	at, found := slices.BinarySearchFunc(inv.Images, wanted, func(i, wanted Image) int {
		if wanted.Tag != "" {
			i.Digest = wanted.Digest
		}
		return i.compare(wanted)
	})
	if !found {
		return Image{}, false
	}
	return inv.Images[at], true
}

// Manifest finds a manifest, or nil.
func (inv *Inventory) Manifest(d digest.Digest) *storage.Manifest { return inv.manifests[d] }

// Blob finds a blob.
func (inv *Inventory) Blob(d digest.Digest) (Blob, bool) {
	if inv == nil {
		return Blob{}, false
	}
	at, found := slices.BinarySearchFunc(inv.Blobs, d, func(b Blob, d digest.Digest) int { return cmp.Compare(b.Digest, d) })
	if !found {
		return Blob{}, false
	}
	return inv.Blobs[at], true
}

// Needs gives what an image needs: its manifests, children before parents, and
// its blobs, each once. The digest is that of one of the inventory's manifests.
func (inv *Inventory) Needs(d digest.Digest) (manifests []*storage.Manifest, blobs []Blob) {
	seen := map[digest.Digest]bool{}
	var visit func(digest.Digest)
	visit = func(d digest.Digest) {
		m := inv.manifests[d]
		if m == nil || seen[d] {
			return
		}
		seen[d] = true
		for _, child := range m.Manifests {
			visit(child.Digest)
		}
		for _, b := range m.Blobs {
			if blob, ok := inv.Blob(b.Digest); ok && !seen[b.Digest] {
				seen[b.Digest] = true
				blobs = append(blobs, blob)
			}
		}
		manifests = append(manifests, m)
	}
	visit(d)
	return manifests, blobs
}

// close sorts and checks the inventory, and works out what is asked of it.
func (inv *Inventory) close() error {
	slices.SortFunc(inv.Images, Image.compare)
	slices.SortFunc(inv.Manifests, func(a, b *storage.Manifest) int { return cmp.Compare(a.Digest, b.Digest) })
	slices.SortFunc(inv.Blobs, func(a, b Blob) int { return cmp.Compare(a.Digest, b.Digest) })
	inv.manifests = make(map[digest.Digest]*storage.Manifest, len(inv.Manifests))
	for _, m := range inv.Manifests {
		inv.manifests[m.Digest] = m
	}
	if err := inv.check(); err != nil {
		return err
	}
	if inv.digest != "" {
		return nil // read from somewhere, and known by the bytes it had there
	}
	hash := digest.Canonical.Digester()
	var err error
	inv.length, err = inv.WriteTo(hash.Hash())
	inv.digest = hash.Digest()
	return err
}

// without is the inventory as it would be had some images not been there.
func (inv *Inventory) without(names map[string]bool) (*Inventory, error) {
	left := &Inventory{Base: inv.Base}
	needed := map[digest.Digest]bool{}
	for _, i := range inv.Images {
		if names[i.Name()] {
			continue
		}
		left.Images = append(left.Images, i)
		manifests, blobs := inv.Needs(i.Digest)
		for _, m := range manifests {
			needed[m.Digest] = true
		}
		for _, b := range blobs {
			needed[b.Digest] = true
		}
	}
	for _, m := range inv.Manifests {
		if needed[m.Digest] {
			left.Manifests = append(left.Manifests, m)
		}
	}
	for _, b := range inv.Blobs {
		if needed[b.Digest] {
			left.Blobs = append(left.Blobs, b)
		}
	}
	return left, left.close()
}
