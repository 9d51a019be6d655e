// Bench measures drydock beside what does the same and beside what cannot be
// avoided. scripts/bench builds it, and everything that it runs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/measure"
	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/tree"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == measure.ChildFlag {
		os.Exit(measure.Child(os.Args[2:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: error:", err)
		os.Exit(1)
	}
}

// bench is one run.
type bench struct {
	quick bool     // small trees, each thing once: only to see that it works
	seed  uint64   // of the trees
	runs  int      // of everything that does not take minutes; the best counts
	jobs  int      // of drydock, and of the floors
	cache string   // of trees
	work  string   // a directory of this run alone, on the same file system
	made  int      // directories in it, ever
	dirs  []string // those that are there
	table *table
}

// section is one part of the table.
type section struct {
	name, what string
	measure    func(*bench, context.Context) error
}

var sections = []section{
	{"scan", "reading a tree", (*bench).scan},
	{"convert", "a tree into layouts", (*bench).convert},
	{"push", "L's first 500 tags into an empty registry, on the loopback", (*bench).push},
	{"push20", "the same, with 20 ms for each round trip", (*bench).push20},
	{"big", "4 GiB in 30 images into an empty registry, on the loopback", (*bench).big},
	{"graft", "the same 4 GiB as files into the registry's own storage", (*bench).graft},
	{"migrate", "L's first 500 tags from tree to registry, and each stage alone", (*bench).migrate},
	{"memory", "peaks of memory and of file descriptors", (*bench).memory},
	{"linear", "L at a quarter, half and whole", (*bench).linear},
	{"archive", "a tar on standard input", (*bench).archive},
	{"serve", "images pulled from drydock serve, beside a registry", (*bench).serve},
}

func run(ctx context.Context, out io.Writer, args []string) error {
	if len(args) > 0 && args[0] == floorCommand {
		return runFloor(ctx, out, args[1:])
	}
	b := &bench{table: &table{out: out}}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.BoolVar(&b.quick, "quick", false, "small trees, each thing once")
	flags.Uint64Var(&b.seed, "seed", 1, "other trees of the same shape")
	flags.IntVar(&b.runs, "runs", 3, "runs of what takes less than a minute or so; the best counts")
	flags.IntVar(&b.jobs, "jobs", 16, "drydock's --jobs, and the floors'")
	flags.StringVar(&b.cache, "cache", "", "directory that keeps trees")
	flags.StringVar(&b.work, "work", "", "directory for the run, on the same file system")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if b.cache == "" || b.work == "" || b.runs < 1 || b.jobs < 1 {
		return errors.New("-cache and -work have to be given, -runs and -jobs be 1 or more")
	}
	if b.quick {
		b.runs, b.table.quick = 1, true
	}
	chosen, err := choose(flags.Args())
	if err != nil {
		return err
	}
	if err := b.table.machine(ctx, b.seed); err != nil {
		return err
	}
	for n, s := range chosen {
		b.table.section(s.name, s.what)
		if err := s.measure(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if n < len(chosen)-1 {
			if err := b.clear(ctx); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	return b.table.close()
}

// remembered is how long ext4 avoids the inodes of files that were removed, once
// that is on the disk (RECENTCY_MIN in fs/ext4/ialloc.c).
const remembered = time.Minute

// clear removes what a section left, and waits until the next is not measured by
// that; see dir.
func (b *bench) clear(ctx context.Context) error {
	for _, dir := range b.dirs {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	if len(b.dirs) == 0 || b.quick {
		return nil
	}
	b.dirs = nil
	unix.Sync()
	b.say("waiting %s, until the file system has forgotten what was removed", remembered)
	select {
	case <-time.After(remembered):
	case <-ctx.Done():
	}
	return ctx.Err()
}

// choose gives the sections by their names, in their own order; all for none.
func choose(names []string) ([]section, error) {
	var known []string
	for _, s := range sections {
		known = append(known, s.name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("no section %q; there are %s", name, strings.Join(known, ", "))
		}
	}
	return slices.DeleteFunc(slices.Clone(sections), func(s section) bool {
		return len(names) > 0 && !slices.Contains(names, s.name)
	}), nil
}

// The trees of a run.

func (b *bench) shapeL() tree.Shape {
	if b.quick {
		return tree.L.First(8)
	}
	return tree.L
}

// shapeFirst is L's first 500 tags.
func (b *bench) shapeFirst() tree.Shape {
	if b.quick {
		return tree.L.First(2)
	}
	return tree.L.First(50)
}

func (b *bench) shapeB() tree.Shape {
	if b.quick {
		return tree.LittleB
	}
	return tree.B
}

func (b *bench) shapeX() tree.Shape {
	if b.quick {
		return tree.X.First(8)
	}
	return tree.X
}

// tree is the directory of a tree, written if need be.
func (b *bench) tree(ctx context.Context, s tree.Shape) (string, error) {
	b.say("tree %s", s.Name)
	return tree.Cached(ctx, b.cache, s, b.seed)
}

// say tells a person who waits what is under way.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: %s\n", fmt.Sprintf(format, args...))
}
