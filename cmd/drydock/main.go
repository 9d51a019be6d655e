// Command drydock moves every image from the storage directory of a container
// registry that is not running into Harbor.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// run is the whole program; it uses nothing global, so that tests can call it.
func run(ctx context.Context, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer, args []string) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
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
	if advice == "" && usage {
		advice = "drydock --help, or drydock COMMAND --help, shows what there is"
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
