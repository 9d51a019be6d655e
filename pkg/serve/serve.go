// Package serve shows the images of a plan as a registry that can only be read:
// the pull side of the OCI distribution spec 1.1, referrers included, over a
// source as it lies.
//
// Bytes that do not have their digest are never sent as a whole: what nobody
// hashed before is hashed on its way, and its end is held back until the sum is
// known.
package serve

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// Options steer a Registry; nil means defaults.
type Options struct {
	// Log is told what cannot be served although it was planned; nil means that
	// nobody is.
	Log *slog.Logger
}

// Registry is an http.Handler, to be used at the root of a host. It does not
// change once it is made.
type Registry struct {
	src       source.Source
	index     *storage.Index
	catalog   catalog
	trust     *trust
	log       *slog.Logger
	elsewhere []plan.Image
}

// New makes a registry of a plan's images, which lie in src. Its repositories
// have those images, what they hold, and what refers to them by subject, as far
// as the plan has it. The caller closes src, after the last request.
func New(src source.Source, x *storage.Index, p *plan.Plan, opts *Options) *Registry {
	if opts == nil {
		opts = &Options{}
	}
	r := &Registry{src: src, index: x, trust: newTrust(), log: opts.Log}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	r.catalog, r.elsewhere = newCatalog(x, p)
	return r
}

// Images is how many of the plan's images are served.
func (r *Registry) Images() int { return r.catalog.images }

// Elsewhere gives the plan's images that are not served: parts of them are not in
// the source, which is a differential bundle.
func (r *Registry) Elsewhere() []plan.Image { return r.elsewhere }

// headerTimeout is for a request's headers to come, and for what is announced
// behind them.
var headerTimeout = 10 * time.Second

// graceTime is for requests under way, when the end is asked for.
var graceTime = 5 * time.Second

const (
	idleTimeout = 2 * time.Minute
	maxHeaders  = 64 << 10 // bytes
)

// Run serves a handler on a listener until ctx ends, and then gives requests
// under way some seconds. It closes the listener, and connections of clients that
// stop in the middle of something. To be asked to end is no error.
func Run(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler: keepMoving(h), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaders,
		HTTP2:    &http.HTTP2Config{WriteByteTimeout: stallTime},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return errors.Join(err, server.Close())
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceTime)
	defer cancel()
	err := server.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	<-ended
	return err
}
