package source_test

import (
	"archive/tar"
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

// writeMany writes a tar of many links, and some blobs, as a large registry has them.
func writeMany(tb testing.TB, path string, links, blobs, blobSize int, wrap func(io.Writer) io.WriteCloser) (tarSize int64) {
	tb.Helper()
	f, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	out := wrap(f)
	buffered := bufio.NewWriterSize(out, 1<<20)
	count := &counter{w: buffered}
	w := tar.NewWriter(count)
	check := func(err error) {
		if err != nil {
			tb.Fatal(err)
		}
	}
	at := time.Unix(1700000000, 0)
	file := func(name string, content []byte) {
		check(w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), ModTime: at, Format: tar.FormatGNU}))
		_, err := w.Write(content)
		check(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	const v2 = "var/lib/registry/docker/registry/v2/"
	content := make([]byte, blobSize)
	for i := range content {
		content[i] = byte(r.Uint32() & 0x3f) // which can be compressed a little
	}
	for i := range blobs {
		copy(content, fmt.Sprintf("%064x", i))
		d := fmt.Sprintf("%064x", i)
		file(v2+"blobs/sha256/"+d[:2]+"/"+d+"/data", content)
	}
	for i := range links {
		d := fmt.Sprintf("%016x", r.Uint64())
		d = strings.Repeat(d, 4)
		file(fmt.Sprintf("%srepositories/library/app-%d/_layers/sha256/%s/link", v2, i/100, d), []byte("sha256:"+d))
	}
	check(w.Close())
	check(buffered.Flush())
	check(out.Close())
	return count.n
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

type flush struct {
	io.Writer
	close func() error
}

func (f flush) Close() error { return f.close() }

func asIs(w io.Writer) io.WriteCloser { return flush{w, w.(io.Closer).Close} }

func toGzip(w io.Writer) io.WriteCloser {
	z, _ := gzip.NewWriterLevel(w, 1)
	return z
}

func toZstd(w io.Writer) io.WriteCloser {
	z, _ := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest))
	return z
}

// BenchmarkIndex reads a plain tar of 200,000 links in place.
func BenchmarkIndex(b *testing.B) {
	file := filepath.Join(b.TempDir(), "many.tar")
	writeMany(b, file, 200_000, 100, 1<<20, asIs)
	for b.Loop() {
		benchmarkOpen(b, file, "")
	}
}

// BenchmarkStream reads a gigabyte of compressed tar, and keeps or unpacks it.
func BenchmarkStream(b *testing.B) {
	for name, pack := range map[string]func(io.Writer) io.WriteCloser{"gzip": toGzip, "zstd": toZstd} {
		file := filepath.Join(b.TempDir(), "many."+name)
		size := writeMany(b, file, 20_000, 100, 10<<20, pack)
		b.Run(name+" looked at", func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				benchmarkOpen(b, file, "")
			}
		})
		b.Run(name+" unpacked", func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				benchmarkOpen(b, file, b.TempDir())
			}
		})
	}
}

func benchmarkOpen(b *testing.B, file, unpack string) {
	src, err := source.Open(context.Background(), file, &source.Options{Unpack: unpack})
	if err != nil {
		b.Fatal(err)
	}
	if err := src.Close(); err != nil {
		b.Fatal(err)
	}
}
