package storage_test

import (
	"fmt"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/storage"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

// An index of thousands of manifests may have as many tags: what it needs is
// gathered once.
func TestClosureIsKept(t *testing.T) {
	b := storagetest.New()
	var all []string
	for n := range 100 {
		all = append(all, fmt.Sprint("image", n))
		b.Image(all[n], "amd64", "base")
	}
	b.Index("wide", all...)
	b.Tag("library/app", "v1", "wide")
	x := scan(t, b.Dir(t), storage.ScanOptions{})
	if first, again := x.Closure(b.Digest("wide")), x.Closure(b.Digest("wide")); first != again || !first.Whole() || len(first.Manifests) != 101 {
		t.Errorf("first %+v, then %+v", first, again)
	}
}
