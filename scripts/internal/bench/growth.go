package main

import (
	"context"
	"fmt"

	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/tree"
)

// work is one command on a tree.
type work struct {
	name string
	run  func(ctx context.Context, dir, layouts string) (row, error)
}

func (b *bench) works(s tree.Shape, sends bool) []work {
	all := []work{
		{"list", func(ctx context.Context, dir, _ string) (row, error) {
			return program("", "drydock", "list", "-o", "names", dir).run(ctx)
		}},
		{"check", func(ctx context.Context, dir, _ string) (row, error) {
			return program("", "drydock", "check", "-q", dir).run(ctx)
		}},
		{"convert", func(ctx context.Context, dir, _ string) (row, error) {
			return b.fresh("", func(to string) []string { return b.convertArgs(dir, to) }).run(ctx)
		}},
	}
	if sends {
		all = append(all, work{"push", func(ctx context.Context, _, layouts string) (row, error) {
			p := &pushing{bench: b, shape: s, layouts: layouts}
			return p.sender("", func(host string) []string { return p.pushArgs(host, b.jobs) }).run(ctx)
		}})
	}
	return all
}

// each does every work on a tree, once, and adds a row for each.
func (b *bench) each(ctx context.Context, s tree.Shape, sends bool) ([]row, error) {
	dir, err := b.tree(ctx, s)
	if err != nil {
		return nil, err
	}
	layouts := ""
	if sends {
		if layouts, err = b.layouts(ctx, dir); err != nil {
			return nil, err
		}
	}
	var rows []row
	for _, w := range b.works(s, sends) {
		b.say("%s of %s", w.name, s.Name)
		r, err := w.run(ctx, dir, layouts)
		if err != nil {
			return nil, fmt.Errorf("%s of %s: %w", w.name, s.Name, err)
		}
		r.name = fmt.Sprintf("%s of %s", w.name, s.Name)
		r.note = fmt.Sprintf("%.3f ms a tag", 1000*r.usage.Seconds/float64(s.AllTags()))
		rows = append(rows, r)
	}
	return rows, nil
}

// The bounds of memory, bytes.
const (
	mostMemory = 150e6
	mostPerTag = 1024 // beyond that
)

func (b *bench) memory(ctx context.Context) error {
	for _, t := range []struct {
		shape tree.Shape
		sends bool
		most  float64 // bytes
	}{
		{b.shapeL(), true, mostMemory},
		{b.shapeB(), true, mostMemory},
		{b.shapeX(), false, mostMemory + mostPerTag*float64(b.shapeX().AllTags())},
	} {
		b.table.group(fmt.Sprintf("%s, %d tags", t.shape.Name, t.shape.AllTags()))
		rows, err := b.each(ctx, t.shape, t.sends)
		if err != nil {
			return err
		}
		var peak int64
		for _, r := range rows {
			b.table.add(r)
			peak = max(peak, r.usage.Memory)
		}
		b.table.goal("the largest peak of memory, MB", float64(peak)/1e6, t.most/1e6)
	}
	return nil
}

func (b *bench) linear(ctx context.Context) error {
	whole := b.shapeL()
	byWork := map[string][]row{}
	var names []string
	for _, s := range []tree.Shape{whole.First(whole.Repositories / 4), whole.First(whole.Repositories / 2), whole} {
		rows, err := b.each(ctx, s, true)
		if err != nil {
			return err
		}
		names = nil
		for n, r := range rows {
			name := b.works(s, true)[n].name
			names = append(names, name)
			byWork[name] = append(byWork[name], r)
		}
	}
	for _, name := range names {
		rows := byWork[name]
		b.table.group(name)
		for _, r := range rows {
			b.table.add(r)
		}
		b.table.goal("the whole / four times a quarter", rows[2].usage.Seconds/(4*rows[0].usage.Seconds), 1.15)
	}
	return nil
}
