package push_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// A wait that a date asks for is kept like one in seconds.
func TestRetryAfterDate(t *testing.T) {
	s := startHarbor(t, nil, "mig")
	opts := asAdmin()
	var waits []time.Duration
	opts.Notify = func(_ error, wait time.Duration) { waits = append(waits, wait) }
	r := dialHarbor(t, s, opts)
	f, _ := failFirst(1, onManifest, func(w http.ResponseWriter, _ *http.Request) {
		now := time.Now().UTC()
		w.Header().Set("Date", now.Add(-time.Hour).Format(http.TimeFormat)) // its clock is slow
		w.Header().Set("Retry-After", now.Add(-time.Hour+time.Second).Format(http.TimeFormat))
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	s.Intercept(f)
	mustPush(t, r, image("mig/app:1", "layer"))
	if diff := cmp.Diff([]time.Duration{time.Second}, waits); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}
}

// A proxy's 404 is no absence, whatever is asked for.
func TestPageIsNoAbsence(t *testing.T) {
	page := func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusNotFound)
	}
	for _, match := range []string{"HEAD /v2/mig/app/manifests/1", "HEAD /v2/mig/app/blobs/", "GET /v2/mig/app/tags/list"} {
		t.Run(match, func(t *testing.T) {
			t.Parallel()
			s := startHarbor(t, nil, "mig")
			one := image("mig/app:1", "layer")
			mustPush(t, dialHarbor(t, s, asAdmin()), one)
			f, seen := failFirst(99, match, page)
			s.Intercept(f)
			r := dialHarbor(t, s, asAdmin())
			verified := r.Verify(t.Context(), one.Image)
			blobs := r.VerifyBlobs(t.Context(), one.Image)
			o, _ := one.pushTo(t.Context(), t, r)
			var got []string
			for _, err := range []error{verified, blobs} {
				switch {
				case err == nil:
					got = append(got, "fine")
				case strings.Contains(err.Error(), "a page for people"):
					got = append(got, "a page")
				default:
					t.Error(err)
				}
			}
			want := map[string][]string{
				"HEAD /v2/mig/app/manifests/1": {"a page", "fine", "failed"},
				"HEAD /v2/mig/app/blobs/":      {"fine", "a page", "skipped"},
				"GET /v2/mig/app/tags/list":    {"fine", "fine", "skipped"},
			}[match]
			if diff := cmp.Diff(want, append(got, string(o.Status))); diff != "" {
				t.Errorf("verified, blobs, outcome (-want +got):\n%s", diff)
			}
			if seen.Load() < 4 {
				t.Errorf("asked %d times", seen.Load())
			}
		})
	}
}

// A proxy that does not read what it refuses, as it should not: the answer is seen,
// and not repeated.
func TestTooLargeForProxy(t *testing.T) {
	s := startHarbor(t, nil, "mig")
	f, seen := failFirst(99, onBlob, func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Connection", "close")
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		io.WriteString(w, "<html>nginx</html>")
	})
	s.Intercept(func(w http.ResponseWriter, q *http.Request) bool { return q.ContentLength > 1<<20 && f(w, q) })
	one := heavy("mig/app:1", large)
	other := image("mig/app:2", "small")
	r := dialHarbor(t, s, asAdmin())
	o, err := one.pushTo(t.Context(), t, r)
	if o.Status != report.Failed || !strings.Contains(o.Error, "413 Request Entity Too Large") || !strings.Contains(report.Advice(err), "client_max_body_size") {
		t.Errorf("outcome %+v: %v", o, err)
	}
	if n := seen.Load(); n != 1 {
		t.Errorf("sent %d times", n)
	}
	mustPush(t, r, other)
}

// What will not go away is not tried again, and what is left goes on.
func TestRefusedOnce(t *testing.T) {
	errorsOf := func(code, message string) string {
		return fmt.Sprintf(`{"errors":[{"code":%q,"message":%q}]}`, code, message)
	}
	for _, test := range []struct {
		name, match string
		answer      func(http.ResponseWriter, *http.Request)
		want        string
	}{
		{"quota at a blob", onBlob, status(403, errorsOf("DENIED", "adding 1 B of storage resource, which when updated to current usage of 0 B will exceed the configured upper limit of 0 B.")), "raise the project's quota"},
		{"quota at a manifest", onManifest, status(403, errorsOf("DENIED", "adding 1 B of storage resource, which when updated to current usage of 0 B will exceed the configured upper limit of 0 B.")), "raise the project's quota"},
		{"immutable", onManifest, status(412, errorsOf("PRECONDITION", "Failed to process request due to 'app:1' configured as immutable.")), "makes the tag immutable"},
		{"read-only", onUpload, status(403, errorsOf("DENIED", "The system is in read only mode. Any modification is prohibited.")), "ends read-only mode"},
		{"a manifest that is no good", onManifest, status(400, errorsOf("MANIFEST_INVALID", "manifest invalid")), "MANIFEST_INVALID"},
		{"a tag that is no good", onManifest, status(400, errorsOf("TAG_INVALID", "invalid tag name")), "invalid tag name"},
		{"a limit of a proxy", onBlob, status(413, htmlPage), "client_max_body_size"},
		{"unknown to the server", onManifest, status(505, ""), "505 HTTP Version Not Supported"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := startHarbor(t, nil, "mig")
			f, seen := failFirst(99, test.match, test.answer)
			s.Intercept(f)
			opts := asAdmin()
			opts.Jobs = 1
			var told atomic.Int64
			opts.Notify = func(error, time.Duration) { told.Add(1) }
			r := dialHarbor(t, s, opts)
			outcomes := pushAll(t.Context(), t, r, 1, []*fixture{image("mig/app:1", "one"), image("mig/other:2", "two")})
			if o := outcomes[0]; o.Status != report.Failed || !strings.Contains(o.Error, test.want) {
				t.Errorf("outcome %+v", o)
			}
			if o := outcomes[1]; o.Status != report.Done {
				t.Errorf("the next: %+v", o)
			}
			if seen.Load() > 2 || told.Load() > 0 { // two blobs at most
				t.Errorf("%d requests, told of %d tries", seen.Load(), told.Load())
			}
		})
	}
}

// A connection that is taken, and on which nothing comes: not even of TLS.
func TestSilentServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				io.Copy(io.Discard, conn)
				conn.Close()
			})
		}
	})
	s := startHarbor(t, nil, "mig")
	r := dialHarbor(t, s, asAdmin())
	r.SetQuick(300 * time.Millisecond)
	r.SetDial((&elsewhere{l.Addr().String()}).dial)
	if _, err := r.Resolve(t.Context(), image("mig/app:1", "layer").Target); err == nil || !strings.Contains(err.Error(), "connected, but there is no answer") {
		t.Errorf("error %v", err)
	}
	l.Close()
	r.SetDial((&elsewhere{s.Host()}).dial) // which ends the connections
	all.Wait()
}

// elsewhere leads all connections to a host.
type elsewhere struct{ host string }

func (e *elsewhere) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, e.host)
}

// A blob is damaged for its own bytes, and not for another's: where one ends the
// other's upload, that may be sent yet.
func TestDamagedAlone(t *testing.T) {
	s := startHarbor(t, nil, "mig")
	r := dialHarbor(t, s, asAdmin())
	r.SetStall(time.Hour)
	f := image("mig/app:1", "a layer", "another layer")
	damaged, fine := f.Blobs[1].Digest, f.Blobs[2].Digest
	under := make(chan struct{})
	s.Intercept(func(w http.ResponseWriter, q *http.Request) bool {
		if q.Method != http.MethodPut {
			return false
		}
		switch q.URL.Query().Get("digest") {
		case fine.String():
			io.Copy(io.Discard, q.Body)
			close(under)
			<-q.Context().Done() // until the other has ended it
			return true
		case damaged.String():
			<-under
			status(400, `{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match uploaded content"}]}`)(w, q)
			return true
		}
		return false
	})
	o, _ := f.pushTo(t.Context(), t, r)
	if !strings.Contains(o.Error, "sending blob "+damaged.String()) || !strings.Contains(o.Error, "DIGEST_INVALID") {
		t.Errorf("outcome %+v", o)
	}
	s.Intercept(nil)
	mustPush(t, r, image("mig/app:2", "another layer"))
	if o, err := image("mig/app:3", "a layer").pushTo(t.Context(), t, r); err == nil || o.Uploaded > 1 {
		t.Errorf("the damaged one was sent again: %+v", o)
	}
}

// Requests with a body that breaks reach the double as far as they got.
func TestFaultsLeaveNothing(t *testing.T) {
	s := startHarbor(t, nil, "mig")
	r := dialHarbor(t, s, asAdmin())
	s.SetFaults(func(q *http.Request) harbortest.Fault {
		if harbortest.Kind(q) == "PUT manifest" {
			return harbortest.ResetInBody
		}
		return harbortest.NoFault
	})
	f := image("mig/app:1", "layer")
	if o, _ := f.pushTo(t.Context(), t, r); o.Status != report.Failed {
		t.Errorf("outcome %+v", o)
	}
	s.SetFaults(nil)
	if err := r.Verify(t.Context(), f.Image); err == nil {
		t.Error("half a manifest was taken")
	}
}
