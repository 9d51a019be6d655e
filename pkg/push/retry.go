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
	return isNetwork(err)
}

// retry runs what may fail in passing again, with growing and random waits in
// between, or after as long as the registry asks for.
func (r *Registry) retry(ctx context.Context, run func() error) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval = r.opts.RetryDelay
	wait.MaxInterval = max(maxRetryDelay, r.opts.RetryDelay)
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := run()
		var status *StatusError
		switch {
		case err == nil:
			return struct{}{}, nil
		case isPermanent(err):
			return struct{}{}, err
		case ctx.Err() != nil, !isTransient(err): // not by err: a connection that times out has the same as a ctx
			return struct{}{}, backoff.Permanent(err)
		case errors.As(err, &status) && status.RetryAfter > 0:
			return struct{}{}, &waitError{err, &backoff.RetryAfterError{Duration: status.RetryAfter}}
		}
		return struct{}{}, err
	},
		backoff.WithBackOff(wait),
		backoff.WithMaxTries(uint(max(r.opts.RetryTimes, 0))+1),
		backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, wait time.Duration) {
			if r.opts.Notify != nil {
				r.opts.Notify(err, wait)
			}
		}))
	return plainError(err)
}

// waitError is an error with the wait that the registry asks for.
type waitError struct {
	error
	after *backoff.RetryAfterError
}

func (e *waitError) Unwrap() []error { return []error{e.error, e.after} }

func isPermanent(err error) bool {
	_, ok := errors.AsType[*backoff.PermanentError](err)
	return ok
}

// plainError takes off what was put on for the sake of backoff.
func plainError(err error) error {
	switch e := err.(type) {
	case *waitError:
		return e.error
	case *backoff.PermanentError:
		return e.Err
	}
	return err
}
