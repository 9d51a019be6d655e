package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
)

// The largest images go first, but none before what it refers to; the plan stays
// as it is.
func TestLargestFirst(t *testing.T) {
	named := func(tag string, depth int, size int64) plan.Image {
		return plan.Image{Source: plan.Reference{Repository: "app", Tag: tag}, Depth: depth, Size: size}
	}
	p := &plan.Plan{Images: []plan.Image{
		named("small", 0, 1), named("large", 0, 9), named("middle", 0, 5), named("another", 0, 5),
		named("signature", 1, 2), named("list", 1, 20),
	}}
	tags := func(p *plan.Plan) (all []string) {
		for _, i := range p.Images {
			all = append(all, i.Source.Tag)
		}
		return all
	}
	before := tags(p)
	want := []string{"large", "middle", "another", "small", "list", "signature"}
	if diff := cmp.Diff(want, tags(largestFirst(p))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, tags(p)); diff != "" {
		t.Errorf("the plan itself (-want +got):\n%s", diff)
	}
}
