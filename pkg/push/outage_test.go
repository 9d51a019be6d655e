package push_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-5b48bd9d/drydock/pkg/push"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

func TestOutagePatience(t *testing.T) {
	start := time.Now()
	o := push.NewOutage(time.Minute)
	for _, test := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {time.Second, true}, {59 * time.Second, true}, {time.Minute, false}, {time.Hour, false}} {
		if got := o.Failed(start.Add(test.after)); got != test.want {
			t.Errorf("after %s: patient %t, want %t", test.after, got, test.want)
		}
	}
	o.Over()
	if !o.Failed(start.Add(2 * time.Hour)) {
		t.Error("a new outage is not borne")
	}
	o = push.NewOutage(time.Minute)
	if o.Lasts() {
		t.Error("an outage that never began lasts")
	}
	o.Failed(start.Add(-time.Hour))
	if !o.Lasts() {
		t.Error("an outage of an hour is borne")
	}
	o.Over()
	if o.Lasts() {
		t.Error("an outage that is over lasts")
	}
}

func TestIsOutage(t *testing.T) {
	wrap := func(err error) error { return fmt.Errorf("x: %w", &url.Error{Op: "Get", URL: "http://h/", Err: err}) }
	for _, test := range []struct {
		err  error
		want bool
	}{
		{wrap(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), true},
		{wrap(&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", IsNotFound: true}}), true},
		{wrap(&net.DNSError{Err: "server misbehaving", IsTemporary: true}), true},
		{wrap(&net.OpError{Op: "proxyconnect", Err: syscall.ECONNREFUSED}), true},
		{wrap(&net.OpError{Op: "read", Err: syscall.ECONNRESET}), false},
		{wrap(io.EOF), false},
		{&push.StatusError{Status: 502}, true},
		{&push.StatusError{Status: 503}, true},
		{&push.StatusError{Status: 504}, true},
		{&push.StatusError{Status: 500}, false},
		{&push.StatusError{Status: 429}, false},
		{nil, false},
	} {
		if got := push.IsOutage(test.err); got != test.want {
			t.Errorf("%v: %t, want %t", test.err, got, test.want)
		}
	}
}

// An away is a registry that is gone for as many looks as it is told of.
type away struct {
	gone atomic.Int64
	told atomic.Int64
}

func (a *away) isGone() bool { return a.gone.Load() > 0 }

// notify counts every try and every look that failed, of all workers.
func (a *away) notify(error, time.Duration) {
	a.told.Add(1)
	a.gone.Add(-1)
}

// A registry that is gone for longer than its tries last is waited for: nobody
// listens, its name is gone, or a proxy answers in its place.
func TestOutage(t *testing.T) {
	const looks = 12 // more than three tries
	closed := httptest.NewServer(nil)
	closed.Close()
	refuse := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, closed.Listener.Addr().String())
	}
	unknown := func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "harbor.invalid", IsNotFound: true}}
	}
	for _, test := range []struct {
		name  string
		dial  func(ctx context.Context, network, addr string) (net.Conn, error)
		front func(w http.ResponseWriter, q *http.Request)
	}{
		{"refused", refuse, nil},
		{"no name", unknown, nil},
		{"bad gateway", nil, status(502, htmlPage)},
		{"unavailable", nil, status(503, "")},
		{"a page", nil, status(200, htmlPage)},
	} {
		for _, jobs := range []int{1, 4} {
			t.Run(fmt.Sprintf("%s, %d jobs", test.name, jobs), func(t *testing.T) {
				t.Parallel()
				a := &away{}
				s := startHarbor(t, nil, "a", "b", "c")
				if test.front != nil {
					s.Intercept(func(w http.ResponseWriter, q *http.Request) bool {
						if a.isGone() {
							test.front(w, q)
							return true
						}
						return false
					})
				}
				opts := asAdmin()
				opts.Jobs, opts.Notify = jobs, a.notify
				r := dialHarbor(t, s, opts)
				if test.dial != nil {
					r.SetDial(func(ctx context.Context, network, addr string) (net.Conn, error) {
						if a.isGone() {
							return test.dial(ctx, network, addr)
						}
						return (&net.Dialer{}).DialContext(ctx, network, addr)
					})
				}
				a.gone.Store(looks)
				images := shared()
				for _, o := range pushAll(t.Context(), t, r, jobs, images) {
					if o.Status != report.Done {
						t.Errorf("%s: %s: %s", o.Target, o.Status, o.Error)
					}
				}
				if n := a.told.Load(); n < looks {
					t.Errorf("told of %d tries and looks, want %d and more", n, looks)
				}
				back := harborReader(t, s, "a", "b", "c")
				for _, f := range images {
					back.check(t, f.Image)
				}
			})
		}
	}
}

// A registry that does not come back is given up, for all that is left, and found
// again should it answer after all.
func TestOutageForGood(t *testing.T) {
	s := startHarbor(t, nil, "a", "b", "c")
	opts := asAdmin()
	var told atomic.Int64
	opts.Notify = func(error, time.Duration) { told.Add(1) }
	r := dialHarbor(t, s, opts)
	r.SetPatience(50 * time.Millisecond)
	var gone atomic.Bool
	gone.Store(true)
	r.SetDial(func(ctx context.Context, network, addr string) (net.Conn, error) {
		if gone.Load() {
			return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	})
	images := shared()
	_, err := images[0].pushTo(t.Context(), t, r)
	if !errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), "has not answered for 50ms") || !strings.Contains(report.Advice(err), "when it is back") {
		t.Errorf("error %v, hint %q", err, report.Advice(err))
	}
	before := told.Load()
	for _, f := range images {
		if _, err := f.pushTo(t.Context(), t, r); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("error %v", err)
		}
	}
	if n := told.Load() - before; n > 0 {
		t.Errorf("%d tries of a registry that was given up", n)
	}
	gone.Store(false)
	mustPush(t, r, images[0])
}

// The end of ctx ends the waiting for a registry.
func TestOutageCancelled(t *testing.T) {
	s := startHarbor(t, nil, "mig")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a := &away{}
	opts := asAdmin()
	opts.Notify = func(error, time.Duration) {
		if a.told.Add(1) == 10 {
			cancel()
		}
	}
	r := dialHarbor(t, s, opts)
	s.Intercept(func(w http.ResponseWriter, q *http.Request) bool {
		status(502, htmlPage)(w, q)
		return true
	})
	outcomes := pushAll(ctx, t, r, 4, []*fixture{image("mig/a:1", "one"), image("mig/b:1", "two"), image("mig/c:1", "three")})
	for _, o := range outcomes {
		if o.Status != report.Failed || !strings.Contains(o.Error, "context canceled") {
			t.Errorf("outcome %+v", o)
		}
	}
}

// One answer that a proxy gives for good says nothing of the registry, and costs
// no more than its tries.
func TestNoOutage(t *testing.T) {
	s := startHarbor(t, nil, "mig")
	f, seen := failFirst(99, onManifest, status(504, htmlPage))
	s.Intercept(f)
	r := dialHarbor(t, s, asAdmin())
	if o, _ := image("mig/app:1", "layer").pushTo(t.Context(), t, r); !strings.Contains(o.Error, "504 Gateway Timeout") {
		t.Errorf("outcome %+v", o)
	}
	if n := seen.Load(); n != 4 {
		t.Errorf("%d tries, want 4", n)
	}
}
