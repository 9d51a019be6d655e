package harbor_test

import (
	"context"
	"fmt"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor"
	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/push"
)

// Ask what would be refused, before anything is sent.
func ExampleHarbor_Preflight() {
	server, err := harbortest.New(nil)
	if err != nil {
		panic(err)
	}
	defer server.Close()
	server.CreateProject("cache", harbortest.Project{ProxyCache: true})
	server.CreateProject("mig", harbortest.Project{StorageLimit: 10 << 30})

	ctx := context.Background()
	registry, err := push.Dial(ctx, plan.Destination{Host: server.Host(), PlainHTTP: true}, &push.Options{Username: "admin", Password: "Harbor12345"})
	if err != nil {
		panic(err)
	}
	h, err := harbor.Detect(ctx, registry)
	if err != nil {
		panic(err)
	}
	report, err := h.Preflight(ctx, harbor.Ask{Username: registry.Username(), Projects: []harbor.Need{
		{Name: "cache", Bytes: 1 << 20}, {Name: "mig", Bytes: 12 << 30}, {Name: "nope", Bytes: 1 << 20},
	}})
	if err != nil {
		panic(err)
	}
	for _, p := range report.Problems {
		fmt.Println(p)
	}
	// Output:
	// project nope: it does not exist
	// project cache: it is a proxy cache of another registry, which nobody can push to
	// project mig: it may hold 10 GiB, and holds 0 B; up to 12 GiB would be sent to it
}
