package tree

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// WrongSizeError says that the tree has a blob of another size under a digest. It
// is left as it is.
type WrongSizeError struct {
	Digest     digest.Digest
	Path       string // in the tree
	Size, Want int64  // bytes
}

func (e *WrongSizeError) Error() string {
	return fmt.Sprintf("%s is there with %d bytes, and should have %d", e.Path, e.Size, e.Want)
}

func (e *WrongSizeError) finding() report.Finding {
	f := report.TargetBlob.New(fmt.Sprintf("%d bytes; the source's blob has %d", e.Size, e.Want))
	f.Digest, f.Path = e.Digest.String(), e.Path
	return f
}

// WrongLinkError says that the tree has a link that does not name what it should.
// It is left as it is.
type WrongLinkError struct {
	Repository string
	Digest     digest.Digest // that it should name
	Path       string        // in the tree
	Content    string        // the beginning of it
}

func (e *WrongLinkError) Error() string {
	return fmt.Sprintf("%s is there and holds %q, which should be %s", e.Path, e.Content, e.Digest)
}

func (e *WrongLinkError) finding() report.Finding {
	f := report.TargetLink.New(fmt.Sprintf("it holds %q", e.Content))
	f.Repository, f.Digest, f.Path = e.Repository, e.Digest.String(), e.Path
	return f
}

// ErrTagTaken is wrapped where a tag is there and names another manifest.
var ErrTagTaken = errors.New("the tag is there already, and names another manifest")

// ErrIsSource is wrapped where the tree is the source's own, lies in it or around
// it: the source is never written to.
var ErrIsSource = errors.New("it is the source's own storage, or lies in it or around it, and the source is never written to")

// find notes what is wrong with the tree, once.
func (t *Tree) find(f report.Finding) {
	t.mu.Lock()
	t.found[f.Path] = f
	t.mu.Unlock()
}

// Findings is what turned out to be wrong with the tree as it was found, sorted.
// Paths are relative to it.
func (t *Tree) Findings() []report.Finding {
	t.mu.Lock()
	defer t.mu.Unlock()
	findings := slices.Collect(maps.Values(t.found))
	report.SortFindings(findings)
	return findings
}
