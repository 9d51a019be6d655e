package bundle

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// content is bytes that the archive has once, under any number of names.
type content struct {
	digests  []digest.Digest // all that name it; most have one
	size     int64           // bytes
	manifest bool
	bytes    []byte // of a trimmed index, which the source does not have
	sum      string // its sha256, hexadecimal; empty where only reading it tells
	first    string // the name that its bytes lie under
}

// gathering collects what a bundle holds.
type gathering struct {
	b         *Bundle
	x         *storage.Index
	since     *Inventory
	homes     map[digest.Digest]string // where the base has its blobs
	inv       *Inventory
	manifests map[digest.Digest]*storage.Manifest
	blobs     map[digest.Digest]Blob
	places    map[string]*content // by their places in the source
}

func gather(b *Bundle, x *storage.Index) error {
	g := gathering{
		b: b, x: x, since: b.opts.Since, homes: b.opts.Since.homes(), inv: &Inventory{},
		manifests: map[digest.Digest]*storage.Manifest{}, blobs: map[digest.Digest]Blob{}, places: map[string]*content{},
	}
	for _, l := range layoutsOf(b.images) {
		g.add(l)
	}
	g.name()
	return g.close()
}

// add files an image and what it needs.
func (g *gathering) add(l layout) {
	leftOut := g.since.hasWhole(l.image)
	manifests, err := g.fit(l, leftOut)
	if err != nil {
		g.b.refused[l.name] = err
		return
	}
	g.inv.Images = append(g.inv.Images, Image{
		Repository: l.image.Source.Repository, Tag: l.image.Source.Tag, Digest: l.image.Manifest.Digest,
		Updated: wholeSeconds(l.image.Updated), LeftOut: leftOut,
	})
	for _, m := range manifests {
		g.manifests[m.Digest] = m
	}
	for _, d := range l.image.Blobs {
		if !g.isInBase(d) {
			g.carry(l.image, d)
		}
	}
	if leftOut {
		return
	}
	g.b.layouts = append(g.b.layouts, l)
	for n, d := range l.image.Manifests {
		g.carryManifest(l.image, d, manifests[n])
	}
}

// fit gives an image's manifests, or says why no bundle can hold the image.
func (g *gathering) fit(l layout, leftOut bool) ([]*storage.Manifest, error) {
	if top, _, _ := strings.Cut(l.name, "/"); top == InventoryName {
		return nil, fmt.Errorf("its layout would lie in the place of %s", InventoryName)
	}
	manifests := make([]*storage.Manifest, 0, len(l.image.Manifests))
	for _, d := range l.image.Manifests {
		m, err := g.manifest(l.image, d)
		if err != nil {
			return nil, err
		}
		if !leftOut && g.isAway(d) {
			return nil, errAway
		}
		manifests = append(manifests, m)
	}
	for _, d := range l.image.Blobs {
		if err := checkDescriptor(d.Digest, d.Size); err != nil {
			return nil, err
		}
		if _, has := g.baseBlob(d); !has && g.isAway(d) {
			return nil, errAway
		}
	}
	return manifests, nil
}

// errAway is what is wrong with an image of a differential bundle, where that is
// the source, and the new bundle does not build on the same base.
var errAway = report.WithHint(errors.New("the source does not have all of it: it is a bundle, which left out what its base has"),
	"give the registry's storage, or build on the same base with --since-bundle")

func (g *gathering) isAway(d *ocispec.Descriptor) bool {
	_, away := g.x.Away(d.Digest)
	return away
}

// baseBlob finds a blob that the base has.
func (g *gathering) baseBlob(d *ocispec.Descriptor) (Blob, bool) {
	base, ok := g.since.Blob(d.Digest)
	base.Repository = g.homes[d.Digest]
	return base, ok && base.Size == d.Size && base.LeftOut()
}

func (g *gathering) manifest(i *plan.Image, d *ocispec.Descriptor) (*storage.Manifest, error) {
	m := g.x.Manifest(d.Digest)
	if content := trimmed(i, d.Digest); content != nil {
		var err error
		if m, err = storage.ParseManifest(content, d.Digest, d.MediaType); err != nil {
			return nil, err
		}
	}
	if m == nil {
		return nil, fmt.Errorf("the manifest %s is not known", d.Digest)
	}
	return m, checkManifest(m)
}

func trimmed(i *plan.Image, d digest.Digest) []byte {
	if i.Trim == nil {
		return nil
	}
	return i.Trim.Contents[d]
}

// isInBase files a blob, and tells whether it is one that the base has.
func (g *gathering) isInBase(d *ocispec.Descriptor) bool {
	blob, known := g.blobs[d.Digest]
	if !known {
		if blob, known = g.baseBlob(d); !known {
			blob = Blob{Digest: d.Digest, Size: d.Size}
		}
		g.blobs[d.Digest] = blob
	}
	return blob.LeftOut()
}

// carry makes sure that the archive has the bytes of a digest.
func (g *gathering) carry(i *plan.Image, d *ocispec.Descriptor) *content {
	if c := g.b.contents[d.Digest]; c != nil {
		return c
	}
	c := g.content(i, d)
	if d.Digest.Algorithm() == digest.Canonical && !c.manifest && c.sum == "" {
		c.sum = d.Digest.Encoded()
	}
	g.b.contents[d.Digest] = c
	return c
}

// carryManifest is carry for manifests: the digest of one of docker's first
// schema may be that of what was signed, and not of its bytes.
func (g *gathering) carryManifest(i *plan.Image, d *ocispec.Descriptor, m *storage.Manifest) {
	sized := *d
	sized.Size = m.Size // which is that of its bytes, whoever says what
	c := g.carry(i, &sized)
	c.manifest = true
	if storage.IsSchema1(m.MediaType) && c.bytes == nil {
		c.sum = ""
	}
}

// content finds the bytes of a digest. Digests of different algorithms may lead
// to the same ones.
func (g *gathering) content(i *plan.Image, d *ocispec.Descriptor) *content {
	c := &content{digests: []digest.Digest{d.Digest}, size: d.Size}
	if c.bytes = trimmed(i, d.Digest); c.bytes != nil {
		c.size, c.sum = int64(len(c.bytes)), digest.FromBytes(c.bytes).Encoded()
		return c
	}
	place := g.b.opts.Path(d.Digest)
	if same := g.places[place]; same != nil && same.size == d.Size {
		same.digests = append(same.digests, d.Digest)
		return same
	}
	g.places[place] = c
	return c
}

// name gives every content the first of its names, and every blob the first of
// those that say whose they are: a later bundle may have another manifest.json
// in the place of this one's.
func (g *gathering) name() {
	for _, l := range g.b.layouts {
		for f := range l.files() {
			blob := g.blobs[f.digest]
			if f.blob && blob.Path == "" {
				blob.Path = l.name + "/" + f.name
				g.blobs[f.digest] = blob
			}
			if c := g.b.contents[f.digest]; c != nil && c.first == "" && !(f.blob && blob.LeftOut()) {
				c.first = l.name + "/" + f.name
				g.b.carried++
			}
		}
	}
}

// close makes the inventory.
func (g *gathering) close() error {
	g.inv.Manifests = slices.Collect(maps.Values(g.manifests))
	g.inv.Blobs = slices.Collect(maps.Values(g.blobs))
	if g.since != nil {
		g.inv.Base = g.since.Digest()
	}
	if err := g.inv.close(); err != nil {
		return err
	}
	g.b.inventory, g.b.first = g.inv, g.inv.length
	if g.inv.length > maxInventory {
		return report.WithHint(fmt.Errorf("its inventory would have %d bytes, and %d are read at most", g.inv.length, maxInventory),
			"make several bundles, with --include and --exclude")
	}
	return nil
}

// wholeSeconds cuts a time to what every archive of a tree has, so that reading
// one gives the same. One that cannot be written is none.
func wholeSeconds(t time.Time) time.Time {
	t = time.Unix(t.Unix(), 0).UTC()
	if t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}

// layoutsOf sorts images by the names of their layouts. Two indexes that were
// cut to the same are one.
func layoutsOf(images []plan.Image) []layout {
	layouts := make([]layout, 0, len(images))
	for n := range images {
		layouts = append(layouts, layout{name: images[n].LayoutPath(), image: &images[n]})
	}
	slices.SortStableFunc(layouts, func(a, b layout) int { return cmp.Compare(a.name, b.name) })
	return slices.CompactFunc(layouts, func(a, b layout) bool { return a.name == b.name })
}
