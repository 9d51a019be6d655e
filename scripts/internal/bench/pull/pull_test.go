package pull_test

import (
	"net/http/httptest"
	"os"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/serve"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/pull"
	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/tree"
)

// TestAll takes all of a small tree, and what a damaged one has not.
func TestAll(t *testing.T) {
	shape := tree.L.First(2)
	dir, err := tree.Cached(t.Context(), t.TempDir(), shape, 1)
	if err != nil {
		t.Fatal(err)
	}
	src, err := source.Open(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	x, err := storage.Scan(t.Context(), src, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.New(x, plan.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(serve.New(src, x, p, nil))
	defer server.Close()
	counts, err := pull.All(t.Context(), server.URL, shape.Names(), 4)
	if err != nil {
		t.Fatal(err)
	}
	// Each repository: its tags, what these name, and blobs of which tags share many.
	if counts.Requests < int64(2*shape.AllTags()) || counts.Bytes < 1<<20 {
		t.Errorf("%+v", counts)
	}
	if _, err := pull.All(t.Context(), server.URL, []string{"no/such"}, 1); err == nil {
		t.Error("no error for a repository that is not there")
	}
	for d := range p.Images[0].Blobs {
		if err := os.Truncate(dir+"/docker/registry/v2/"+x.Path(p.Images[0].Blobs[d].Digest), 1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := pull.All(t.Context(), server.URL, shape.Names(), 1); err == nil {
		t.Error("no error for blobs that are not there")
	}
}
