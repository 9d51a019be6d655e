package push

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const (
	maxErrorBody  = 64 << 10         // bytes read of an answer that is an error
	maxRetryAfter = 10 * time.Minute // the longest wait that a registry is granted
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
	parts := []string{fmt.Sprintf("%s %s: %d %s", e.Method, clean(e.Path, 400), e.Status, http.StatusText(e.Status))}
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

// maxDetails is how many of a registry's errors are kept.
const maxDetails = 20

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

// says tells whether the words are in the registry's errors, anywhere.
func (e *StatusError) says(words string) bool {
	for _, d := range e.Details {
		if strings.Contains(d.Code+" "+d.Message+fmt.Sprint(d.Detail), words) {
			return true
		}
	}
	return false
}

// newStatusError reads what the answer says, within bounds, and closes it.
func newStatusError(req *http.Request, resp *http.Response) *StatusError {
	defer resp.Body.Close()
	e := &StatusError{Method: req.Method, Path: req.URL.Path, Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header)}
	content, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	var body struct {
		Errors []ErrorDetail `json:"errors"`
	}
	if json.Unmarshal(content, &body) == nil {
		e.Details = body.Errors[:min(len(body.Errors), maxDetails)]
	}
	return e
}

// clean makes what a server says fit for a terminal: one line, no control
// characters, not too long.
func clean(s string, most int) string {
	s = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return ' '
		}
		return c
	}, s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strings.TrimSpace(s)
}

// retryAfter reads the header's seconds or date (RFC 9110, 10.2.3), within
// bounds: nobody waits for a year, or into the past. A date is held against the
// server's own clock, if it tells the time.
func retryAfter(header http.Header) time.Duration {
	value := strings.TrimSpace(header.Get("Retry-After"))
	var wait time.Duration
	seconds, err := strconv.ParseUint(value, 10, 64)
	if err == nil || errors.Is(err, strconv.ErrRange) {
		wait = time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	} else if date, err := http.ParseTime(value); err == nil {
		now, err := http.ParseTime(header.Get("Date"))
		if err != nil {
			now = time.Now()
		}
		wait = date.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}
