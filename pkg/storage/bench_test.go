package storage_test

import (
	"context"
	"io/fs"
	"runtime"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

// onlyFS is a source of which nothing is known but that it holds files.
type onlyFS struct{ fs.FS }

func BenchmarkScan(b *testing.B) {
	const repositories, tags = 10, 50
	tree := storagetest.New()
	tree.Many(repositories, tags)
	dir := tree.Dir(b)
	src, err := source.Open(context.Background(), dir, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	for _, way := range []struct {
		name string
		fsys fs.FS
		opts storage.ScanOptions
	}{
		{"directory", src, storage.ScanOptions{}},
		{"one at a time", src, storage.ScanOptions{Jobs: 1}},
		{"thorough", src, storage.ScanOptions{Thorough: true}},
		{"hashing", src, storage.ScanOptions{ReadData: true}},
		{"any files", onlyFS{src}, storage.ScanOptions{}},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.ReportAllocs()
			var x *storage.Index
			before := live()
			for b.Loop() {
				if x, err = storage.Scan(context.Background(), way.fsys, &way.opts); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(live()-before)/(repositories*tags), "live-B/tag")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(repositories*tags), "ns/tag")
			if x.Empty() {
				b.Error("nothing was found")
			}
		})
	}
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
