package bundle_test

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/bundle"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
)

// BenchmarkWrite writes 256 MB of blobs, which do not compress.
func BenchmarkWrite(b *testing.B) {
	var text strings.Builder
	for n := range 8 {
		fmt.Fprintf(&text, "random r%d 32000000\nimage i%d amd64 r%d\ntag a/app v%d i%d\n", n, n, n, n, n)
	}
	tr := write(b, text.String(), plan.Rules{})
	made := tr.bundle(b, &bundle.Options{Force: true})
	for name, run := range map[string]func() error{
		"nowhere": func() error { _, err := made.Write(b.Context(), tr.src, io.Discard); return err },
		"tar": func() error {
			_, err := made.WriteFile(b.Context(), tr.src, filepath.Join(tr.dir, "b.tar"))
			return err
		},
		"tar.zst": func() error {
			_, err := made.WriteFile(b.Context(), tr.src, filepath.Join(tr.dir, "b.tar.zst"))
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(made.Size())
			for b.Loop() {
				if err := run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkNew plans a bundle of 1,000 images.
func BenchmarkNew(b *testing.B) {
	tr := many(b)
	b.ReportAllocs()
	for b.Loop() {
		tr.bundle(b, nil)
	}
}
