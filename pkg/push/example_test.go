package push_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/seed-5b48bd9d/drydock/pkg/dirlayout"
	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/push"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// One image goes from a registry's storage into Harbor, by way of its layout.
func Example() {
	harbor, err := harbortest.New(nil)
	check(err)
	defer harbor.Close()
	harbor.CreateProject("mig", harbortest.Project{})

	ctx := context.Background()
	src, err := source.Open(ctx, "../../testdata/distribution-3", nil)
	check(err)
	defer src.Close()
	index, err := storage.Scan(ctx, src, nil)
	check(err)
	p, err := plan.New(index, plan.Rules{Include: []string{"team/app/web:1.0"}, Target: &plan.Target{Prefix: "mig"}})
	check(err)
	dir, err := os.MkdirTemp("", "layouts")
	check(err)
	defer os.RemoveAll(dir)
	layouts, err := dirlayout.Open(dir, src, &dirlayout.Options{Path: index.Path})
	check(err)
	defer layouts.Close()

	to := plan.Destination{Host: harbor.Host(), PlainHTTP: true}
	registry, err := push.Dial(ctx, to, &push.Options{Username: "admin", Password: "Harbor12345"})
	check(err)
	image := p.Images[0]
	_, err = layouts.Write(ctx, image)
	check(err)
	layout, err := push.Layout(layouts.Path(image))
	check(err)
	for range 2 {
		outcome, err := registry.Push(ctx, layout, image)
		check(err)
		fmt.Println(image.Target, outcome.Status, outcome.Uploaded, "blobs sent")
		registry, err = push.Dial(ctx, to, &push.Options{Username: "admin", Password: "Harbor12345"})
		check(err)
	}
	// Output:
	// mig/team/app/web:1.0 done 5 blobs sent
	// mig/team/app/web:1.0 skipped 0 blobs sent
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
