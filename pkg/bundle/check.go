package bundle

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/dirlayout"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

const (
	// maxManifest is how large a manifest may be, bytes: as much as any package
	// here reads of one.
	maxManifest = 32 << 20
	// maxTexts bounds the texts of one descriptor, bytes. Escaped as JSON, they
	// are within maxDescriptor.
	maxTexts = 64 << 10
	// maxNesting bounds how deep indexes lie in each other.
	maxNesting = 64
)

func checkImage(i Image) error {
	top, _, _ := strings.Cut(i.Repository, "/")
	if !storage.ValidRepository(i.Repository) || (top == InventoryName && top != i.Repository) {
		return fmt.Errorf("%q is no repository's name", clip(i.Repository))
	}
	if i.Tag != "" && !storage.ValidTag(i.Tag) {
		return fmt.Errorf("%q is no tag", clip(i.Tag))
	}
	return checkDescriptor(i.Digest, 0)
}

func checkBlob(b Blob) error {
	if b.Repository != "" && !storage.ValidRepository(b.Repository) {
		return fmt.Errorf("blob %s: %q is no repository's name", clip(string(b.Digest)), clip(b.Repository))
	}
	if err := checkDescriptor(b.Digest, b.Size); err != nil {
		return err
	}
	dir, name := cutLast(b.Path, "/")
	if !isLayout(dir) || !slices.Contains(dirlayout.FileNames(b.Digest, ""), name) {
		return fmt.Errorf("blob %s: %q is no path of its", b.Digest, clip(b.Path))
	}
	return nil
}

// isLayout tells whether a path is that of a layout.
func isLayout(path string) bool {
	if repository, d, ok := strings.Cut(path, "@"); ok {
		return storage.ValidRepository(repository) && digest.Digest(d).Validate() == nil
	}
	repository, tag := cutLast(path, ":")
	return storage.ValidRepository(repository) && storage.ValidTag(tag)
}

// cutLast cuts a text at the last separator in it.
func cutLast(s, separator string) (before, after string) {
	at := strings.LastIndex(s, separator)
	if at < 0 {
		return "", s
	}
	return s[:at], s[at+len(separator):]
}

func checkManifest(m *storage.Manifest) error {
	if err := checkDescriptor(m.Digest, m.Size); err != nil {
		return err
	}
	if m.Size > maxManifest || m.MediaType == "" {
		return fmt.Errorf("manifest %s has the type %q and %d bytes", m.Digest, clip(m.MediaType), m.Size)
	}
	parts := slices.Concat([]*ocispec.Descriptor{&m.Descriptor}, m.Manifests, m.Blobs)
	if m.Subject != nil {
		parts = append(parts, m.Subject)
	}
	for _, d := range parts {
		size := d.Size
		if size == -1 { // unknown, in docker's first schema
			size = 0
		}
		if err := checkDescriptor(d.Digest, size); err != nil {
			return fmt.Errorf("manifest %s: %w", m.Digest, err)
		}
		if n := len(m.ArtifactType) + texts(d); n > maxTexts {
			return fmt.Errorf("manifest %s says %d bytes of %s, its digest, size and annotations aside", m.Digest, n, d.Digest)
		}
	}
	return nil
}

// texts adds up what a descriptor holds beside its digest and its size, bytes.
func texts(d *ocispec.Descriptor) int {
	n := len(d.MediaType) + len(d.ArtifactType)
	lists := [][]string{d.URLs}
	if p := d.Platform; p != nil {
		lists = append(lists, p.OSFeatures, []string{p.OS, p.OSVersion, p.Architecture, p.Variant})
	}
	for _, list := range lists {
		for _, text := range list {
			n += len(text) + len(`"",`)
		}
	}
	return n
}

func checkDescriptor(d digest.Digest, size int64) error {
	if err := d.Validate(); err != nil {
		return fmt.Errorf("digest %q: %w", clip(string(d)), err)
	}
	if size < 0 {
		return fmt.Errorf("%s has the size %d", d, size)
	}
	return nil
}

// clip shortens a text from outside for a message.
func clip(s string) string {
	const most = 100
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// check holds the parts of a sorted inventory against each other. Whoever reads
// it may rely on every name being there once, and on every need being met.
func (inv *Inventory) check() error {
	if inv.Base != "" {
		if err := inv.Base.Validate(); err != nil || inv.Base.Algorithm() != digest.Canonical {
			return fmt.Errorf("base %q is no sha256", clip(string(inv.Base)))
		}
	}
	for n, i := range inv.Images {
		if inv.manifests[i.Digest] == nil {
			return fmt.Errorf("image %s: its manifest is not listed", i.Name())
		}
		if n > 0 && inv.Images[n-1].Repository == i.Repository && inv.Images[n-1].Name() == i.Name() {
			return fmt.Errorf("image %s is listed twice", i.Name())
		}
		if i.LeftOut && inv.Base == "" {
			return fmt.Errorf("image %s is left out, and there is no base", i.Name())
		}
	}
	if err := inv.checkBlobs(); err != nil {
		return err
	}
	return inv.checkManifests()
}

func (inv *Inventory) checkBlobs() error {
	var total int64
	for n, b := range inv.Blobs {
		if n > 0 && inv.Blobs[n-1].Digest == b.Digest {
			return fmt.Errorf("blob %s is listed twice", b.Digest)
		}
		if b.LeftOut() && inv.Base == "" {
			return fmt.Errorf("blob %s is left out, and there is no base", b.Digest)
		}
		const manifests = maxInventory * maxManifest // more bytes than all of them can have
		if total > math.MaxInt64-manifests-b.Size {
			return errors.New("its blobs are larger than any disk")
		}
		total += b.Size
	}
	return nil
}

func (inv *Inventory) checkManifests() error {
	n := nesting{inv: inv, heights: map[digest.Digest]int{}}
	for at, m := range inv.Manifests {
		if at > 0 && inv.Manifests[at-1].Digest == m.Digest {
			return fmt.Errorf("manifest %s is listed twice", m.Digest)
		}
		if _, err := n.height(m.Digest, 0); err != nil {
			return err
		}
	}
	return nil
}

// nesting measures how deep manifests lie in each other. No true one holds
// itself, but a text can say so.
type nesting struct {
	inv     *Inventory
	heights map[digest.Digest]int // 0 while it is being measured
}

func (n *nesting) height(d digest.Digest, depth int) (int, error) {
	m := n.inv.manifests[d]
	if m == nil {
		return 0, fmt.Errorf("manifest %s is needed and not listed", d)
	}
	height, known := n.heights[d]
	if depth+height >= maxNesting || (known && height == 0) {
		return 0, fmt.Errorf("manifest %s lies over %d deep, or in itself", d, maxNesting)
	}
	if known {
		return height, nil
	}
	n.heights[d] = 0
	height = 1
	for _, child := range m.Manifests {
		below, err := n.height(child.Digest, depth+1)
		if err != nil {
			return 0, err
		}
		height = max(height, below+1)
	}
	for _, b := range m.Blobs {
		if _, ok := n.inv.Blob(b.Digest); !ok && len(b.URLs) == 0 {
			return 0, fmt.Errorf("blob %s is needed and not listed", b.Digest)
		}
	}
	n.heights[d] = height
	return height, nil
}
