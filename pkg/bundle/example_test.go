package bundle_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/seed-5b48bd9d/drydock/pkg/bundle"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// A bundle of the charts in a registry's storage: what it is going to hold, and
// then the archive.
func Example() {
	ctx := context.Background()
	src, err := source.Open(ctx, "../../testdata/distribution-3", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer src.Close()
	x, err := storage.Scan(ctx, src, nil)
	if err != nil {
		log.Fatal(err)
	}
	p, err := plan.New(x, plan.Rules{Include: []string{"charts/**"}})
	if err != nil {
		log.Fatal(err)
	}
	b, err := bundle.New(x, p, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d blobs and manifests in %d bytes\n", b.Carried(), b.Size())

	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	res, err := b.WriteFile(ctx, src, dir+"/charts.tar")
	if err != nil {
		log.Fatal(err)
	}
	for _, o := range res.Outcomes {
		fmt.Println(o.Status, o.Source)
	}
	// Output:
	// 3 blobs and manifests in 10240 bytes
	// done charts/web:0.1.0
}
