package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/measure"
	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/registry"
)

func (b *bench) migrate(ctx context.Context) error {
	s := b.shapeFirst()
	dir, err := b.tree(ctx, s)
	if err != nil {
		return err
	}
	layouts, err := b.layouts(ctx, dir)
	if err != nil {
		return err
	}
	p := &pushing{bench: b, shape: s, layouts: layouts}
	jobs := strconv.Itoa(b.jobs)
	b.table.group(fmt.Sprintf("%s, %d tags", s.Name, s.AllTags()))
	rows, err := b.contest(ctx,
		p.sender("drydock push", func(host string) []string { return p.pushArgs(host, b.jobs) }),
		program("drydock list", "drydock", "list", "-o", "names", dir),
		b.fresh("drydock convert", func(to string) []string { return b.convertArgs(dir, to) }),
		contender{name: "drydock verify", run: func(ctx context.Context) (row, error) { return p.verify(ctx, dir) }},
		contender{name: "drydock migrate", run: func(ctx context.Context) (row, error) {
			to := b.dir("migrate")
			return p.into(ctx, func(host string) (measure.Usage, error) {
				return measure.Run(ctx, measure.Command{Args: []string{
					"drydock", "migrate", "-q", "-j", jobs, "--layouts", to, dir, "http://" + host,
				}})
			})
		}},
	)
	if err != nil {
		return err
	}
	slowest := rows[0]
	for _, r := range rows[:4] {
		if r.usage.Seconds > slowest.usage.Seconds {
			slowest = r
		}
	}
	b.table.goal("drydock migrate / its slowest stage, "+slowest.name, rows[4].usage.Seconds/slowest.usage.Seconds, 1.1)
	return nil
}

// verify measures the verification of a registry that was just filled.
func (p *pushing) verify(ctx context.Context, dir string) (r row, err error) {
	target, err := registry.Start(ctx, p.dir("target"))
	if err != nil {
		return row{}, err
	}
	defer func() { err = errors.Join(err, target.Stop()) }()
	if _, err := measure.Run(ctx, measure.Command{Args: p.pushArgs(target.Addr, p.bench.jobs)}); err != nil {
		return row{}, err
	}
	return p.through(target, func(host string) (measure.Usage, error) {
		return measure.Run(ctx, measure.Command{Args: []string{"drydock", "verify", "-q", "-j", strconv.Itoa(p.bench.jobs), dir, "http://" + host}})
	})
}
