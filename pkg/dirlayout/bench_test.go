package dirlayout_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/seed-5b48bd9d/drydock/pkg/dirlayout"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
)

// manyImages is a tree of so many repositories of ten tags, each an image of
// twelve layers, two of which are everybody's: fourteen files a layout.
func manyImages(repositories int) string {
	var text strings.Builder
	for r := range repositories {
		for n := range 10 {
			fmt.Fprintf(&text, "image i%d-%d amd64 base runtime", r, n)
			for layer := range 10 {
				fmt.Fprintf(&text, " r%d-%d", r, layer+n)
			}
			fmt.Fprintf(&text, "\ntag team%d/r%d v%d i%d-%d\n", r%7, r, n, r, n)
		}
	}
	return text.String()
}

// BenchmarkWrite makes the layouts of 500 images, two side by side. Beside it
// stands what cannot be avoided: a program of nothing but the calls for their
// directories and links.
func BenchmarkWrite(b *testing.B) {
	tr := write(b, b.TempDir(), manyImages(50), plan.Rules{})
	fresh := func(b *testing.B) func() string {
		dir, n := b.TempDir(), 0
		return func() string { n++; return filepath.Join(dir, strconv.Itoa(n)) }
	}
	b.Run("calls alone", func(b *testing.B) {
		dir := fresh(b)
		perImage(b, tr, func(start func()) {
			parents, calls := callsOf(tr, dir())
			start()
			for _, parent := range parents {
				if err := os.MkdirAll(parent, 0o755); err != nil {
					b.Fatal(err)
				}
			}
			sideBySide(b, calls, call.make)
		})
	})
	b.Run("new", func(b *testing.B) {
		dir := fresh(b)
		perImage(b, tr, func(start func()) {
			at := dir()
			start()
			tr.writeAll(b, at, 500)
		})
	})
	b.Run("there already", func(b *testing.B) {
		dir := fresh(b)()
		tr.writeAll(b, dir, 500)
		perImage(b, tr, func(start func()) {
			start()
			tr.writeAll(b, dir, 0)
		})
	})
}

// writeAll makes all layouts, and counts those that were not there.
func (tr tree) writeAll(b *testing.B, dir string, want int) {
	l, err := dirlayout.Open(dir, tr.src, &dirlayout.Options{Path: tr.x.Path})
	if err != nil {
		b.Fatal(err)
	}
	made := make(chan bool, len(tr.p.Images))
	sideBySide(b, tr.p.Images, func(i plan.Image) error {
		is, err := l.Write(b.Context(), i)
		made <- is
		return err
	})
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	close(made)
	n := 0
	for is := range made {
		if is {
			n++
		}
	}
	if n != want {
		b.Fatalf("%d layouts were made, not %d", n, want)
	}
}

func sideBySide[T any](b *testing.B, all []T, do func(T) error) {
	var g errgroup.Group
	g.SetLimit(2)
	for _, one := range all {
		g.Go(func() error { return do(one) })
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
}

// call is what a layout cannot be made without.
type call struct {
	dir   string
	links [][2]string // from, to
}

func (c call) make() error {
	if err := unix.Mkdir(c.dir, 0o755); err != nil {
		return err
	}
	for _, l := range c.links {
		if err := unix.Link(l[0], l[1]); err != nil {
			return err
		}
	}
	return nil
}

// callsOf is what making all layouts consists of, and the directories of their
// directories.
func callsOf(tr tree, dir string) (parents []string, calls []call) {
	for _, i := range tr.p.Images {
		at := filepath.Join(dir, i.LayoutPath())
		c := call{dir: at}
		for _, blob := range i.Blobs {
			c.links = append(c.links, [2]string{dirlayout.Local(tr.src, tr.x.Path(blob.Digest)), filepath.Join(at, blob.Digest.Encoded())})
		}
		c.links = append(c.links, [2]string{dirlayout.Local(tr.src, tr.x.Path(i.Manifest.Digest)), filepath.Join(at, "manifest.json")})
		calls = append(calls, c)
		parents = append(parents, filepath.Dir(at))
	}
	return parents, calls
}

// perImage runs something again and again, which says when it starts, and tells
// what it takes for each image: of time, and of the processors'.
func perImage(b *testing.B, tr tree, run func(start func())) {
	var before, used int64
	for range b.N {
		b.StopTimer()
		run(func() {
			before = processor(b)
			b.StartTimer()
		})
		used += processor(b) - before
	}
	images := float64(b.N) * float64(len(tr.p.Images))
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/images, "ns/image")
	b.ReportMetric(float64(used)/images, "cpu-ns/image")
}

// processor is how long the processors were at work for this process, nanoseconds.
func processor(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
