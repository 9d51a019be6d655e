package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/measure"
	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/tree"
)

func (b *bench) convert(ctx context.Context) error {
	if err := b.convertTree(ctx, b.shapeL(), true); err != nil {
		return err
	}
	return b.convertTree(ctx, b.shapeX(), false)
}

func (b *bench) convertTree(ctx context.Context, s tree.Shape, script bool) error {
	dir, err := b.tree(ctx, s)
	if err != nil {
		return err
	}
	layouts, err := b.layouts(ctx, dir)
	if err != nil {
		return err
	}
	var made floorResult
	contenders := []contender{
		{name: "mkdir and link alone", run: func(ctx context.Context) (row, error) {
			u, r, err := b.floor(ctx, b.floorArgs(floorLinks, dir, layouts, b.dir("floor")))
			made = r
			return row{usage: u}, err
		}},
		{name: "and reading what to link", run: func(ctx context.Context) (row, error) {
			u, _, err := b.floor(ctx, b.floorArgs(floorConvert, dir, b.dir("floor")))
			return row{usage: u}, err
		}},
		b.fresh("drydock convert", func(to string) []string { return b.convertArgs(dir, to) }),
	}
	contenders = append(contenders,
		program("drydock list, a part of it", "drydock", "list", "-o", "names", dir),
		program("drydock convert again", b.convertArgs(dir, layouts)...))
	if script {
		c := b.fresh("find, grep and ln", func(to string) []string {
			return []string{"find-grep-ln", filepath.Join(dir, "docker/registry/v2"), to}
		})
		c.runs = 1
		contenders = append(contenders, c)
	}
	b.table.group(fmt.Sprintf("%s, %d tags", s.Name, s.AllTags()))
	rows, err := b.contest(ctx, contenders...)
	if err != nil {
		return err
	}
	b.table.goal(fmt.Sprintf("drydock convert / mkdir and link alone (%d directories, %d links)", made.Directories, made.Links),
		rows[2].usage.Seconds/rows[0].usage.Seconds, 1.3)
	b.table.goal("the same without what drydock list takes: writing alone",
		(rows[2].usage.Seconds-rows[3].usage.Seconds)/rows[0].usage.Seconds, 1.3)
	return nil
}

// layouts makes those of a tree, for others to work with.
func (b *bench) layouts(ctx context.Context, dir string) (string, error) {
	to := b.dir("layouts")
	b.say("layouts of %s", filepath.Base(dir))
	_, err := measure.Run(ctx, measure.Command{Args: b.convertArgs(dir, to)})
	return to, err
}

func (b *bench) convertArgs(dir, to string) []string {
	return []string{"drydock", "convert", "-q", "--link", "hardlink", "-j", strconv.Itoa(b.jobs), dir, to}
}
