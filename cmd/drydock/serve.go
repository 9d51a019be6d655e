package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/serve"
)

type serveOptions struct {
	sourceFlags
	selectFlags
	listenFlags
	run    runFlags
	unpack string
}

// listenFlags say where a server listens, and who may ask it.
type listenFlags struct {
	listen      string
	cert, key   string
	htpasswd    string
	logRequests bool
}

func (f *listenFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.listen, "listen", "127.0.0.1:5000", "the `address` to listen at; :5000 is every one of this machine's, and port 0 any that is free")
	flags.StringVar(&f.cert, "tls-cert", "", "serve HTTPS with this certificate, a PEM `file`, and what it was signed with")
	flags.StringVar(&f.key, "tls-key", "", "the certificate's key, a PEM `file`")
	flags.StringVar(&f.htpasswd, "htpasswd", "", "let in only who is in this `file`, written by htpasswd -B")
	flags.BoolVar(&f.logRequests, "log-requests", false, "write a line for each request to standard error")
}

func newServeCommand(a *app) *cobra.Command {
	var opts serveOptions
	cmd := &cobra.Command{
		Use:   "serve SOURCE",
		Short: "Show a registry's storage as a registry that can only be read",
		Long: `Serve answers as a registry does, straight from the source: any client can pull,
list tags and repositories, and see by the referrers API what signs or describes an
image. Nothing can be pushed. It serves what is chosen, as elsewhere, until it is
interrupted or terminated. An image that is incomplete is unknown to clients, and a
blob whose bytes are not those of its digest never arrives as a whole.` + exitStatus,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runServe(cmd.Context(), a, args[0], opts)
		},
	}
	opts.sourceFlags.register(cmd.Flags())
	opts.selectFlags.register(cmd.Flags())
	opts.listenFlags.register(cmd.Flags())
	opts.run.registerWords(cmd.Flags())
	registerUnpack(cmd.Flags(), &opts.unpack)
	return cmd
}

// registerWords registers what is left of them for a command whose output is not
// about images.
func (f *runFlags) registerWords(flags *pflag.FlagSet) {
	f.output, f.asked = "text", defaultJobs
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "say only what went wrong")
	flags.BoolVar(&f.noProgress, "no-progress", false, "no bars; there are none anyway where stderr is no terminal")
}

func runServe(ctx context.Context, a *app, location string, opts serveOptions) (err error) {
	rules, err := opts.rules(&opts.sourceFlags)
	if err != nil {
		return err
	}
	config, err := opts.tls()
	if err != nil {
		return err
	}
	users, err := opts.users()
	if err != nil {
		return err
	}
	v := verb{name: "serve", source: location, out: a.err, closing: func(report.Summary) []string { return nil }}
	s, err := a.newSession(v, &opts.run)
	if err != nil {
		return err
	}
	l, err := opts.bind(ctx) // before the scan, which may take long
	if err != nil {
		return err
	}
	defer l.Close()
	c := &conversion{session: s, dir: unpackDir(opts.unpack, location)}
	defer func() { err = errors.Join(err, c.close(ctx)) }()
	src, x, err := c.read(ctx, location, &opts.sourceFlags, &opts.selectFlags, false)
	if err != nil {
		return err
	}
	defer src.Close()
	c.finished = true                                    // what was unpacked is of no use to another run
	rules.Untagged = rules.Untagged || holdsLayouts(src) // of layouts, each was chosen when it was made
	p, err := s.choose(x, rules)
	if err != nil {
		return err
	}
	registry := serve.New(src, x, p, &serve.Options{Log: a.log})
	if err := s.announce(a, registry, location, l, config, &opts.listenFlags); err != nil {
		return err
	}
	if config != nil {
		l = tls.NewListener(l, config)
	}
	return serve.Run(ctx, l, opts.around(registry, users, a), a.log)
}

// tls reads the certificate; nil is plain HTTP.
func (f *listenFlags) tls() (*tls.Config, error) {
	if f.cert == "" && f.key == "" {
		return nil, nil
	}
	if f.cert == "" || f.key == "" {
		return nil, usageError{errors.New("--tls-cert and --tls-key go together")}
	}
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return nil, fmt.Errorf("reading certificate: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}, nil
}

// users reads who is let in; nil is everybody.
func (f *listenFlags) users() (*serve.Users, error) {
	if f.htpasswd == "" {
		return nil, nil
	}
	file, err := os.Open(f.htpasswd)
	if err != nil {
		return nil, fmt.Errorf("reading users: %w", err)
	}
	defer file.Close()
	return serve.ParseUsers(file)
}

func (f *listenFlags) bind(ctx context.Context) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", f.listen)
	if err != nil {
		return nil, report.WithHint(err, "name another address with --listen, such as 127.0.0.1:5001; port 0 is any that is free")
	}
	return l, nil
}

// around puts around a registry what was asked for.
func (f *listenFlags) around(h http.Handler, users *serve.Users, a *app) http.Handler {
	if users != nil {
		h = serve.Authenticate(h, users.Right)
	}
	if f.logRequests {
		h = serve.LogRequests(h, slog.New(slog.NewTextHandler(a.err, nil)))
	}
	return h
}

// open tells of a server that everybody can ask who can reach it.
func (f *listenFlags) open(l net.Listener) bool {
	at, ok := l.Addr().(*net.TCPAddr)
	return ok && !at.IP.IsLoopback()
}

// announce tells what is served and what is not, and where. The findings are told
// now, since there is no end to wait for.
func (s *session) announce(a *app, r *serve.Registry, location string, l net.Listener, config *tls.Config, f *listenFlags) error {
	for _, i := range r.Elsewhere() {
		s.note("not served %s: a part of it is not in this bundle, but in the one that it builds on", i.Source)
	}
	switch {
	case !f.open(l):
	case f.htpasswd == "":
		s.note("whoever reaches %s can read all of it: no password is asked for", l.Addr())
	case config == nil:
		s.note("passwords go to %s for everybody on the way to read: --tls-cert and --tls-key serve HTTPS", l.Addr())
	}
	if err := s.end(nil); err != nil {
		return err
	}
	scheme := "http"
	if config != nil {
		scheme = "https"
	}
	_, err := fmt.Fprintf(a.out, "serving %s of %s at %s://%s\n", plural(r.Images(), "image", "images"), cmp.Or(location, "-"), scheme, l.Addr())
	return err
}
