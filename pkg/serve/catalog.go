package serve

import (
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// catalog is what there is to serve.
type catalog struct {
	repositories map[string]*repository
	names        []string // of the repositories, sorted
	images       int
}

// repository is what a repository shows: no more than its images need.
type repository struct {
	name      string
	tags      map[string]digest.Digest
	tagNames  []string // sorted
	manifests map[digest.Digest]manifest
	blobs     map[digest.Digest]int64           // sizes, bytes
	referrers map[digest.Digest][]digest.Digest // by subject, sorted
}

// manifest is a manifest to serve.
type manifest struct {
	ocispec.Descriptor
	children []*ocispec.Descriptor
	content  []byte // of an index that was cut; nil: it lies in the source
}

func newCatalog(x *storage.Index, p *plan.Plan) (catalog, []plan.Image) {
	c := catalog{repositories: map[string]*repository{}}
	var elsewhere []plan.Image
	for _, i := range p.Images {
		if away(x, i) {
			elsewhere = append(elsewhere, i)
			continue
		}
		c.images++
		c.repository(i.Source.Repository).add(x, i)
	}
	for name, r := range c.repositories {
		c.names = append(c.names, name)
		r.sort()
	}
	slices.Sort(c.names)
	return c, elsewhere
}

// away tells of an image of which a part is not in the source.
func away(x *storage.Index, i plan.Image) bool {
	for _, list := range [][]*ocispec.Descriptor{i.Manifests, i.Blobs} {
		for _, d := range list {
			if _, away := x.Away(d.Digest); away {
				return true
			}
		}
	}
	return false
}

func (c *catalog) repository(name string) *repository {
	r := c.repositories[name]
	if r == nil {
		r = &repository{
			name: name, tags: map[string]digest.Digest{}, manifests: map[digest.Digest]manifest{},
			blobs: map[digest.Digest]int64{}, referrers: map[digest.Digest][]digest.Digest{},
		}
		c.repositories[name] = r
	}
	return r
}

func (r *repository) add(x *storage.Index, i plan.Image) {
	if i.Source.Tag != "" {
		r.tags[i.Source.Tag] = i.Manifest.Digest
	}
	for _, d := range i.Manifests {
		if _, there := r.manifests[d.Digest]; !there {
			r.addManifest(x, i, d)
		}
	}
	for _, b := range i.Blobs {
		r.blobs[b.Digest] = b.Size
	}
}

func (r *repository) addManifest(x *storage.Index, i plan.Image, d *ocispec.Descriptor) {
	m := manifest{Descriptor: *d}
	parsed := x.Manifest(d.Digest)
	if i.Trim != nil && i.Trim.Contents[d.Digest] != nil {
		m.content = i.Trim.Contents[d.Digest]
		parsed, _ = storage.ParseManifest(m.content, d.Digest, d.MediaType) // it was parsed when it was made
	}
	if parsed != nil {
		m.children = parsed.Manifests
		if s := parsed.Subject; s != nil {
			r.referrers[s.Digest] = append(r.referrers[s.Digest], d.Digest)
		}
	}
	r.manifests[d.Digest] = m
}

func (r *repository) sort() {
	for tag := range r.tags {
		r.tagNames = append(r.tagNames, tag)
	}
	slices.Sort(r.tagNames)
	for _, list := range r.referrers {
		slices.Sort(list)
	}
}
