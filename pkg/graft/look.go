package graft

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
	"github.com/seed-5b48bd9d/drydock/pkg/tree"
)

// View looks into a storage that is said to be the target's, and writes nothing.
type View struct{ tree *tree.View }

// Look prepares for that. The directory is as for Open.
func Look(dir string) (*View, error) {
	v, err := tree.Look(dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil, report.WithHint(err, mustWrite)
	}
	if err != nil {
		return nil, err
	}
	return &View{v}, nil
}

// A Lack is what a storage does not have of an image that the target has; its zero
// value is nothing.
type Lack struct {
	What      string // in words
	Manifests bool   // it lacks some of these
}

// Lacks says what of an image a repository does not have in the storage, or why
// that cannot be told. Layers that are kept elsewhere need not be there: whoever
// pushed the image may have left them out. Of manifests, those are not looked for that
// registries may keep under another digest: of docker's first schema, and of other
// algorithms than sha256. The error is for whoever may not look.
func (v *View) Lacks(repository string, blobs, manifests []*ocispec.Descriptor) (lack Lack, err error) {
	more := 0
	add := func(d *ocispec.Descriptor, err error) {
		switch {
		case lack.What != "":
			more++
		case err != nil:
			lack.What = err.Error()
		default:
			lack.What = fmt.Sprintf("%s, %d bytes", d.Digest, d.Size)
		}
	}
	for _, b := range blobs {
		has, err := v.tree.Has(repository, b.Digest, b.Size)
		if errors.Is(err, fs.ErrPermission) {
			return Lack{}, report.WithHint(err, mustWrite)
		}
		if err != nil || (!has && len(b.URLs) == 0) {
			add(b, err)
		}
	}
	for _, m := range manifests {
		if storage.IsSchema1(m.MediaType) || m.Digest.Algorithm() != digest.Canonical {
			continue
		}
		has, err := v.tree.HasManifest(repository, m.Digest)
		if errors.Is(err, fs.ErrPermission) {
			return Lack{}, report.WithHint(err, mustWrite)
		}
		if err != nil || !has {
			add(m, err)
			lack.Manifests = true
		}
	}
	if more > 0 {
		lack.What += fmt.Sprintf(", and %d more", more)
	}
	return lack, nil
}
