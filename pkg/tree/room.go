package tree

import (
	"errors"
	"iter"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// Room is how many bytes blobs of these sizes would take that are not there, each
// counted once: none where they can share those of the source's own files, as is
// tried with one of them.
func (t *Tree) Room(blobs iter.Seq2[digest.Digest, int64]) (bytes int64) {
	seen := map[digest.Digest]bool{}
	shares, tried := false, false
	for d, size := range blobs {
		if seen[d] || d.Validate() != nil {
			continue
		}
		seen[d] = true
		if there, err := t.has(storage.BlobPath(d), d, size); there || err != nil {
			continue // what is wrong is said when it comes to it
		}
		bytes += size
		if !tried {
			shares, tried = t.tryShare(t.opts.Path(d))
		}
	}
	if shares {
		return 0
	}
	return bytes
}

// tryShare tries whether a file of the source can be linked into the tree, and
// tells whether that says something of the others.
func (t *Tree) tryShare(name string) (shares, tried bool) {
	if t.local == nil || t.opts.Link == link.Copy {
		return false, true
	}
	from, ok := t.local.LocalPath(name)
	if !ok || t.regular(name) != nil {
		return false, false
	}
	s, err := t.stage("data")
	if err != nil {
		return false, false
	}
	defer s.remove()
	_, err = t.share(from, s.file)
	return err == nil, err == nil || errors.Is(err, errNotShared)
}
