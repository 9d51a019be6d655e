package push

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/cenkalti/backoff/v5"
)

const (
	maxErrorBody  = 64 << 10         // bytes read of an answer that is an error
	maxRetryAfter = 10 * time.Minute // the longest wait that a registry is granted
	maxRetryDelay = time.Minute
)

// StatusError is an answer of 400 and above.
type StatusError struct {
	Method, Path string // of the request, without its query
	Status       int
	Details      []ErrorDetail // as the registry's body has them
	RetryAfter   time.Duration // as the answer asks for; 0 where it does not
}

// ErrorDetail is one error of a registry's answer (OCI distribution spec 1.1,
// "Error Codes").
type ErrorDetail struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Detail  any    `json:"detail"`
}

func (e *StatusError) Error() string {
	parts := []string{fmt.Sprintf("%s %s: %d %s", e.Method, e.Path, e.Status, http.StatusText(e.Status))}
	for _, d := range e.Details[:min(len(e.Details), shownDetails)] {
		text := d.Code + " " + d.Message
		if detail, ok := d.Detail.(string); ok && detail != d.Message {
			text += " " + detail
		}
		parts = append(parts, clean(text, 300))
	}
	if more := len(e.Details) - shownDetails; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, ": ")
}

// shownDetails is how many of a registry's errors are put into words.
const shownDetails = 3

// Has tells whether the registry gave this error code.
func (e *StatusError) Has(code string) bool {
	for _, d := range e.Details {
		if d.Code == code {
			return true
		}
	}
	return false
}

// newStatusError reads what the answer says, within bounds, and closes it.
func newStatusError(req *http.Request, resp *http.Response) *StatusError {
	defer resp.Body.Close()
	e := &StatusError{Method: req.Method, Path: req.URL.Path, Status: resp.StatusCode, RetryAfter: retryAfter(resp)}
	content, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	var body struct {
		Errors []ErrorDetail `json:"errors"`
	}
	if json.Unmarshal(content, &body) == nil {
		e.Details = body.Errors[:min(len(body.Errors), 20)]
	}
	return e
}

// clean makes what a server says fit for a terminal: one line, no control
// characters, not too long.
func clean(s string, most int) string {
	s = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, s)
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.TrimSpace(s)
}

// retryAfter reads the header's seconds or date (RFC 9110, 10.2.3), within
// bounds: nobody waits for a year, or into the past.
func retryAfter(resp *http.Response) time.Duration {
	value := resp.Header.Get("Retry-After")
	var wait time.Duration
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if date, err := http.ParseTime(value); err == nil {
		wait = time.Until(date)
	}
	return min(max(wait, 0), maxRetryAfter)
}

func isTransientStatus(status int) bool {
	return status == http.StatusRequestTimeout || status == http.StatusTooManyRequests || status >= 500
}

// isTransient tells what may go away by itself: broken connections, and answers
// that say so. A 500 is one too, since Harbor gives it where two writers meet;
// one that says a blob is unknown is not.
func isTransient(err error) bool {
	var status *StatusError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, errLocal):
		return false
	case errors.As(err, &status):
		return isTransientStatus(status.Status) && !strings.Contains(status.Error(), "MANIFEST_BLOB_UNKNOWN")
	case isNoTLS(err), isUnknownAuthority(err), errors.Is(err, errNoRegistry):
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
		case !isTransient(err):
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
