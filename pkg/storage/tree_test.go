package storage_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

// sound is a tree with one image that is well, to which a test adds damages.
const sound = `
image app amd64 base top
tag library/app v1 app
`

// multi is a tree with an image index of two platforms.
const multi = `
image amd amd64 base top
image arm arm64 base top-arm
index multi amd arm
tag library/app v1 multi
`

// build writes a tree and gives its registry's root directory.
func build(t *testing.T, text string) (*storagetest.Builder, string) {
	t.Helper()
	return storagetest.Make(t, text)
}

func open(t *testing.T, dir string) source.Source {
	t.Helper()
	src, err := source.Open(context.Background(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

func scan(t *testing.T, dir string, opts storage.ScanOptions) *storage.Index {
	t.Helper()
	x, err := storage.Scan(context.Background(), open(t, dir), &opts)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// describe tells of each tag, and of each image without one, whether it can be
// carried, in symbolic names.
func describe(b *storagetest.Builder, x *storage.Index) []string {
	var lines []string
	for r := range x.Repositories() {
		for _, tags := range [][]storage.Tag{r.Tags, r.Deleted} {
			for _, t := range tags {
				lines = append(lines, r.Name+":"+t.Name+" "+describeTag(x, t))
			}
		}
		for _, m := range r.Untagged() {
			lines = append(lines, r.Name+"@"+m.Digest.String()+" "+describeTag(x, storage.Tag{Digest: m.Digest}))
		}
	}
	return symbolic(b, lines)
}

func describeTag(x *storage.Index, t storage.Tag) string {
	if t.Problem != nil {
		line := string(t.Problem.Code)
		if t.Candidate != "" {
			line += ", perhaps " + t.Candidate.String()
		}
		return line
	}
	c := x.Closure(t.Digest)
	if c.Whole() {
		return "whole"
	}
	var problems []string
	for _, p := range c.Problems {
		problems = append(problems, fmt.Sprintf("%s %s", p.Code, p.Digest))
	}
	return strings.Join(problems, ", ")
}

// findings gives one line for each: level, code, image and path.
func findings(b *storagetest.Builder, x *storage.Index) []string {
	var lines []string
	for _, f := range x.Findings() {
		line := fmt.Sprintf("%s %s", f.Level, f.Code)
		if f.Image() != "" {
			line += " " + f.Image()
		}
		lines = append(lines, line+" "+f.Path)
	}
	return symbolic(b, lines)
}

func symbolic(b *storagetest.Builder, lines []string) []string {
	if len(lines) == 0 {
		return nil
	}
	all := strings.Split(strings.ReplaceAll(b.Symbolic(strings.Join(lines, "\n")), "sha256:<", "<"), "\n")
	slices.Sort(all) // digests have no order that a person knows
	return all
}

func lines(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	slices.Sort(all)
	return all
}

func v2(dir string) string { return filepath.Join(dir, filepath.FromSlash(storagetest.V2)) }

func digests(descriptors []*ocispec.Descriptor) []digest.Digest {
	var all []digest.Digest
	for _, d := range descriptors {
		all = append(all, d.Digest)
	}
	return all
}
