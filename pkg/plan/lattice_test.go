package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
)

// Indexes may hold one another by more ways than anyone can go: here, there are
// 2 to the power of 40 from the top to each image, of which one is not whole.
func TestLattice(t *testing.T) {
	var text strings.Builder
	fmt.Fprint(&text, "image ok amd64 base\nimage bad arm64 gone\nindex a0 ok bad\nindex b0 bad ok\n")
	const levels = 40
	for n := range levels {
		fmt.Fprintf(&text, "index a%d a%d b%d\nindex b%d b%d a%d\n", n+1, n, n, n+1, n, n)
	}
	// Written as they stand: to push it would go every way.
	for _, place := range []string{fmt.Sprintf("revision:app@a%d", levels), "tag:app:top", "tag:app:again"} {
		fmt.Fprintf(&text, "write %s sha256:<a%d>\n", place, levels)
	}
	fmt.Fprint(&text, "remove blob:gone\n")
	tr := parse(t, text.String())

	p := tr.plan(t, plan.Rules{})
	diff(t, []string{"app@<ok>", "-app:again blob-missing", "-app:top blob-missing"}, tr.sources(p))
	// Cut, both indexes of a level are the same.
	p = tr.plan(t, plan.Rules{Incomplete: plan.TrimIncomplete})
	diff(t, []string{"app:again", "app:top"}, tr.sources(p))
	for _, i := range p.Images {
		if len(i.Manifests) != levels+2 || len(i.Blobs) != 2 || i.Manifests[0].Digest != tr.Digest("ok") || i.Manifests[len(i.Manifests)-1].Digest != i.Manifest.Digest {
			t.Errorf("%s has %d manifests and %d blobs", i.Source, len(i.Manifests), len(i.Blobs))
		}
	}
}
