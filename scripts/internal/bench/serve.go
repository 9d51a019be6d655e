package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/measure"
	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/pull"
	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/registry"
	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/tree"
)

// serve compares drydock serve with the registry that wrote such trees, over the
// same tree and with the same client.
func (b *bench) serve(ctx context.Context) error {
	dir, err := b.tree(ctx, b.shapeL())
	if err != nil {
		return err
	}
	b.table.group(fmt.Sprintf("%s, %d tags: from the start until the first answer", b.shapeL().Name, b.shapeL().AllTags()))
	starting := func(c command) contender {
		return contender{name: c.name, run: func(ctx context.Context) (row, error) {
			return b.served(ctx, c, dir)
		}}
	}
	if _, err := b.contest(ctx, starting(ofRegistry), starting(ofDrydock)); err != nil {
		return err
	}
	for _, s := range []tree.Shape{b.shapeFirst(), b.shapeB()} {
		if err := b.pulls(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// pulls has everything of a tree pulled, by as many connections as there are jobs.
func (b *bench) pulls(ctx context.Context, s tree.Shape) error {
	dir, err := b.tree(ctx, s)
	if err != nil {
		return err
	}
	b.table.group(fmt.Sprintf("%s, %d tags: all of it pulled by %d connections", s.Name, s.AllTags(), b.jobs))
	pulling := func(name string, c command, before int) contender {
		return contender{name: name, run: func(ctx context.Context) (row, error) {
			return b.served(ctx, c, dir, func(ctx context.Context, url string) (string, error) {
				for range before {
					if _, err := pull.All(ctx, url, s.Names(), b.jobs); err != nil {
						return "", err
					}
				}
				return "", nil
			}, func(ctx context.Context, url string) (string, error) {
				counts, err := pull.All(ctx, url, s.Names(), b.jobs)
				return fmt.Sprintf("%d requests, %.2f GB", counts.Requests, float64(counts.Bytes)/1e9), err
			})
		}}
	}
	rows, err := b.contest(ctx,
		pulling(ofRegistry.name, ofRegistry, 0), pulling("the same, once more", ofRegistry, 1),
		pulling(ofDrydock.name, ofDrydock, 0), pulling("the same, all hashed", ofDrydock, 1),
	)
	if err != nil {
		return err
	}
	// The first time, drydock hashes what it sends, which the registry never does.
	b.table.goal("drydock's time / the registry's, once all is hashed", rows[3].usage.Seconds/rows[1].usage.Seconds, 1)
	b.table.goal("drydock's memory / the registry's", float64(rows[2].usage.Memory)/float64(rows[0].usage.Memory), 1)
	return nil
}

// command is one of those that serve.
type command struct {
	name string
	args func(dir, addr string) (args []string, cleanUp func(), err error)
}

var (
	ofRegistry = command{"registry serve", func(dir, addr string) ([]string, func(), error) {
		file, err := registry.WriteConfig(dir, addr)
		return []string{"registry", "serve", file}, func() { os.Remove(file) }, err
	}}
	ofDrydock = command{"drydock serve", func(dir, addr string) ([]string, func(), error) {
		return []string{"drydock", "serve", "-q", "--listen", addr, dir}, func() {}, nil
	}}
)

// served starts a server over a tree and gives what the last of some uses of it took,
// or its start where there is none: how long that was, the processor's time of the
// server alone, and its peak of memory since it began.
func (b *bench) served(ctx context.Context, c command, dir string, uses ...func(ctx context.Context, url string) (note string, err error)) (r row, err error) {
	addr, err := registry.FreeAddr()
	if err != nil {
		return row{}, err
	}
	args, cleanUp, err := c.args(dir, addr)
	if err != nil {
		return row{}, err
	}
	defer cleanUp()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt from the terminal is for whoever started it
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return row{}, err
	}
	defer func() { err = errors.Join(err, endServer(cmd)) }()
	if err := firstAnswer(ctx, "http://"+addr+"/v2/"); err != nil {
		return row{}, err
	}
	for _, use := range uses {
		before, err := usageOf(cmd.Process.Pid)
		if err != nil {
			return row{}, err
		}
		began = time.Now()
		if r.note, err = use(ctx, "http://"+addr); err != nil {
			return row{}, err
		}
		r.usage.Seconds, r.usage.CPU = time.Since(began).Seconds(), -before.CPU
	}
	if r.usage.Seconds == 0 {
		r.usage.Seconds = time.Since(began).Seconds()
	}
	after, err := usageOf(cmd.Process.Pid)
	r.usage.CPU, r.usage.Memory = r.usage.CPU+after.CPU, after.Memory
	return r, err
}

// firstAnswer asks until there is an answer.
func firstAnswer(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		time.Sleep(time.Millisecond)
	}
	return fmt.Errorf("%s does not answer: %w", url, ctx.Err())
}

func endServer(cmd *exec.Cmd) error {
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	err := cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() < 0 {
		return nil // by the signal
	}
	return err
}

var (
	peakMemory = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)
	ticks      = regexp.MustCompile(`\) \S(?: -?\d+){10} (\d+) (\d+) `) // of user and system, behind the name
)

const ticksPerSecond = 100 // USER_HZ, which is the same on all that Go runs on

// usageOf is what a process has taken so far: proc(5).
func usageOf(pid int) (u measure.Usage, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return u, err
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, err
	}
	memory, times := peakMemory.FindSubmatch(status), ticks.FindSubmatch(stat)
	if memory == nil || times == nil {
		return u, fmt.Errorf("process %d: %q", pid, stat)
	}
	number := func(digits []byte) int64 {
		n, _ := strconv.ParseInt(string(digits), 10, 64) // digits are a number
		return n
	}
	u.Memory = number(memory[1]) << 10
	u.CPU = float64(number(times[1])+number(times[2])) / ticksPerSecond
	return u, nil
}
