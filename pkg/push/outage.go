package push

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

const (
	// outagePatience is how long a registry may be gone as a whole before the run
	// goes on without it: a restart of Harbor takes a minute or two.
	outagePatience = 5 * time.Minute
	// maxOutageDelay is the longest wait between two looks whether it is back.
	maxOutageDelay = 10 * time.Second
)

// outage is the time when the registry is gone as a whole. Tries of a request
// would all be used up within seconds by a restart that takes minutes; and they
// cost much, where the request is an upload. So nobody tries until the base of
// the API answers again: one worker asks it, and the others wait.
type outage struct {
	asking   *locks
	patience time.Duration // 0: none, for the first contact and where nothing is to be tried again

	mu    sync.Mutex
	since time.Time // zero where the registry answers
}

func newOutage() *outage { return &outage{asking: newLocks()} }

// isOutage tells what may be the end of the whole registry: nobody could be
// connected to, or a proxy has nobody behind it and may show a page instead.
func isOutage(err error) bool {
	var status *StatusError
	var op *net.OpError
	var dns *net.DNSError
	switch {
	case errors.As(err, &status):
		return status.Status == http.StatusBadGateway || status.Status == http.StatusServiceUnavailable || status.Status == http.StatusGatewayTimeout
	case errors.As(err, &dns), errors.Is(err, errPage):
		return true
	}
	return errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect")
}

// failed counts a look that found nobody at a time, and tells whether that is
// to be borne.
func (o *outage) failed(at time.Time) (patient bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() {
		o.since = at
	}
	return at.Sub(o.since) < o.patience
}

// over ends it: the registry answers.
func (o *outage) over() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.since = time.Time{}
}

// lasts tells whether nothing is hoped for any more.
func (o *outage) lasts() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.patience > 0 && !o.since.IsZero() && time.Since(o.since) >= o.patience
}

// givenUp says so.
func (o *outage) givenUp(err error) error {
	return report.WithHint(fmt.Errorf("the registry has not answered for %s: %w", o.patience, err),
		"run the same command again when it is back: it goes on where it was")
}

// awaitAnswer returns when the registry answers, and with an error where it has
// not for as long as there is patience.
func (r *Registry) awaitAnswer(ctx context.Context) error {
	if r.outage.patience == 0 {
		return nil
	}
	unlock, err := r.outage.asking.lock(ctx, "")
	if err != nil {
		return err
	}
	defer unlock()
	waits := growing(r.opts.RetryDelay, max(maxOutageDelay, r.opts.RetryDelay))
	for {
		err := r.look(ctx)
		switch {
		case err == nil:
			r.outage.over()
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !r.outage.failed(time.Now()):
			return r.outage.givenUp(err)
		}
		wait := waits.NextBackOff()
		r.notify(err, wait)
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// look asks for the base of the API, without a slot: where it is needed, the
// others wait. It does so over a connection of its own, since all others may be
// busy for long with what the registry has yet to answer.
func (r *Registry) look(ctx context.Context) error {
	q := &request{method: http.MethodGet, path: "/v2/"}
	req, err := r.newRequest(ctx, q)
	if err != nil {
		return err
	}
	resp, err := doBy(r.lookout, req, r.quick)
	switch {
	case err != nil:
		return err
	case isTransientStatus(resp.StatusCode):
		return newStatusError(req, resp)
	case isPage(resp):
		return newPageError(req, resp)
	}
	drain(resp)
	return nil
}
