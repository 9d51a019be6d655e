package bundle

import (
	"iter"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/dirlayout"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
)

// layout is the directory of one image, as package dirlayout makes it.
type layout struct {
	name  string // below the archive's root
	image *plan.Image
}

// file is one file of a layout: a manifest's or a blob's.
type file struct {
	name   string // in the layout
	digest digest.Digest
	blob   bool
}

// files gives a layout's files in their order in the archive, manifests first.
// The version is not among them.
func (l layout) files() iter.Seq[file] {
	return func(yield func(file) bool) {
		if !yield(file{name: "manifest.json", digest: l.image.Manifest.Digest}) {
			return
		}
		for _, m := range l.image.Manifests {
			if m.Digest == l.image.Manifest.Digest {
				continue
			}
			for _, name := range dirlayout.FileNames(m.Digest, ".manifest.json") {
				if !yield(file{name: name, digest: m.Digest}) {
					return
				}
			}
		}
		for _, b := range l.image.Blobs {
			for _, name := range dirlayout.FileNames(b.Digest, "") {
				if !yield(file{name: name, digest: b.Digest, blob: true}) {
					return
				}
			}
		}
	}
}

// version is what the layout's file of that name says.
func (l layout) version() string {
	for f := range l.files() {
		if f.name != "manifest.json" && f.digest.Algorithm() != digest.Canonical {
			return dirlayout.Version1_2
		}
	}
	return dirlayout.Version1_1
}

// time is what the layout's directory has: when the tag was last pushed.
func (l layout) time() time.Time {
	if t := wholeSeconds(l.image.Updated); !t.IsZero() {
		return t
	}
	return time.Unix(0, 0)
}
