package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/measure"
	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/registry"
	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/tree"
	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/wire"
)

// roundTrip is what a distant registry is away.
const roundTrip = 20 * time.Millisecond

func (b *bench) push(ctx context.Context) error { return b.pushTree(ctx, b.shapeFirst(), 0, 2) }

func (b *bench) push20(ctx context.Context) error {
	return b.pushTree(ctx, b.shapeFirst(), roundTrip, 2)
}

func (b *bench) big(ctx context.Context) error { return b.pushTree(ctx, b.shapeB(), 0, 1) }

// pushTree fills empty registries with the images of a tree. The best peer has to
// take so many times as long as drydock.
func (b *bench) pushTree(ctx context.Context, s tree.Shape, delay time.Duration, faster float64) error {
	dir, err := b.tree(ctx, s)
	if err != nil {
		return err
	}
	layouts, err := b.layouts(ctx, dir)
	if err != nil {
		return err
	}
	old, err := registry.Start(ctx, dir)
	if err != nil {
		return err
	}
	defer old.Stop()

	to := &pushing{bench: b, shape: s, delay: delay, layouts: layouts, old: old.Addr}
	b.table.group(fmt.Sprintf("%s, %d tags", s.Name, s.AllTags()))
	contenders := append(to.own(), to.peers()...)
	rows, err := b.contest(ctx, contenders...)
	if err != nil {
		return err
	}
	least, own := rows[0], rows[1]
	b.table.goal("drydock's requests / those of the floor", float64(own.wire.Requests)/float64(least.wire.Requests), 1.1)
	b.table.goal("drydock's bytes / those of the floor", float64(own.wire.Uploaded)/float64(least.wire.Uploaded), 1)
	b.table.goal("drydock's connections", float64(own.wire.Connections), float64(b.jobs))
	b.table.goal("drydock's time / the floor's", own.usage.Seconds/least.usage.Seconds, 1.15)
	if best := fastest(rows[2:]); best != nil {
		b.table.goal("drydock's time / that of the best peer, "+best.name, own.usage.Seconds/best.usage.Seconds, 1/faster)
	}
	return to.jobs(ctx)
}

// fastest gives nil where there is none.
func fastest(rows []row) *row {
	var best *row
	for n := range rows {
		if best == nil || rows[n].usage.Seconds < best.usage.Seconds {
			best = &rows[n]
		}
	}
	return best
}

// pushing is what those who push need to know.
type pushing struct {
	*bench
	shape   tree.Shape
	delay   time.Duration
	layouts string
	old     string // host:port of a registry that has all of it
}

// own are the floor and drydock.
func (p *pushing) own() []contender {
	return []contender{
		{name: "requests alone", run: func(ctx context.Context) (row, error) {
			var u measure.Usage
			r, err := p.into(ctx, func(host string) (_ measure.Usage, err error) {
				u, _, err = p.floor(ctx, p.floorArgs(floorSend, p.layouts, host))
				return u, err
			})
			return r, err
		}},
		p.sender("drydock push", func(host string) []string { return p.pushArgs(host, p.bench.jobs) }),
	}
}

func (b *bench) pushArgsOf(layouts, host string, jobs int) []string {
	return []string{"drydock", "push", "-q", "-j", strconv.Itoa(jobs), layouts, "http://" + host}
}

func (p *pushing) pushArgs(host string, jobs int) []string {
	return p.pushArgsOf(p.layouts, host, jobs)
}

// sender is a contender that fills an empty registry at a host.
func (p *pushing) sender(name string, args func(host string) []string) contender {
	return contender{name: name, run: func(ctx context.Context) (row, error) {
		return p.into(ctx, func(host string) (measure.Usage, error) {
			return measure.Run(ctx, measure.Command{Args: args(host)})
		})
	}}
}

// into has an empty registry filled, and looks whether every tag is there.
func (p *pushing) into(ctx context.Context, fill func(host string) (measure.Usage, error)) (r row, err error) {
	return p.intoDir(ctx, p.dir("target"), fill)
}

// intoDir does so where the registry's storage is.
func (p *pushing) intoDir(ctx context.Context, dir string, fill func(host string) (measure.Usage, error)) (r row, err error) {
	target, err := registry.Start(ctx, dir)
	if err != nil {
		return row{}, err
	}
	defer func() { err = errors.Join(err, target.Stop(), tidy(target.Dir, r)) }()
	return p.through(target, fill)
}

// tidy removes what was sent to a registry where it is much, and therefore few files.
func tidy(dir string, r row) error {
	if r.wire == nil || r.wire.Uploaded < 1<<30 {
		return nil
	}
	return os.RemoveAll(dir)
}

// through counts what is sent to a registry.
func (p *pushing) through(target *registry.Registry, fill func(host string) (measure.Usage, error)) (row, error) {
	w, err := wire.Listen(target.Addr, p.delay)
	if err != nil {
		return row{}, err
	}
	u, err := fill(w.Addr())
	counts := w.Close()
	if err != nil {
		return row{}, err
	}
	if counts.Garbled > 0 {
		return row{}, fmt.Errorf("on %d connections requests could not be counted", counts.Garbled)
	}
	r := row{usage: u, wire: &counts}
	tags, err := target.Tags()
	if want := p.shape.AllTags(); tags != want {
		r.note = fmt.Sprintf("%d of %d tags", tags, want)
	}
	return r, err
}

// peers are those that are installed. Each takes from where it can.
func (p *pushing) peers() []contender {
	home := filepath.Join(p.work, "home")
	all := []contender{
		p.sender("crane copy", func(host string) []string {
			const each = `xargs -P 2 -I{} crane copy --insecure --all-tags --jobs 2 "$1/{}" "$2/{}" <<<"$3"`
			return []string{"bash", "-c", each, "crane", p.old, host, strings.Join(p.shape.Names(), "\n")}
		}),
		p.sender("regsync once", func(host string) []string {
			return []string{"regsync", "once", "-c", p.regsyncConfig(home, host)}
		}),
		p.sender("skopeo sync", func(host string) []string {
			return []string{"skopeo", "--insecure-policy", "sync", "--all", "--scoped", "--src", "dir", "--dest", "docker",
				"--dest-tls-verify=false", p.layouts, host}
		}),
	}
	var there []contender
	for _, c := range all {
		if name, _, _ := strings.Cut(c.name, " "); installed(name) {
			c.runs = 1
			there = append(there, c)
		}
	}
	return there
}

func installed(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// regsyncConfig writes a configuration for a copy of everything, and gives its
// path; where it can't be written, regsync will say so.
func (p *pushing) regsyncConfig(dir, host string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "version: 1\ncreds:\n- {registry: %q, tls: disabled}\n- {registry: %q, tls: disabled}\n", p.old, host)
	fmt.Fprintf(&b, "defaults: {parallel: 4}\nsync:\n")
	for _, name := range p.shape.Names() {
		fmt.Fprintf(&b, "- {source: %q, target: %q, type: repository}\n", p.old+"/"+name, host+"/"+name)
	}
	file := filepath.Join(dir, "regsync.yml")
	_ = errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(file, []byte(b.String()), 0o644))
	return file
}

// jobs shows that as much is sent whatever the number of jobs, and that nothing
// is sent twice.
func (p *pushing) jobs(ctx context.Context) (err error) {
	b := p.bench
	b.table.group("drydock push with other numbers of jobs, and once more into the same registry")
	for _, jobs := range []int{1, 32} {
		name := fmt.Sprintf("-j %d", jobs)
		b.say("drydock push %s", name)
		r, err := p.sender(name, func(host string) []string { return p.pushArgs(host, jobs) }).run(ctx)
		if err != nil {
			return err
		}
		r.name = name
		b.table.add(r)
	}
	target, err := registry.Start(ctx, p.dir("target"))
	if err != nil {
		return err
	}
	var r row
	defer func() { err = errors.Join(err, target.Stop(), tidy(target.Dir, r)) }()
	for _, name := range []string{"first", "once more"} {
		b.say("drydock push, %s", name)
		again, err := p.through(target, func(host string) (measure.Usage, error) {
			return measure.Run(ctx, measure.Command{Args: p.pushArgs(host, b.jobs)})
		})
		if err != nil {
			return err
		}
		again.name = name
		b.table.add(again)
		if r.wire == nil {
			r = again
		}
	}
	return nil
}
