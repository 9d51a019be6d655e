package push_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/pkg/push"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// What a registry says of an upload that broke may be wrong. Then it begins again,
// and nothing that was sent before counts.
func TestResumeOddly(t *testing.T) {
	const half = large / 2
	progress := func(header, location string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, q *http.Request) {
			if header != "" {
				w.Header().Set("Range", header)
			}
			if location == "" {
				location = q.URL.RequestURI()
			}
			w.Header().Set("Location", location)
			w.WriteHeader(http.StatusNoContent)
		}
	}
	good := progress(fmt.Sprintf("0-%d", half-1), "")
	patched := func(header string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, q *http.Request) {
			io.Copy(io.Discard, q.Body)
			w.Header().Set("Range", header)
			w.Header().Set("Location", q.URL.RequestURI())
			w.WriteHeader(http.StatusAccepted)
		}
	}
	for _, test := range []struct {
		name             string
		get, patch, last func(http.ResponseWriter, *http.Request)
		want             []string // what follows the PUT that broke
	}{
		{"more than was sent", progress(fmt.Sprintf("0-%d", large+1), ""), nil, nil, []string{"GET", "POST", "PUT"}},
		{"all of it", progress(fmt.Sprintf("0-%d", large-1), ""), nil, nil, []string{"GET", "POST", "PUT"}},
		{"nothing", progress("0-0", ""), nil, nil, []string{"GET", "POST", "PUT"}},
		{"no range", progress("", ""), nil, nil, []string{"GET", "POST", "PUT"}},
		{"a range from elsewhere", progress("5-10", ""), nil, nil, []string{"GET", "POST", "PUT"}},
		{"junk", progress("0-x", ""), nil, nil, []string{"GET", "POST", "PUT"}},
		{"a negative range", progress("0--5", ""), nil, nil, []string{"GET", "POST", "PUT"}},
		{"an endless range", progress("0-99999999999999999999", ""), nil, nil, []string{"GET", "POST", "PUT"}},
		{"another host", progress(fmt.Sprintf("0-%d", half-1), "http://registry.invalid/v2/"), nil, nil, []string{"GET", "POST", "PUT"}},
		{"a Location of another kind", progress(fmt.Sprintf("0-%d", half-1), "ftp://x/"), nil, nil, []string{"GET", "POST", "PUT"}},
		{"gone", status(404, ""), nil, nil, []string{"GET", "POST", "PUT"}},
		{"no right to ask", status(401, ""), nil, nil, []string{"GET", "POST", "PUT"}},
		{"no such method", status(405, ""), nil, nil, []string{"GET", "POST", "PUT"}},
		{"range not satisfiable", status(416, ""), nil, nil, []string{"GET", "POST", "PUT"}},
		{"a status of another kind", status(200, "{}"), nil, nil, []string{"GET", "POST", "PUT"}},
		{"a page, at first", sequence(status(200, htmlPage), good), patched(fmt.Sprintf("0-%d", large-1)), status(400, ""),
			[]string{"GET", "GET", "PATCH", "PUT", "POST", "PUT"}},
		{"unavailable, at first", sequence(status(503, ""), status(404, "")), nil, nil, []string{"GET", "GET", "POST", "PUT"}},
		{"the rest is refused", good, status(416, `{"errors":[{"code":"RANGE_INVALID"}]}`), nil, []string{"GET", "PATCH", "POST", "PUT"}},
		{"the upload is gone", good, status(404, ""), nil, []string{"GET", "PATCH", "POST", "PUT"}},
		{"the rest is half taken", good, patched(fmt.Sprintf("0-%d", half+10)), nil, []string{"GET", "PATCH", "POST", "PUT"}},
		{"the rest is answered oddly", good, status(200, "{}"), nil, []string{"GET", "PATCH", "POST", "PUT"}},
		{"other bytes", good, patched(fmt.Sprintf("0-%d", large-1)), status(400, `{"errors":[{"code":"DIGEST_INVALID"}]}`),
			[]string{"GET", "PATCH", "PUT", "POST", "PUT"}},
		{"an odd end", good, patched(fmt.Sprintf("0-%d", large-1)), status(202, ""), []string{"GET", "PATCH", "PUT", "POST", "PUT"}},
		{"unavailable at the end", good, patched(fmt.Sprintf("0-%d", large-1)), status(503, ""), []string{"GET", "PATCH", "PUT", "GET", "PATCH", "PUT", "GET", "PATCH", "PUT"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newDistribution(t)
			var mu sync.Mutex
			broken, whole := false, false
			var got []string
			h.answer = func(w http.ResponseWriter, q *http.Request) bool {
				if !strings.Contains(q.URL.Path, "/uploads/") || (q.Method == http.MethodPut && q.ContentLength > 0 && q.ContentLength < large) {
					return false
				}
				mu.Lock()
				defer mu.Unlock()
				if broken {
					got = append(got, q.Method)
				}
				switch {
				case whole:
				case q.Method == http.MethodPut && !broken:
					broken = true
					io.CopyN(io.Discard, q.Body, half)
					conn, _, err := http.NewResponseController(w).Hijack()
					if err != nil {
						t.Error(err)
					}
					conn.Close()
					return true
				case q.Method == http.MethodPost && broken:
					whole = true
				case q.Method == http.MethodGet:
					test.get(w, q)
					return true
				case q.Method == http.MethodPatch:
					test.patch(w, q)
					return true
				case q.Method == http.MethodPut:
					test.last(w, q)
					return true
				}
				return false
			}
			s := serve(t, h)
			f := heavy("app:1", large)
			o, err := f.pushTo(t.Context(), t, dial(t, hostOf(s), &push.Options{Jobs: 1, RetryDelay: 1, RetryTimes: 3}))
			if test.name == "unavailable at the end" {
				if o.Status != report.Failed || !strings.Contains(o.Error, "503") {
					t.Errorf("outcome %+v", o)
				}
			} else if err != nil {
				t.Error(err)
			} else {
				reader{base: s.URL}.check(t, f.Image)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("requests after the PUT that broke (-want +got):\n%s", diff)
			}
		})
	}
}

// sequence answers one after the other, the last again and again.
func sequence(answers ...func(http.ResponseWriter, *http.Request)) func(http.ResponseWriter, *http.Request) {
	n := 0
	return func(w http.ResponseWriter, q *http.Request) {
		answers[n](w, q)
		n = min(n+1, len(answers)-1)
	}
}

func TestOpenAt(t *testing.T) {
	content := []byte("0123456789")
	open := func(r io.Reader, err error) func() (io.ReadCloser, error) {
		return func() (io.ReadCloser, error) {
			if seeker, ok := r.(io.ReadSeeker); ok {
				return struct {
					io.ReadSeeker
					io.Closer
				}{seeker, io.NopCloser(nil)}, err
			}
			return io.NopCloser(r), err
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		name string
		ctx  context.Context
		open func() (io.ReadCloser, error)
		at   int64
		want string // or
		err  string
	}{
		{"the start", t.Context(), open(bytes.NewReader(content), nil), 0, "0123456789", ""},
		{"wound", t.Context(), open(bytes.NewReader(content), nil), 4, "456789", ""},
		{"read", t.Context(), open(oneWay(content), nil), 4, "456789", ""},
		{"the end", t.Context(), open(oneWay(content), nil), 10, "", ""},
		{"short", t.Context(), open(oneWay(content), nil), 11, "", "reading layout: going to byte 11: EOF"},
		{"not opened", t.Context(), open(bytes.NewReader(content), errors.New("no file")), 4, "", "no file"},
		{"cannot be wound", t.Context(), open(unwound{bytes.NewReader(content)}, nil), 4, "", "reading layout: going to byte 4: stuck"},
		{"ended", ended, open(oneWay(content), nil), 4, "", "context canceled"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, err := push.OpenAt(test.ctx, test.open, test.at)
			if test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Errorf("error %v, want %s", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(f); err != nil || string(got) != test.want {
				t.Errorf("read %q: %v, want %q", got, err, test.want)
			}
		})
	}
}

// unwound fails where it is wound.
type unwound struct{ io.ReadSeeker }

func (unwound) Seek(int64, int) (int64, error) { return 0, errors.New("stuck") }

func FuzzParseReceived(f *testing.F) {
	for _, s := range []string{"0-0", "0-5", "bytes=0-5", "1-5", "0--1", "0-9223372036854775807", "0-4611686018427387903", "", "0-", "0-5-6", "0-+5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		n, ok := push.ParseReceived(header)
		if ok != (n > 1) || n < 0 {
			t.Errorf("%q: %d, %t", header, n, ok)
		}
		last, err := strconv.ParseInt(strings.TrimPrefix(strings.TrimPrefix(header, "bytes="), "0-"), 10, 64)
		if ok && (err != nil || last != n-1) {
			t.Errorf("%q: %d bytes", header, n)
		}
	})
}
