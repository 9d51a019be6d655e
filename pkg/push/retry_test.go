package push_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-5b48bd9d/drydock/pkg/push"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// failFirst answers the first n requests that match in another way.
func failFirst(n int64, match string, answer func(w http.ResponseWriter, q *http.Request)) (f func(http.ResponseWriter, *http.Request) bool, seen *atomic.Int64) {
	seen = new(atomic.Int64)
	return func(w http.ResponseWriter, q *http.Request) bool {
		if !strings.Contains(q.Method+" "+q.URL.Path, match) {
			return false
		}
		if seen.Add(1) > n {
			return false
		}
		answer(w, q)
		return true
	}, seen
}

func status(code int, body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, q *http.Request) {
		io.Copy(io.Discard, q.Body)
		w.WriteHeader(code)
		io.WriteString(w, body)
	}
}

// reset breaks the connection in the middle of a request.
func reset(w http.ResponseWriter, q *http.Request) {
	io.CopyN(io.Discard, q.Body, 10)
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		conn.Close()
	}
}

const (
	onToken    = "GET /service/token"
	onUpload   = "POST /v2/mig/app/blobs/uploads/"
	onBlob     = "PUT /v2/mig/app/blobs/uploads/"
	onManifest = "PUT /v2/mig/app/manifests/1"
	htmlPage   = "<html><body>Bad gateway</body></html>"
)

func TestRetry(t *testing.T) {
	for _, test := range []struct {
		name, match string
		times       int64 // that it fails; there are three tries after the first
		answer      func(http.ResponseWriter, *http.Request)
		want        string // in the error; empty for none
		seen        int64  // 0: times and one
	}{
		{"timeout", onBlob, 2, status(408, ""), "", 4},
		{"too many, by a proxy", onUpload, 3, status(429, htmlPage), "", 5},
		{"bad gateway", onManifest, 3, status(502, htmlPage), "", 0},
		{"unavailable", onBlob, 1, status(503, ""), "", 3},
		{"gateway timeout", onManifest, 2, status(504, ""), "", 0},
		{"internal error on a manifest", onManifest, 2, status(500, `{"errors":[{"code":"UNKNOWN","message":"internal server error"}]}`), "", 0},
		{"reset on a manifest", onManifest, 2, reset, "", 0},
		{"reset on a blob", onBlob, 2, reset, "", 4},
		{"upload gone", onBlob, 1, status(404, `{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"blob upload unknown"}]}`), "", 3},
		{"token down", onToken, 3, status(503, htmlPage), "", 4},
		{"unavailable for good", onManifest, 99, status(503, ""), "PUT /v2/mig/app/manifests/1: 503 Service Unavailable", 4},
		{"upload gone for good", onBlob, 99, status(404, ""), "no longer knows the upload", -1},
		{"uploads down for good", onUpload, 99, status(502, htmlPage), "502 Bad Gateway", -1},
		{"token down for good", onToken, 99, status(503, ""), "fetching token: GET /service/token: 503", -1},
		{"reset for good", onManifest, 99, reset, "pushing mig/app:1: sending manifest", 4},
		{"a refusal", onManifest, 99, status(400, `{"errors":[{"code":"MANIFEST_INVALID","message":"bad"}]}`), "400 Bad Request: MANIFEST_INVALID bad", 1},
		{"unknown method", onManifest, 99, status(501, ""), "501 Not Implemented", 1},
		{"500 for want of a blob", onManifest, 99,
			status(500, `{"errors":[{"code":"UNKNOWN","message":"`+strings.Repeat("words ", 80)+`MANIFEST_BLOB_UNKNOWN"}]}`), "500 Internal Server Error", 1},
		{"a page in place of an answer", onManifest, 2, status(200, htmlPage), "", 0},
		{"a page in place of an upload's place", onUpload, 1, status(200, htmlPage), "", -1},
		{"a page in place of a blob's answer", onBlob, 1, status(200, htmlPage), "", 3},
		{"a page in place of a token", onToken, 2, status(200, htmlPage), "", 3},
		{"a page for good", onManifest, 99, status(200, htmlPage), "200: a page for people came in place of a registry's answer (a proxy before", 4},
		{"a page that says not found", onManifest, 1, status(404, htmlPage), "", 0},
		{"taken, and it is not there", onManifest, 99, status(200, "{}"), "unexpected answer 200 OK", 1},
		{"taken, and that is so", onManifest, 99, status(202, ""), "unexpected answer 202", 1},
		{"a redirect to a page", onManifest, 99, func(w http.ResponseWriter, q *http.Request) {
			http.Redirect(w, q, "/login", http.StatusFound)
		}, "unexpected answer 302", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := startHarbor(t, nil, "mig")
			opts := asAdmin()
			opts.Jobs = 1
			var told atomic.Int64
			opts.Notify = func(error, time.Duration) { told.Add(1) }
			r := dialHarbor(t, s, opts)
			f, seen := failFirst(test.times, test.match, test.answer)
			s.Intercept(f)
			o, err := image("mig/app:1", "a layer of some length").pushTo(t.Context(), t, r)
			if test.want == "" && err != nil {
				t.Error(err)
			}
			if test.want != "" && (err == nil || !strings.Contains(o.Error, test.want)) {
				t.Errorf("error %v, want %q in it", err, test.want)
			}
			want := test.seen
			if want == 0 {
				want = test.times + 1
			}
			if got := seen.Load(); want > 0 && got != want {
				t.Errorf("%d requests, want %d; told of %d", got, want, told.Load())
			}
			if got := seen.Load(); got > 8 { // four tries, and four of something that comes with them
				t.Errorf("%d requests: tries within tries", got)
			}
		})
	}
}

func TestDeadlocks(t *testing.T) {
	s := startHarbor(t, nil, "mig")
	s.SetDeadlocks(2)
	mustPush(t, dialHarbor(t, s, asAdmin()), image("mig/app:1", "layer"))
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-5": 0, "soon": 0, "1.5": 0,
		"86400": 10 * time.Minute, "99999999999999999999999": 10 * time.Minute,
		at(90 * time.Second): 90 * time.Second, at(-time.Hour): 0, at(24 * time.Hour): 10 * time.Minute,
	} {
		if got := push.RetryAfter(http.Header{"Retry-After": {value}, "Date": {at(0)}}); got != want {
			t.Errorf("Retry-After %q: %s, want %s", value, got, want)
		}
	}
}

// The registry's wait is kept, and is what the caller is told.
func TestRetryAfterIsKept(t *testing.T) {
	s := startHarbor(t, nil, "mig")
	opts := asAdmin()
	var waits []time.Duration
	opts.Notify = func(_ error, wait time.Duration) { waits = append(waits, wait) }
	r := dialHarbor(t, s, opts)
	f, _ := failFirst(1, onManifest, func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	s.Intercept(f)
	mustPush(t, r, image("mig/app:1", "layer"))
	if len(waits) != 1 || waits[0] != time.Second {
		t.Errorf("waited %v, want 1s", waits)
	}
}

// An upload that stands still is given up, and tried again.
func TestStall(t *testing.T) {
	s := startHarbor(t, nil, "mig")
	r := dialHarbor(t, s, asAdmin())
	r.SetStall(time.Second)
	ended := make(chan struct{})
	defer close(ended)
	var seen atomic.Int64
	s.Intercept(func(w http.ResponseWriter, q *http.Request) bool {
		if q.Method != http.MethodPut {
			return false
		}
		if seen.Add(1) == 1 {
			<-ended
			return true
		}
		io.Copy(io.Discard, q.Body)
		w.WriteHeader(http.StatusCreated)
		return true
	})
	f := image("mig/app:1", strings.Repeat("x", 8<<20)) // more than sockets hold
	d := r.Destination(f.Target)
	defer d.Close()
	put(t.Context(), t, d, f, 1, rewindable)
	if n := seen.Load(); n != 2 {
		t.Errorf("%d uploads, want 2", n)
	}
}

// A registry that takes a request and never answers is asked again, and then
// given up.
func TestNoAnswer(t *testing.T) {
	s := startHarbor(t, nil, "mig")
	r := dialHarbor(t, s, asAdmin())
	f := image("mig/app:1", "a layer")
	r.SetQuick(200 * time.Millisecond)
	ended := make(chan struct{})
	defer close(ended)
	var seen atomic.Int64
	s.Intercept(func(_ http.ResponseWriter, q *http.Request) bool {
		if q.Method != http.MethodGet || !strings.HasSuffix(q.URL.Path, "/tags/list") {
			return false
		}
		if seen.Add(1) > 1 {
			return false
		}
		<-ended
		return true
	})
	mustPush(t, r, f)
	if n := seen.Load(); n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
}

// A blob with wrong bytes is sent once, however many images need it.
func TestDamagedOnce(t *testing.T) {
	s := startHarbor(t, nil, "mig")
	r := dialHarbor(t, s, asAdmin())
	for _, name := range []string{"mig/a:1", "mig/b:1", "mig/c:1"} {
		f := image(name, "a layer")
		dir := f.write(t)
		if err := os.WriteFile(filepath.Join(dir, f.Blobs[1].Digest.Encoded()), []byte("a LAYER"), 0o600); err != nil {
			t.Fatal(err)
		}
		o, err := pushLayout(t.Context(), t, r, dir, f.Image)
		if err == nil || !strings.Contains(o.Error, "DIGEST_INVALID") {
			t.Errorf("outcome %+v, want DIGEST_INVALID in it", o)
		}
	}
	wrong := 0
	for _, q := range s.Requests() {
		if q.Method == http.MethodPut && q.Status == http.StatusBadRequest {
			wrong++
		}
	}
	if wrong != 1 {
		t.Errorf("the blob was sent %d times", wrong)
	}
}

func TestTransient(t *testing.T) {
	for _, test := range []struct {
		err  error
		want bool
	}{
		{&push.StatusError{Status: 500}, true},
		{&push.StatusError{Status: 404}, false},
		{fmt.Errorf("x: %w", io.ErrUnexpectedEOF), true},
		{errors.New("other"), false},
	} {
		if got := push.IsTransient(test.err); got != test.want {
			t.Errorf("%v: transient %t, want %t", test.err, got, test.want)
		}
	}
}

// The end of ctx ends everything at once, wherever it is.
func TestCancel(t *testing.T) {
	for _, match := range []string{onToken, "GET /v2/mig/app/tags/list", onUpload, onBlob, onManifest} {
		t.Run(match, func(t *testing.T) {
			t.Parallel()
			s := startHarbor(t, nil, "mig")
			r := dialHarbor(t, s, asAdmin())
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan struct{})
			f, _ := failFirst(99, match, func(http.ResponseWriter, *http.Request) {
				cancel()
				<-ended // and no answer before
			})
			s.Intercept(f)
			images := []*fixture{image("mig/app:1", "one", "two"), image("mig/app:1", "one", "three"), image("mig/app:2", "two", "three"), image("mig/app:3", "one")}
			outcomes := pushAll(ctx, t, r, 4, images)
			if outcomes[0].Status != report.Failed || outcomes[1].Status != report.Failed {
				t.Errorf("outcomes %+v", outcomes)
			}
			s.Intercept(nil)
			close(ended)
			mustPush(t, r, images[1], images[2]) // nothing is held any more
		})
	}
	t.Run("a wait", func(t *testing.T) {
		t.Parallel()
		s := startHarbor(t, nil, "mig")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		opts := asAdmin()
		opts.RetryDelay = time.Hour
		opts.Notify = func(error, time.Duration) { cancel() }
		r := dialHarbor(t, s, opts)
		f, _ := failFirst(1, onManifest, status(503, ""))
		s.Intercept(f)
		if _, err := image("mig/app:1", "one").pushTo(ctx, t, r); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}

// A worker that waits for another's upload goes on where that fails.
func TestUploadOfAnotherFails(t *testing.T) {
	s := startHarbor(t, nil, "a", "b")
	s.SetQuota("a", 10)
	r := dialHarbor(t, s, asAdmin())
	one := image("a/app:1", "a layer that is too long")
	two := one.rename("b/app:1")
	outcomes := pushAll(t.Context(), t, r, 2, []*fixture{one, two})
	if outcomes[0].Status != report.Failed || outcomes[1].Status != report.Done {
		t.Errorf("outcomes %+v", outcomes)
	}
	harborReader(t, s, "b").check(t, two.Image)
}
