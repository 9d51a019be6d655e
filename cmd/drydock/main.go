// Command drydock moves every image from the storage directory of a container
// registry that is not running into Harbor.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

func main() {
	limitGarbage()
	os.Exit(run(context.Background(), os.Getenv, os.Stdin, os.Stdout, os.Stderr, os.Args[1:]))
}

// The exit statuses; each command's help has them in a table.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitLeftOut     = 3
	exitInterrupted = 130
)

// errLeftOut ends a run that finished, but left some image out.
var errLeftOut = errors.New("some images were left out or failed")

// usageError is a mistake in what was typed.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// interruptible gives a ctx that ends with a signal to stop. A second one ends the
// program on the spot: what waits in a system call, as for a file server that is
// gone, hears of no ctx, and nothing half-written is lost by it. That a line is hung
// up, as when ssh loses its connection, is told by the kernel and by the shell, so
// that it may come twice; nohup has it ignored.
func interruptible(ctx context.Context) (_ context.Context, release func()) {
	hangup := func() {}
	if !signal.Ignored(syscall.SIGHUP) {
		ctx, hangup = signal.NotifyContext(ctx, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, func() { stop(); hangup() }
}

// run is the whole program; it uses nothing global, so that tests can call it.
func run(ctx context.Context, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer, args []string) int {
	ctx, release := interruptible(ctx)
	defer release()
	a := &app{getenv: getenv, in: stdin, out: stdout, err: stderr}
	root := newRootCommand(a)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	err = errors.Join(err, a.session.end(err))
	switch {
	case ctx.Err() != nil && err != nil:
		fmt.Fprintln(stderr, "drydock: interrupted; run the same command again to go on")
		return exitInterrupted
	case err == nil:
		return exitDone
	case errors.Is(err, errLeftOut):
		return exitLeftOut
	}
	_, usage := errors.AsType[usageError](err)
	usage = usage || !a.started
	advice := report.Advice(err)
	switch {
	case advice != "":
	case usage:
		advice = "drydock --help, or drydock COMMAND --help, shows what there is"
	case errors.Is(err, fs.ErrPermission):
		advice = "run it as a user who may do that: a registry's storage is often root's alone"
	}
	fmt.Fprintf(stderr, "drydock: error: %v\n", err)
	if advice != "" {
		fmt.Fprintf(stderr, "drydock: hint: %s\n", advice)
	}
	if usage {
		return exitUsage
	}
	return exitFailed
}
