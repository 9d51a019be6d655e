package storage_test

import (
	"context"
	"fmt"
	"log"

	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// What is in a registry's storage, and is it whole?
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
	for r := range x.Repositories() {
		if r.Name != "library/alpine" && r.Name != "charts/web" {
			continue
		}
		for _, tag := range r.Tags {
			c := x.Closure(tag.Digest)
			fmt.Println(r.Name+":"+tag.Name, c.Platforms, c.Size, "bytes, whole:", c.Whole())
		}
	}
	// Output:
	// charts/web:0.1.0 [] 1351 bytes, whole: true
	// library/alpine:3.20 [linux/amd64] 1061 bytes, whole: true
	// library/alpine:latest [linux/amd64 linux/arm64/v8 linux/arm/v7] 6619 bytes, whole: true
}
