package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/measure"
)

// graft measures blobs that are linked into the target's own storage, beside
// hashing them, which comes before that, and beside sending them.
func (b *bench) graft(ctx context.Context) error {
	s := b.shapeB()
	dir, err := b.tree(ctx, s)
	if err != nil {
		return err
	}
	layouts, err := b.layouts(ctx, dir)
	if err != nil {
		return err
	}
	p := &pushing{bench: b, shape: s, layouts: layouts}
	send := p.sender("drydock push", func(host string) []string { return p.pushArgs(host, b.jobs) })
	send.runs = 1
	b.table.group(fmt.Sprintf("%s, %d tags", s.Name, s.AllTags()))
	rows, err := b.contest(ctx,
		inProcess("hashing the blobs alone", func(ctx context.Context) error { return hashBlobs(ctx, dir) }),
		p.grafter("drydock migrate --graft", dir),
		p.grafter("the same with --trust-source", dir, "--trust-source"),
		send,
	)
	if err != nil {
		return err
	}
	b.table.goal("drydock migrate --graft / hashing the blobs", rows[1].usage.Seconds/rows[0].usage.Seconds, 1.2)
	b.table.goal("seconds with --trust-source", rows[2].usage.Seconds, 2)
	// One blob is sent to find out whose storage it is.
	b.table.goal("bytes of blobs sent", float64(rows[1].wire.Uploaded), 100)
	b.table.goal("drydock migrate --graft / drydock push", rows[1].usage.Seconds/rows[3].usage.Seconds, 1)
	return nil
}

// grafter is a contender that fills an empty registry by its storage.
func (p *pushing) grafter(name, tree string, flags ...string) contender {
	return contender{name: name, run: func(ctx context.Context) (row, error) {
		storage := p.dir("target")
		if err := os.Mkdir(storage, 0o755); err != nil {
			return row{}, err
		}
		return p.intoDir(ctx, storage, func(host string) (measure.Usage, error) {
			args := append([]string{"drydock", "migrate", "-q", "-j", strconv.Itoa(p.bench.jobs), "--graft", storage}, flags...)
			return measure.Run(ctx, measure.Command{Args: append(args, tree, "http://"+host)})
		})
	}}
}

// hashBlobs reads all blobs of a tree, as many side by side as there are processors.
func hashBlobs(ctx context.Context, dir string) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	err := filepath.WalkDir(filepath.Join(dir, "docker/registry/v2/blobs"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Name() == "data" {
			g.Go(func() error { return hashFile(ctx, path) })
		}
		return err
	})
	if failed := g.Wait(); failed != nil {
		return failed
	}
	return err
}

func hashFile(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if want := filepath.Base(filepath.Dir(path)); fmt.Sprintf("%x", h.Sum(nil)) != want {
		return fmt.Errorf("%s has another digest", path)
	}
	return ctx.Err()
}
