package wire_test

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/wire"
)

// echo answers each request with its method, its path and the hash of its body.
func echo(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		n, err := io.Copy(sum, r.Body)
		if err != nil {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		fmt.Fprintf(w, "%s %s %d %x", r.Method, r.URL.Path, n, sum.Sum(nil))
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func listen(t *testing.T, to string, delay time.Duration) *wire.Wire {
	t.Helper()
	w, err := wire.Listen(to, delay)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestCounts sends bodies of every kind, with a length, in chunks, and none, and
// holds that all of it arrives and is counted.
func TestCounts(t *testing.T) {
	for _, delay := range []time.Duration{0, time.Millisecond} {
		w := listen(t, echo(t), delay)
		client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
		long := strings.Repeat("layer ", 300_000)
		for _, test := range []struct {
			method, path, body string
			chunked            bool
		}{
			{http.MethodHead, "/v2/a/manifests/1", "", false},
			{http.MethodPost, "/v2/a/blobs/uploads/", "", false},
			{http.MethodPut, "/v2/a/blobs/uploads/1", "x", false},
			{http.MethodPut, "/v2/a/blobs/uploads/2", long, false},
			{http.MethodPatch, "/v2/a/blobs/uploads/3", "x", true},
			{http.MethodPatch, "/v2/a/blobs/uploads/4", long, true},
			{http.MethodPut, "/v2/a/manifests/1", "{}", false},
		} {
			var body io.Reader = strings.NewReader(test.body)
			if test.chunked {
				body = io.MultiReader(body) // whose length net/http cannot see
			}
			req, err := http.NewRequestWithContext(t.Context(), test.method, "http://"+w.Addr()+test.path, body)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			want := fmt.Sprintf("%s %s %d %x", test.method, test.path, len(test.body), sha256.Sum256([]byte(test.body)))
			if test.method == http.MethodHead {
				want = ""
			}
			if string(got) != want || err != nil {
				t.Errorf("got %q, want %q: %v", got, want, err)
			}
		}
		client.CloseIdleConnections()
		want := wire.Counts{
			Connections: 1, Requests: 7, Uploaded: 2 * int64(1+len(long)),
			Methods: map[string]int{"HEAD": 1, "POST": 1, "PUT": 3, "PATCH": 2},
		}
		if diff := cmp.Diff(want, w.Close()); diff != "" {
			t.Errorf("delay %s (-want +got):\n%s", delay, diff)
		}
	}
}

// TestPipelined sends requests without waiting for answers.
func TestPipelined(t *testing.T) {
	w := listen(t, echo(t), 0)
	c, err := net.Dial("tcp", w.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const one = "PUT /v2/a/blobs/uploads/1 HTTP/1.1\r\nHost: a\r\n"
	if _, err := io.WriteString(c, one+"Content-Length: 3\r\n\r\nabc"+
		one+"Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\nTrailer: x\r\n\r\n"+
		"GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(c)
	for range 3 {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%s, %v", resp.Status, err)
		}
	}
	got := w.Close()
	if got.Requests != 3 || got.Uploaded != 6 || got.Garbled != 0 {
		t.Errorf("%+v", got)
	}
}

// TestNotHTTP holds that the registry refuses TLS by itself, and that what is no
// request is told and not counted.
func TestNotHTTP(t *testing.T) {
	w := listen(t, echo(t), 0)
	if _, err := http.Get("https://" + w.Addr()); err == nil || !strings.Contains(err.Error(), "HTTP response to HTTPS client") {
		t.Errorf("TLS: %v", err)
	}
	c, err := net.Dial("tcp", w.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "hello\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(c); err != nil {
		t.Error(err)
	}
	got := w.Close()
	if got.Requests != 0 || got.Garbled != 1 || got.Connections != 2 {
		t.Errorf("%+v", got)
	}
}
