package main

import (
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/plan/plantest"
	"github.com/seed-5b48bd9d/drydock/pkg/serve"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

// TestServeDamaged serves a damaged tree whose blobs nobody hashed: of each image
// that is called whole when all is hashed, every byte is served, and of no other.
func TestServeDamaged(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 23))
			root := filepath.Join(t.TempDir(), "registry")
			if err := randomTree(random).WriteTo(root); err != nil {
				t.Fatal(err)
			}
			v2 := filepath.Join(root, storagetest.V2)
			damageTenth(t, random, v2)
			whole := calledWhole(drydock(t, nil, "list", root, "-o", "json", "--read-data"))

			l := plantest.Load(t, root, nil, plan.Rules{})
			server := httptest.NewServer(serve.New(l.Source, l.Index, l.Plan, nil))
			defer server.Close()
			s := serverOver{t: t, url: server.URL, v2: v2}
			served, not := 0, 0
			for _, name := range tagsIn(v2) {
				lacks := s.lacks(name)
				switch is := slices.Contains(whole, name); {
				case is && len(lacks) > 0:
					t.Errorf("%s is called whole, and not served: %s", name, lacks[0].what)
				case !is && len(lacks) == 0:
					t.Errorf("%s is served, and not called whole", name)
				case is:
					served++
				default:
					not++
				}
			}
			t.Logf("%d served, %d not", served, not)
			if served < 30 || not < 10 {
				t.Error("this tree shows too little")
			}
		})
	}
}
