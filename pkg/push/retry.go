package push

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const maxRetryDelay = time.Minute

// isTransientStatus tells the answers that may be others the next time. A
// server that does not know the method will not learn it.
func isTransientStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return status >= 500
}

// isTransient tells what may go away by itself: broken connections, and answers
// that say so. A 500 is one too, since Harbor gives it where two writers meet;
// one that says a blob is unknown is not.
func isTransient(err error) bool {
	var status *StatusError
	switch {
	case errors.Is(err, errLocal):
		return false
	case errors.As(err, &status):
		return isTransientStatus(status.Status) && !status.says("MANIFEST_BLOB_UNKNOWN")
	case isNoTLS(err), isUntrusted(err), errors.Is(err, errNoRegistry), errors.Is(err, errRedirect):
		return false
	}
	return errors.Is(err, errPage) || errors.Is(err, errUploadGone) || isNetwork(err)
}

// retry runs what may fail in passing again, with growing and random waits in
// between, or after as long as the registry asks for. Where twice in a row it may
// be the registry as a whole that is gone, the next try waits until it is back.
func (r *Registry) retry(ctx context.Context, run func() error) error {
	waits := growing(r.opts.RetryDelay, max(maxRetryDelay, r.opts.RetryDelay))
	for tries, gone := 0, 0; ; tries++ {
		err := run()
		if err == nil {
			return nil
		}
		var settled *settledError
		switch {
		case errors.As(err, &settled):
			return settled.error
		case tries >= r.opts.RetryTimes, ctx.Err() != nil, !isTransient(err):
			return err // ctx itself: a connection that times out has the same error as a ctx
		case isOutage(err) && r.outage.lasts():
			return r.outage.givenUp(err)
		}
		if gone++; !isOutage(err) {
			gone = 0
		}
		if err := r.pause(ctx, err, waits.NextBackOff(), gone > 1); err != nil {
			return err
		}
	}
}

// pause waits before a try, after one that failed.
func (r *Registry) pause(ctx context.Context, failed error, wait time.Duration, gone bool) error {
	var status *StatusError
	if errors.As(failed, &status) && status.RetryAfter > 0 {
		wait = status.RetryAfter
	}
	r.notify(failed, wait)
	if err := sleep(ctx, wait); err != nil || !gone {
		return err
	}
	return r.awaitAnswer(ctx)
}

// growing gives waits that are half as long again each time, and random: so
// those who failed together do not come back together.
func growing(first, most time.Duration) *backoff.ExponentialBackOff {
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval, waits.MaxInterval = first, most
	waits.Reset()
	return waits
}

func (r *Registry) notify(err error, wait time.Duration) {
	if r.opts.Notify != nil {
		r.opts.Notify(err, wait)
	}
}

// sleep returns the error of ctx where that ends first. Not its cause: that may
// be the failure of something else.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// settledError is an error that retry does not repeat, since it was repeated
// enough where it came from.
type settledError struct{ error }

func (e *settledError) Unwrap() error { return e.error }

func settled(err error) error {
	if err == nil {
		return nil
	}
	return &settledError{err}
}
