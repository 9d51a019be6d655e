package extract

import (
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// Choice says which image is meant.
type Choice struct {
	Reference plan.Reference
	// Platform is os/architecture[/variant], of an index; empty: all of it.
	Platform string
	// Host is the platform that is taken of an index where the format has room for
	// one alone, and Platform is empty.
	Host    string
	Format  Format
	Recover bool // take the candidate of a broken tag
}

// Find finds an image in a source, and holds that all of it is there, as far as
// the index knows.
func Find(src source.Source, x *storage.Index, c Choice) (*Image, error) {
	ref, err := resolve(x, c.Reference, c.Recover)
	if err != nil {
		return nil, err
	}
	platform := c.Platform
	if platform == "" && c.Format == DockerArchive {
		platform = c.Host
	}
	d := ref.Digest
	if m := x.Manifest(d); m != nil && platform != "" {
		if d, err = pick(x, m, ref, platform, c.Platform != ""); err != nil {
			return nil, err
		}
	}
	i := &Image{Reference: ref, src: src, index: x}
	if err := i.close(d); err != nil {
		return nil, fmt.Errorf("extracting %s: %w", ref, err)
	}
	return i, i.fits(c.Format)
}

// resolve finds the digest that a reference means.
func resolve(x *storage.Index, ref plan.Reference, recover bool) (plan.Reference, error) {
	r := x.Repository(ref.Repository)
	if r == nil {
		return ref, report.WithHint(fmt.Errorf("no repository %s in the source", ref.Repository), "drydock list SOURCE -o names shows what there is")
	}
	if ref.Tag == "" {
		if !slices.ContainsFunc(r.Manifests, func(m *storage.Manifest) bool { return m.Digest == ref.Digest }) {
			return ref, fmt.Errorf("repository %s has no manifest %s", ref.Repository, ref.Digest)
		}
		return ref, nil
	}
	t, ok := r.Tag(ref.Tag)
	if !ok {
		if at := slices.IndexFunc(r.Deleted, func(t storage.Tag) bool { return t.Name == ref.Tag }); recover && at >= 0 && r.Deleted[at].Candidate != "" {
			ref.Digest = r.Deleted[at].Candidate
			return ref, nil
		}
		return ref, report.WithHint(fmt.Errorf("repository %s has no tag %s", ref.Repository, ref.Tag), tagsOf(r))
	}
	ref.Digest = t.Digest
	switch {
	case t.Problem == nil:
	case recover && t.Candidate != "":
		ref.Digest = t.Candidate
	default:
		err := fmt.Errorf("tag %s: %s", ref.String(), t.Problem.Code.Kind().Means)
		return ref, report.WithHint(err, t.Problem.Code.Kind().Advice)
	}
	return ref, nil
}

const shownTags = 10

func tagsOf(r *storage.Repository) string {
	var names []string
	for _, t := range r.Tags {
		names = append(names, t.Name)
	}
	switch {
	case len(names) == 0:
		return "it has none; " + r.Name + "@DIGEST takes an image without one"
	case len(names) > shownTags:
		return fmt.Sprintf("it has %s and %d more", strings.Join(names[:shownTags], ", "), len(names)-shownTags)
	}
	return "it has " + strings.Join(names, ", ")
}

// close gathers what the image needs.
func (i *Image) close(d digest.Digest) error {
	c := i.index.Closure(d)
	if !c.Whole() {
		first := c.Problems[0]
		err := fmt.Errorf("it is incomplete: %s: %s", first.Code.Kind().Means, first.Digest)
		if len(c.Problems) > 1 {
			err = fmt.Errorf("%w and %d more", err, len(c.Problems)-1)
		}
		return report.WithHint(err, i.whole(d))
	}
	for _, list := range [][]*ocispec.Descriptor{c.Manifests, c.Blobs} {
		for _, one := range list {
			if _, away := i.index.Away(one.Digest); away {
				return fmt.Errorf("%s is not in this bundle, but in the one that it builds on", one.Digest)
			}
		}
	}
	i.Manifests, i.Blobs, i.Size = c.Manifests, c.Blobs, c.Size
	i.Manifest = *c.Manifests[len(c.Manifests)-1]
	return nil
}

// whole says which platforms of an incomplete index can be had.
func (i *Image) whole(d digest.Digest) string {
	m := i.index.Manifest(d)
	if m == nil {
		return "drydock check SOURCE says what is wrong"
	}
	all := slices.DeleteFunc(offers(i.index, m, map[digest.Digest]bool{}), func(o offer) bool { return !i.index.Closure(o.digest).Whole() })
	if len(all) == 0 {
		return "drydock check SOURCE says what is wrong"
	}
	return "--platform takes what is whole of it: " + names(all)
}

// fits says why the format cannot hold the image.
func (i *Image) fits(f Format) error {
	m := i.index.Manifest(i.Manifest.Digest)
	if storage.IsSchema1(m.MediaType) {
		return report.WithHint(fmt.Errorf("%s is of docker's first schema, which neither layouts nor archives hold", i.Reference),
			"drydock serve SOURCE shows it to clients that know it")
	}
	if f != DockerArchive {
		return nil
	}
	if len(m.Blobs) == 0 || !storage.IsImageConfig(m.Blobs[0].MediaType) {
		return report.WithHint(fmt.Errorf("%s is no image that docker runs, but %s", i.Reference, m.ArtifactType), "--format oci-archive takes it")
	}
	for _, b := range m.Blobs {
		if _, ok := i.index.Blob(b.Digest); !ok {
			return report.WithHint(fmt.Errorf("layer %s of %s is kept elsewhere, and docker's archives hold all layers", b.Digest, i.Reference), "--format oci-archive takes it")
		}
	}
	return nil
}
