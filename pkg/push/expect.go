package push

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// expectTimeout is how long a large body waits for the server's word. A server that
// gives none gets bodies unasked from then on.
const expectTimeout = 5 * time.Second

// expectFrom is from how many bytes on a body waits until it is wanted.
const expectFrom = 1 << 20

// trySized sends a request, and its body, where that is large, when the server says
// that it wants it (RFC 9110, 10.1.1). A refusal, such as a proxy's of its size, is
// then seen as what it is: a server that refuses a body under way may end the
// connection, and its answer is lost with that.
func (r *Registry) trySized(ctx context.Context, q *request) (*http.Response, error) {
	if q.size < expectFrom || r.neverContinues.Load() {
		return r.try(ctx, q)
	}
	var spoken atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotFirstResponseByte: func() { spoken.Store(true) }})
	asking := *q
	asking.header = q.header.Clone()
	asking.header.Set("Expect", "100-continue")
	asking.body = func() (io.ReadCloser, error) {
		body, err := q.body()
		if err != nil {
			return nil, err
		}
		return &expected{body, r, &spoken}, nil
	}
	resp, err := r.try(ctx, &asking)
	var status *StatusError
	if errors.As(err, &status) && status.Status == http.StatusExpectationFailed {
		r.neverContinues.Store(true)
		return r.try(ctx, q)
	}
	return resp, err
}

// expected is a body that is read when the server has spoken, or has said nothing
// for long.
type expected struct {
	io.ReadCloser
	r      *Registry
	spoken *atomic.Bool
}

func (e *expected) Read(p []byte) (int, error) {
	e.begin()
	return e.ReadCloser.Read(p)
}

// sendTo implements sender.
func (e *expected) sendTo(c *net.TCPConn, n int64) (int64, error) {
	e.begin()
	return sendTo(c, e.ReadCloser, n)
}

func (e *expected) begin() {
	if !e.spoken.Load() {
		e.r.neverContinues.Store(true)
	}
}
