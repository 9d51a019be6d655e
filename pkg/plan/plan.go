// Package plan decides, before anything is written, which images of an Index go
// where: New applies Rules, and the Plan says for each image its source, its
// target, its manifests and its blobs. It is pure: the same Index and the same
// rules give the same plan.
package plan

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// Plan is what is to be done.
type Plan struct {
	Images   []Image          // subjects before what refers to them, then by name
	LeftOut  []LeftOut        // chosen, but not to be carried
	Findings []report.Finding // about what was chosen and about the tree, sorted
	Untagged int              // manifests that nothing reaches, and that were not asked for
}

// Image is one image to carry.
type Image struct {
	Source, Target Reference
	Manifest       *ocispec.Descriptor   // not nil; shared, as all of a Closure is
	Manifests      []*ocispec.Descriptor // children before parents, Manifest last
	Blobs          []*ocispec.Descriptor // each once

	ArtifactType string
	Platforms    []string
	Size         int64         // bytes of manifests and blobs, each once
	Updated      time.Time     // when the tag was last pushed
	Subject      digest.Digest // what it refers to; empty for most
	Depth        int           // how many images it refers to, one through the other
	Recovered    bool          // its digest is the tag's Candidate
	Trim         *Trim         // set where its index is cut
}

// LeftOut is an image that was chosen and cannot be carried.
type LeftOut struct {
	Image
	Code   report.Code // the first reason's
	Reason string
	// Missing are the digests that are absent or damaged.
	Missing []digest.Digest
}

// Incomplete tells whether it is left out for the lack of a part, rather than
// for its target.
func (l LeftOut) Incomplete() bool {
	return l.Code != report.TargetName && l.Code != report.TargetCollision
}

// Reference names an image: by its tag or, where that is empty, by its digest.
type Reference struct {
	Repository, Tag string
	Digest          digest.Digest
}

// String is "repository:tag" or "repository@digest".
func (r Reference) String() string { return report.Name(r.Repository, r.Tag, r.Digest.String()) }

// Compare orders references by repository, tag and digest.
func (r Reference) Compare(o Reference) int {
	return cmp.Or(
		cmp.Compare(r.Repository, o.Repository),
		cmp.Compare(r.Tag, o.Tag),
		cmp.Compare(r.Digest, o.Digest),
	)
}

// LayoutPath is the image's directory below the layouts: "library/app:v1", or
// "library/app@sha256:…" where no tag names it.
func (i Image) LayoutPath() string {
	return report.Name(i.Source.Repository, i.Source.Tag, i.Manifest.Digest.String())
}

// ErrIncomplete is returned by New where the rules say that nothing is to be
// done unless every image is whole.
var ErrIncomplete = errors.New("some images are incomplete")

// New decides. Errors are bad rules, and ErrIncomplete beside a plan that says
// which images are meant.
func New(x *storage.Index, rules Rules) (*Plan, error) {
	if err := rules.Check(); err != nil {
		return nil, err
	}
	p := &Plan{Images: make([]Image, 0, rules.most(x))}
	for r := range x.Repositories() {
		s := newSelection(x, r, &rules)
		p.Untagged += s.unasked()
		for _, c := range s.choose() {
			p.add(s.image(c))
		}
	}
	if rules.Target != nil {
		p.mapTargets(rules.Target)
	}
	p.sort()
	p.gatherFindings(x, &rules)
	if n := p.incomplete(); rules.Incomplete == Fail && n > 0 {
		return p, fmt.Errorf("%w: %d of %d", ErrIncomplete, n, n+len(p.Images))
	}
	return p, nil
}

func (p *Plan) add(images []Image, leftOut *LeftOut) {
	p.Images = append(p.Images, images...)
	if leftOut != nil {
		p.LeftOut = append(p.LeftOut, *leftOut)
	}
}

func (p *Plan) incomplete() int {
	n := 0
	for _, l := range p.LeftOut {
		if l.Incomplete() {
			n++
		}
	}
	return n
}

func (p *Plan) sort() {
	slices.SortStableFunc(p.Images, func(a, b Image) int {
		return cmp.Or(cmp.Compare(a.Depth, b.Depth), a.Source.Compare(b.Source))
	})
	slices.SortStableFunc(p.LeftOut, func(a, b LeftOut) int { return a.Source.Compare(b.Source) })
}

// Whole tells whether everything that was chosen is in Images, and nothing of
// the tree that might hold images was passed over.
func (p *Plan) Whole() bool {
	if len(p.LeftOut) > 0 {
		return false
	}
	return !slices.ContainsFunc(p.Findings, func(f report.Finding) bool { return f.Level == report.Skip })
}

// Overlooked tells whether something could not be read or named, so that there
// may be images that are not in the plan at all.
func (p *Plan) Overlooked() bool {
	return slices.ContainsFunc(p.Findings, func(f report.Finding) bool {
		return f.Level == report.Skip && (f.Code == report.Unreadable || (f.Tag == "" && f.Digest == ""))
	})
}

// Bytes is the size of all blobs of the plan's images, each once.
func (p *Plan) Bytes() (bytes int64, blobs int) {
	seen := map[digest.Digest]bool{}
	for _, i := range p.Images {
		for _, b := range i.Blobs {
			if !seen[b.Digest] {
				seen[b.Digest] = true
				bytes += b.Size
			}
		}
	}
	return bytes, len(seen)
}
