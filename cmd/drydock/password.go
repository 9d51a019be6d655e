package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

func (f *targetFlags) password(ctx context.Context, a *app, username string) (string, error) {
	if !f.passwordStdin {
		if password := a.getenv("HARBOR_PASSWORD"); password != "" {
			return password, nil
		}
		return "", report.WithHint(usageError{fmt.Errorf("no password for user %s", username)},
			"set HARBOR_PASSWORD, or pipe it in with --password-stdin")
	}
	line, err := firstLine(ctx, a.in)
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case line == "":
		return "", usageError{errors.Join(errors.New("no password on standard input"), ignoreEOF(err))}
	}
	return line, nil
}

// maxPassword is how many bytes are read of a password.
const maxPassword = 1 << 20

// firstLine reads a line without its end. Nobody may ever write one: it ends with ctx.
func firstLine(ctx context.Context, r io.Reader) (line string, err error) {
	done := make(chan struct{})
	var read string
	var failed error
	go func() {
		defer close(done)
		read, failed = bufio.NewReader(io.LimitReader(r, maxPassword)).ReadString('\n')
	}()
	select {
	case <-done:
		return strings.TrimRight(read, "\r\n"), failed
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
