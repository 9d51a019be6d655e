package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime/metrics"
	"runtime/pprof"
	"runtime/trace"
	"time"

	"github.com/spf13/cobra"
)

// profile is where a run writes what it spends its time and memory on; for
// whoever makes drydock faster, with go tool pprof and go tool trace.
type profile struct{ cpu, memory, trace string }

// addProfileFlags gives every command hidden flags for profiles.
func addProfileFlags(root *cobra.Command) {
	p := &profile{}
	flags := root.PersistentFlags()
	flags.StringVar(&p.cpu, "cpuprofile", "", "write a CPU profile to this `file`")
	flags.StringVar(&p.memory, "memprofile", "", "write a profile of the memory to this `file`, as it was at its largest")
	flags.StringVar(&p.trace, "trace", "", "write an execution trace to this `file`")
	for _, name := range []string{"cpuprofile", "memprofile", "trace"} {
		flags.Lookup(name).Hidden = true
	}
	for _, cmd := range root.Commands() {
		run := cmd.RunE
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			stop, err := p.start()
			if err != nil {
				return err
			}
			err = run(cmd, args)
			if failed := stop(); failed != nil {
				err = errors.Join(err, failed)
			}
			return err
		}
	}
}

// start begins what was asked for. Stop ends it and writes the files, whatever
// became of the run.
func (p *profile) start() (stop func() error, err error) {
	var stops []func() error
	stop = func() error {
		var errs []error
		for _, one := range stops {
			errs = append(errs, one())
		}
		return errors.Join(errs...)
	}
	for _, one := range []struct {
		path  string
		begin func(*os.File) (end func() error, err error)
	}{{p.cpu, cpuProfile}, {p.trace, executionTrace}, {p.memory, memoryProfile}} {
		if one.path == "" {
			continue
		}
		f, err := os.Create(one.path)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("writing profile: %w", err), stop())
		}
		end, err := one.begin(f)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("writing profile %s: %w", one.path, err), f.Close(), stop())
		}
		stops = append(stops, func() error {
			if err := errors.Join(end(), f.Close()); err != nil {
				return fmt.Errorf("writing profile %s: %w", one.path, err)
			}
			return nil
		})
	}
	return stop, nil
}

func cpuProfile(f *os.File) (end func() error, err error) {
	return func() error { pprof.StopCPUProfile(); return nil }, pprof.StartCPUProfile(f)
}

func executionTrace(f *os.File) (end func() error, err error) {
	return func() error { trace.Stop(); return nil }, trace.Start(f)
}

// memoryProfile is of the moment when most was held, as far as looking now and
// then shows, and of all that was ever held up to then.
func memoryProfile(f *os.File) (end func() error, err error) {
	ended, done := make(chan struct{}), make(chan []byte)
	go func() { done <- largestHeap(ended) }()
	return func() error {
		close(ended)
		_, err := f.Write(<-done)
		return err
	}, nil
}

// largestHeap gives the profile of the largest heap until the end.
func largestHeap(ended <-chan struct{}) []byte {
	var largest bytes.Buffer
	var most uint64 // bytes
	held := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		metrics.Read(held)
		if now := held[0].Value.Uint64(); now > most || largest.Len() == 0 {
			most = now
			largest.Reset()
			_ = pprof.WriteHeapProfile(&largest) // a buffer takes everything
		}
		select {
		case <-tick.C:
		case <-ended:
			return largest.Bytes()
		}
	}
}
