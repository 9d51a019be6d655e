package plan_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

// many writes a tree of as many tags in each of its repositories, and opens it.
func many(tb testing.TB, repositories, tags int) source.Source {
	tb.Helper()
	b := storagetest.New()
	b.Many(repositories, tags)
	src, err := source.Open(context.Background(), b.Dir(tb), nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { src.Close() })
	return src
}

// live is how many bytes of the heap are in use. What pools keep goes with the
// second collection.
func live() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkNew(b *testing.B) {
	const repositories, tags = 10, 50
	x, err := storage.Scan(context.Background(), many(b, repositories, tags), nil)
	if err != nil {
		b.Fatal(err)
	}
	for name, rules := range map[string]plan.Rules{
		"all":    {},
		"mapped": {Target: &plan.Target{Prefix: "old", Harbor: true}},
		"chosen": {Include: []string{"group-0/**"}, Latest: 10},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var p *plan.Plan
			before := live()
			for b.Loop() {
				if p, err = plan.New(x, rules); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(live()-before)/(repositories*tags), "live-B/tag")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(repositories*tags), "ns/tag")
			if len(p.Images) == 0 {
				b.Error("nothing was planned")
			}
		})
	}
}

// What is kept of a tag, of which a large registry has very many, is bounded: the
// index and the plan share what they can. A descriptor of its own for each layer
// of each image would take 1,500 bytes more.
func TestMemory(t *testing.T) {
	const repositories, tags = 2, 50
	src := many(t, repositories, tags)
	before := live()
	x, err := storage.Scan(context.Background(), src, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.New(x, plan.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	const most = 3000 // bytes for each tag
	if perTag := (live() - before) / (repositories * tags); perTag > most {
		t.Errorf("%d bytes are kept for each tag, want at most %d", perTag, most)
	}
	if len(p.Images) != repositories*tags || x.Empty() {
		t.Errorf("%d images were planned", len(p.Images))
	}
}
