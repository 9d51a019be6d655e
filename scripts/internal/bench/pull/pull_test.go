package pull_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/plan/plantest"
	"github.com/seed-5b48bd9d/drydock/pkg/serve"
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
	l := plantest.Load(t, dir, nil, plan.Rules{})
	server := httptest.NewServer(serve.New(l.Source, l.Index, l.Plan, nil))
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
	for _, blob := range l.Plan.Images[0].Blobs {
		if err := os.Truncate(filepath.Join(dir, "docker/registry/v2", l.Index.Path(blob.Digest)), 1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := pull.All(t.Context(), server.URL, shape.Names(), 1); err == nil {
		t.Error("no error for blobs that are not there")
	}
}
