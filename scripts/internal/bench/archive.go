package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/measure"
	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/tree"
)

func (b *bench) archive(ctx context.Context) error {
	b.table.group("a tar that is made on its way, on standard input")
	checked := b.shapeB()
	checked.Repositories = checked.Repositories * 5 / 2 // 10 GB
	unpacked := b.shapeB()
	for _, t := range []struct {
		name  string
		shape tree.Shape
		args  func(to string) []string
	}{
		{"drydock check -", checked, func(string) []string { return []string{"drydock", "check", "-q", "-"} }},
		{"drydock convert -", unpacked, func(to string) []string { return b.convertArgs("-", to) }},
	} {
		r, bytes, disk, err := b.read(ctx, t.name, t.shape, t.args)
		if err != nil {
			return err
		}
		r.note = fmt.Sprintf("%.2f GB of files, at most %.2f GB more on disk", float64(bytes)/1e9, float64(disk)/1e9)
		b.table.add(r)
		b.table.goal(t.name+": peak of memory, MB", float64(r.usage.Memory)/1e6, 200)
		if t.name != "drydock check -" {
			b.table.goal(t.name+": peak of disk / the unpacked tree", float64(disk)/float64(bytes), 1.01)
		}
	}
	return nil
}

// read has drydock read a tar, and gives how many bytes were in it and how many
// more were taken on the disk at the most.
func (b *bench) read(ctx context.Context, name string, s tree.Shape, args func(to string) []string) (r row, bytes, disk int64, err error) {
	b.say("%s, a tar of %s", name, s.Name)
	to := b.dir("archive")
	defer os.RemoveAll(to) // few files
	in, out, err := os.Pipe()
	if err != nil {
		return row{}, 0, 0, err
	}
	defer in.Close()
	written := make(chan error, 1)
	go func() {
		var err error
		bytes, err = writeTar(ctx, out, s, b.seed)
		written <- err
	}()
	before := measure.Taken(b.work)
	peak := measure.Peak(func() int64 { return measure.Taken(b.work) })
	u, err := measure.Run(ctx, measure.Command{Args: args(to), Stdin: in})
	disk = peak() - before
	in.Close() // where it ended early, so does the writer
	return row{name: name, usage: u}, bytes, disk, errors.Join(err, <-written)
}

// writeTar writes a tree's tar and closes it. It gives the bytes of its files.
func writeTar(ctx context.Context, out io.WriteCloser, s tree.Shape, seed uint64) (int64, error) {
	to := &summing{Tar: tree.NewTar(out)}
	err := tree.Write(ctx, s, seed, 1, to)
	return to.bytes, errors.Join(err, to.Close(), out.Close())
}

// summing adds up the sizes of files.
type summing struct {
	*tree.Tar
	bytes int64
}

// Put implements tree.Sink.
func (s *summing) Put(name string, size int64, write func(io.Writer) error) error {
	s.bytes += size
	return s.Tar.Put(name, size, write)
}
