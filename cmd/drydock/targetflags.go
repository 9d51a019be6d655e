package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor"
	"github.com/seed-5b48bd9d/drydock/pkg/push"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// targetFlags say how the target is reached, and as whom.
type targetFlags struct {
	username      string
	passwordStdin bool
	creds         string
	authFile      string
	certDir       string
	tlsVerify     bool
	createProject bool
	public        bool
	settingsFile  string
	settings      *harbor.Settings // that the two above make
	force         bool
	retryTimes    int
	retryDelay    time.Duration
}

func (f *targetFlags) register(flags *pflag.FlagSet) {
	flags.StringVarP(&f.username, "username", "u", "", "user `name`; else HARBOR_USERNAME, else the auth files of docker and podman")
	flags.BoolVar(&f.passwordStdin, "password-stdin", false, "read the password from standard input; else HARBOR_PASSWORD")
	flags.StringVar(&f.creds, "creds", "", "`USER:PASSWORD` as in skopeo; others on this machine can see it")
	flags.StringVar(&f.authFile, "authfile", "", "auth `file` instead of the usual ones; else REGISTRY_AUTH_FILE")
	flags.StringVar(&f.certDir, "cert-dir", "", "`directory` of *.crt, *.cert and *.key for the target")
	flags.BoolVar(&f.tlsVerify, "tls-verify", true, "--tls-verify=false takes any certificate, and plain HTTP")
	flags.BoolVar(&f.createProject, "create-projects", true, "create Harbor projects that are missing")
	flags.BoolVar(&f.public, "public", false, "create them public, not private")
	flags.StringVar(&f.settingsFile, "project-settings", "", "create them as this YAML `file` says: public, quota and metadata by name or glob")
	flags.BoolVar(&f.force, "force", false, "try all the same what Harbor is known to refuse")
	flags.IntVar(&f.retryTimes, "retry-times", 5, "tries after the first, where something fails in passing")
	flags.DurationVar(&f.retryDelay, "retry-delay", time.Second, "wait before the second try; it grows from there")
}

// options are those of a connection to the target.
func (f *targetFlags) options(ctx context.Context, a *app, jobs int) (*push.Options, error) {
	o := &push.Options{
		Username: f.username, AuthFile: f.authFile, CertDir: f.certDir, SkipTLSVerify: !f.tlsVerify,
		Jobs: jobs, RetryTimes: f.retryTimes, RetryDelay: f.retryDelay, UserAgent: "drydock/" + version(),
		Notify: func(err error, wait time.Duration) {
			a.log.Warn("trying again", "wait", wait.Round(time.Millisecond).String(), "error", err.Error())
		},
		Throttled: func(requests int, err error) {
			a.log.Warn("the target has trouble: asking less at a time until it heals", "requests", requests, "error", err.Error())
		},
	}
	switch {
	case f.retryTimes < 0 || f.retryDelay < 0:
		return nil, usageError{errors.New("--retry-times and --retry-delay cannot be negative")}
	case f.retryTimes == 0:
		o.RetryTimes = -1
	}
	return o, f.credentials(ctx, a, o)
}

// credentials says who it is that pushes, and by which password: flags before
// environment before auth files.
func (f *targetFlags) credentials(ctx context.Context, a *app, o *push.Options) (err error) {
	if f.authFile != "" {
		if _, err := os.Stat(f.authFile); err != nil {
			return fmt.Errorf("reading credentials: %w", err)
		}
	} else {
		o.AuthFile = a.getenv("REGISTRY_AUTH_FILE")
	}
	switch {
	case f.creds != "" && (f.username != "" || f.passwordStdin):
		return usageError{errors.New("--creds has user name and password: leave out --username and --password-stdin")}
	case f.creds != "":
		o.Username, o.Password, _ = strings.Cut(f.creds, ":")
		return nil
	case o.Username == "" && f.authFile == "":
		o.Username = a.getenv("HARBOR_USERNAME")
	}
	switch {
	case o.Username != "":
		o.Password, err = f.password(ctx, a, o.Username)
		return err
	case f.passwordStdin:
		return usageError{errors.New("--password-stdin needs a user name: --username or HARBOR_USERNAME")}
	}
	return nil
}

// readSettings reads how projects are to be created.
func (f *targetFlags) readSettings() error {
	f.settings = &harbor.Settings{Public: f.public}
	if f.settingsFile == "" {
		return nil
	}
	file, err := os.Open(f.settingsFile)
	if err != nil {
		return fmt.Errorf("reading project settings: %w", err)
	}
	defer file.Close()
	if f.settings, err = harbor.ParseSettings(file); err != nil {
		return err
	}
	f.settings.Public = f.settings.Public || f.public
	return nil
}

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
