package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/slowfs"
)

// networkDelay is what each operation on a file takes longer in the place of a
// network.
const networkDelay = 2 * time.Millisecond

func (b *bench) scan(ctx context.Context) error {
	dir, err := b.tree(ctx, b.shapeX())
	if err != nil {
		return err
	}
	b.table.group(fmt.Sprintf("%s, %d tags, from the page cache", b.shapeX().Name, b.shapeX().AllTags()))
	rows, err := b.contest(ctx,
		program("find", "find", filepath.Join(dir, "docker/registry/v2")),
		program("drydock list", "drydock", "list", "-o", "json", dir),
		program("drydock check", "drydock", "check", "-o", "json", dir),
	)
	if err != nil {
		return err
	}
	b.table.goal("drydock list / find", rows[1].usage.Seconds/rows[0].usage.Seconds, 3)

	if dir, err = b.tree(ctx, b.shapeL()); err != nil {
		return err
	}
	if err := b.coldScan(ctx, dir); err != nil {
		return err
	}
	return b.slowScan(ctx, dir)
}

// dropCaches is what makes the kernel forget what it has read, where root may.
const dropCaches = "/proc/sys/vm/drop_caches"

func (b *bench) coldScan(ctx context.Context, dir string) error {
	if unix.Access(dropCaches, unix.W_OK) != nil || b.quick {
		return nil
	}
	b.table.group(fmt.Sprintf("%s, %d tags, from the disk", b.shapeL().Name, b.shapeL().AllTags()))
	cold := func(name string, jobs int) contender {
		return contender{name: name, run: func(ctx context.Context) (row, error) {
			unix.Sync()
			if err := os.WriteFile(dropCaches, []byte("3"), 0); err != nil {
				return row{}, err
			}
			return inProcess(name, func(ctx context.Context) error { return scanTree(ctx, dir, 0, jobs) }).run(ctx)
		}}
	}
	_, err := b.contest(ctx, cold("one at a time", 1), cold("side by side", 0))
	return err
}

func (b *bench) slowScan(ctx context.Context, dir string) error {
	b.table.group(fmt.Sprintf("%s, %d tags, with %s for each operation on a file", b.shapeL().Name, b.shapeL().AllTags(), networkDelay))
	slow := func(name string, jobs, runs int) contender {
		c := inProcess(name, func(ctx context.Context) error { return scanTree(ctx, dir, networkDelay, jobs) })
		c.runs = runs
		return c
	}
	rows, err := b.contest(ctx, slow("one at a time", 1, 1), slow("side by side", 0, 0))
	if err != nil {
		return err
	}
	b.table.goal("side by side / one at a time", rows[1].usage.Seconds/rows[0].usage.Seconds, 1.0/8)
	return nil
}

// scanTree reads a tree with drydock's own scan, of which it has nothing else.
func scanTree(ctx context.Context, dir string, delay time.Duration, jobs int) error {
	src, err := source.Open(ctx, dir, nil)
	if err != nil {
		return err
	}
	defer src.Close()
	x, err := storage.Scan(ctx, slowfs.New(src, delay), &storage.ScanOptions{Jobs: jobs})
	if err == nil && x.Empty() {
		err = fmt.Errorf("%s: nothing in it", dir)
	}
	return err
}
