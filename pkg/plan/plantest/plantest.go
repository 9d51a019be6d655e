// Package plantest reads and plans sources for tests, as the commands do.
package plantest

import (
	"context"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// Tree is a registry's storage, or layouts, with all that was found in it.
type Tree struct {
	Source source.Source
	Index  *storage.Index
	Plan   *plan.Plan
}

// Load opens the source at a location for as long as the test runs, scans it and
// plans what it holds. What cannot be done fails the test. opts may be nil.
func Load(t testing.TB, location string, opts *source.Options, rules plan.Rules) *Tree {
	t.Helper()
	ctx := context.Background() // a test's own is over before its cleanup
	src, err := source.Open(ctx, location, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	x, err := storage.Scan(ctx, src, &storage.ScanOptions{KeepIndexes: true})
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.New(x, rules)
	if err != nil {
		t.Fatal(err)
	}
	return &Tree{src, x, p}
}
