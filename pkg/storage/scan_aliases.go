package storage

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// settleAliases finds the blobs that manifests name by another algorithm than
// sha256. distribution keeps every blob under its sha256, whatever digest it
// was pushed under; the repository's layer link of that digest names the sha256.
func (s *scanner) settleAliases(ctx context.Context) error {
	if !s.needsAliases() {
		return nil
	}
	inOrder := func(a, b *Repository) int { return strings.Compare(a.Name, b.Name) }
	for _, r := range slices.SortedFunc(slices.Values(s.repositories), inOrder) {
		for _, d := range s.aliasesOf(r) {
			if err := ctx.Err(); err != nil {
				return err
			}
			s.readAlias(r, d)
		}
	}
	return nil
}

func (s *scanner) isAlias(d digest.Digest) bool {
	return d.Algorithm() != digest.Canonical && (s.blobs[d] == nil || s.blobs[d].problem() != "")
}

func (s *scanner) needsAliases() bool {
	for _, file := range s.manifests {
		for c := range file.names() {
			if s.isAlias(c.Digest) {
				return true
			}
		}
	}
	return false
}

// aliasesOf gives the digests that a repository's manifests name and nothing
// is kept under.
func (s *scanner) aliasesOf(r *Repository) []digest.Digest {
	var aliases []digest.Digest
	seen := map[digest.Digest]bool{}
	var visit func(digest.Digest)
	visit = func(d digest.Digest) {
		if seen[d] {
			return
		}
		seen[d] = true
		for c := range s.manifests[d].names() {
			if s.isAlias(c.Digest) && !seen[c.Digest] {
				aliases = append(aliases, c.Digest)
			}
			visit(c.Digest)
		}
	}
	for d := range r.revisions {
		visit(d)
	}
	for _, tags := range [][]Tag{r.Tags, r.Deleted} {
		for _, t := range tags {
			visit(t.Digest)
			visit(t.Candidate)
		}
	}
	return aliases
}

// readAlias files a blob that is kept under its sha256 under its own digest as
// well. What the link says is only believed once it is hashed.
func (s *scanner) readAlias(r *Repository, d digest.Digest) {
	l := readLink(s.fsys, LayerLinkPath(r.Name, d))
	code := report.BlobMissing
	switch {
	case l.problem == absent || l.digest == d:
		return
	case l.problem == report.Unreadable:
		code = report.Unreadable
		fallthrough
	case l.problem != "":
		s.blobs[d] = bad(code, fmt.Sprintf("its layer link in %s: %s", r.Name, l.detail))
		return
	}
	if s.blobs[l.digest] == nil {
		s.scanBlob(l.digest)
	}
	alias := s.blob(l.digest)
	odd := *alias.oddity()
	odd.kept = l.digest
	alias.digest, alias.hashed, alias.odd = d, false, &odd
	s.blobs[d] = &alias
}
