package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/floor"
	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/measure"
)

// contender is something that is measured beside others.
type contender struct {
	name string
	runs int // at most; 0: as many as there are
	run  func(ctx context.Context) (row, error)
}

// contest measures contenders in turn, again and again, so that what disturbs
// the machine for a while disturbs all of them. It adds the best run of each as a
// row, and gives these.
func (b *bench) contest(ctx context.Context, contenders ...contender) ([]row, error) {
	best := make([]row, len(contenders))
	for round := range b.runs {
		for n, c := range contenders {
			if c.runs > 0 && round >= c.runs {
				continue
			}
			b.say("%s, %d of %d", c.name, round+1, b.runs)
			r, err := c.run(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			if round == 0 || r.usage.Seconds < best[n].usage.Seconds {
				best[n] = r
				best[n].name = c.name
			}
		}
	}
	for _, r := range best {
		b.table.add(r)
	}
	return best, nil
}

// program is a contender that is run as it is.
func program(name string, args ...string) contender {
	return contender{name: name, run: func(ctx context.Context) (row, error) {
		u, err := measure.Run(ctx, measure.Command{Args: args})
		return row{usage: u}, err
	}}
}

// inProcess is a contender that is a function of this program.
func inProcess(name string, run func(context.Context) error) contender {
	return contender{name: name, run: func(ctx context.Context) (row, error) {
		start := time.Now()
		err := run(ctx)
		return row{usage: measure.Usage{Seconds: time.Since(start).Seconds()}}, err
	}}
}

// fresh is a contender that fills a directory which is not there before.
func (b *bench) fresh(name string, args func(dir string) []string) contender {
	return contender{name: name, run: func(ctx context.Context) (row, error) {
		u, err := measure.Run(ctx, measure.Command{Args: args(b.dir(name))})
		return row{usage: u}, err
	}}
}

// dir is the path of a directory that nobody had before. It goes when its section
// is over, and not sooner: for a while after a removal, ext4 is slow to make new
// files near where the old ones were (recently_deleted in fs/ext4/ialloc.c), and
// who comes next would be measured by that.
func (b *bench) dir(name string) string {
	b.made++
	dir := filepath.Join(b.work, fmt.Sprintf("%d-%s", b.made, strings.ReplaceAll(name, " ", "-")))
	b.dirs = append(b.dirs, dir)
	return dir
}

// The floors are run as programs of their own, like all others: this one, with
// these as its first arguments.
const (
	floorCommand = "floor"
	floorLinks   = "links"    // TREE LAYOUTS TO JOBS
	floorConvert = "convert"  // TREE TO JOBS
	floorSend    = "requests" // LAYOUTS HOST JOBS
)

// floorResult is what they print.
type floorResult struct {
	Seconds            float64 // for the calls alone, not for reading what has to be done
	Directories, Links int
	Requests           int
	Bytes              int64
}

func runFloor(ctx context.Context, out io.Writer, args []string) error {
	if len(args) != 5 && len(args) != 4 {
		return errors.New("usage: floor links TREE LAYOUTS TO JOBS, floor convert TREE TO JOBS, floor requests LAYOUTS HOST JOBS")
	}
	jobs, err := strconv.Atoi(args[len(args)-1])
	if err != nil {
		return err
	}
	var r floorResult
	var took time.Duration
	switch args[0] {
	case floorLinks:
		links, err := floor.ReadLinks(args[1], args[2], args[3])
		if err != nil {
			return err
		}
		r.Directories, r.Links = links.Count()
		took, err = links.Make(ctx, jobs)
		if err != nil {
			return err
		}
	case floorConvert:
		if took, err = floor.Convert(ctx, args[1], args[2], jobs); err != nil {
			return err
		}
	default:
		requests, err := floor.ReadRequests(args[1])
		if err != nil {
			return err
		}
		r.Requests, r.Bytes = requests.Count()
		took, err = requests.Send(ctx, args[2], jobs)
		if err != nil {
			return err
		}
	}
	r.Seconds = took.Seconds()
	return json.NewEncoder(out).Encode(r)
}

// floorArgs is the command line of a floor.
func (b *bench) floorArgs(which string, args ...string) []string {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	return append(append([]string{self, floorCommand, which}, args...), strconv.Itoa(b.jobs))
}

// floor runs one, and takes its own word for how long it took.
func (b *bench) floor(ctx context.Context, args []string) (measure.Usage, floorResult, error) {
	var out bytes.Buffer
	u, err := measure.Run(ctx, measure.Command{Args: args, Stdout: &out})
	if err != nil {
		return u, floorResult{}, err
	}
	var r floorResult
	err = json.Unmarshal(out.Bytes(), &r)
	u.Seconds = r.Seconds
	return u, r, err
}
