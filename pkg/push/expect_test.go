package push_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containers/image/v5/pkg/blobinfocache/none"
	"github.com/containers/image/v5/types"

	"github.com/seed-5b48bd9d/drydock/pkg/push"
)

// Large bodies wait until they are wanted, small ones do not.
func TestExpect(t *testing.T) {
	h := newDistribution(t)
	var asked, unasked atomic.Int64
	h.answer = func(_ http.ResponseWriter, q *http.Request) bool {
		if q.Method == http.MethodPut && strings.Contains(q.URL.Path, "/uploads/") {
			if q.Header.Get("Expect") != "" {
				asked.Add(1)
			} else {
				unasked.Add(1)
			}
		}
		return false
	}
	s := serve(t, h)
	f := heavy("app:1", large)
	mustPush(t, dial(t, hostOf(s), nil), f)
	reader{base: s.URL}.check(t, f.Image)
	if asked.Load() != 1 || unasked.Load() != 1 {
		t.Errorf("%d bodies waited, and %d did not, want 1 and 1", asked.Load(), unasked.Load())
	}
}

// A server that knows nothing of that is asked once.
func TestExpectationFails(t *testing.T) {
	h := newDistribution(t)
	f, seen := failFirst(99, onExpect, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusExpectationFailed)
	})
	h.answer = func(w http.ResponseWriter, q *http.Request) bool { return q.Header.Get("Expect") != "" && f(w, q) }
	s := serve(t, h)
	r := dial(t, hostOf(s), &push.Options{Jobs: 1, RetryTimes: -1})
	one, two := heavy("app:1", large), heavy("app:2", large+1)
	mustPush(t, r, one, two)
	reader{base: s.URL}.check(t, one.Image)
	reader{base: s.URL}.check(t, two.Image)
	if n := seen.Load(); n != 1 {
		t.Errorf("asked %d times, want 1", n)
	}
}

const onExpect = "PUT /v2/app/blobs/uploads/"

// What is refused before it is wanted is not sent.
func TestRefusedUnsent(t *testing.T) {
	h := newDistribution(t)
	h.answer = func(w http.ResponseWriter, q *http.Request) bool {
		if q.Header.Get("Expect") == "" {
			return false
		}
		w.WriteHeader(http.StatusForbidden)
		return true
	}
	r := dial(t, hostOf(serve(t, h)), nil)
	f := heavy("app:1", large)
	d := r.Destination(f.Target)
	defer d.Close()
	stream := &counted{Reader: bytes.NewReader(f.files[f.Blobs[1].Digest.Encoded()])}
	_, err := d.PutBlob(t.Context(), stream, types.BlobInfo{Digest: f.Blobs[1].Digest, Size: large}, none.NoCache, false)
	if err == nil || !strings.Contains(err.Error(), "403 Forbidden") || stream.n > 0 {
		t.Errorf("%d bytes were read: %v", stream.n, err)
	}
}

type counted struct {
	io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

// A server that says nothing of it gets the first such body after a while, and from
// then on all at once.
func TestExpectIgnored(t *testing.T) {
	h := newDistribution(t)
	var asked atomic.Int64
	h.answer = func(_ http.ResponseWriter, q *http.Request) bool {
		if q.Header.Get("Expect") != "" {
			asked.Add(1)
		}
		return false
	}
	s := serve(t, h)
	c := newCutter(t)
	c.hide = "HTTP/1.1 100 Continue\r\n\r\n"
	c.leadTo(hostOf(s))
	r := dial(t, c.host(), &push.Options{Jobs: 1})
	r.SetExpectTimeout(10 * time.Millisecond)
	one, two := heavy("app:1", large), heavy("app:2", large+1)
	mustPush(t, r, one, two)
	reader{base: s.URL}.check(t, one.Image)
	reader{base: s.URL}.check(t, two.Image)
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times, want 1", n)
	}
}
