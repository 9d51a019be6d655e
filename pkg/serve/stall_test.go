package serve_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/serve"
)

// sparse makes a file that takes no room.
func sparse(t *testing.T, size int64) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "large"))
	if err == nil {
		err = f.Truncate(size)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// running runs a handler until the test ends.
func running(t *testing.T, h http.Handler, config *tls.Config) (addr string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l, err := listen(t)
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	if config != nil {
		l = tls.NewListener(l, config)
	}
	ended := make(chan error, 1)
	go func() { ended <- serve.Run(ctx, l, h, discard) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return addr
}

// TestStalledReaders has clients ask for much and read nothing. What serves them
// comes to an end all the same; without a deadline, this would wait for ever.
func TestStalledReaders(t *testing.T) {
	serve.Impatient(t, 100*time.Millisecond, time.Minute)
	f := sparse(t, 1<<30)
	ended := make(chan struct{}, 1)
	h := func(w http.ResponseWriter, req *http.Request) {
		defer func() { ended <- struct{}{} }()
		if req.URL.Path == "/file" {
			http.ServeContent(w, req, "", time.Time{}, io.NewSectionReader(f, 0, 1<<30))
			return
		}
		for err := error(nil); err == nil; {
			_, err = w.Write(make([]byte, 1<<20))
		}
	}
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS()
	defer certificate.Close()
	plain := running(t, http.HandlerFunc(h), nil)
	config := certificate.TLS.Clone()
	config.NextProtos = []string{"h2", "http/1.1"}
	secure := running(t, http.HandlerFunc(h), config)
	for _, path := range []string{"/file", "/bytes"} {
		for _, over := range []string{"http", "https", "h2"} {
			if over+path == "https/bytes" {
				continue // which is no other than a file, and takes 5 s to say goodbye
			}
			t.Run(over+path, func(t *testing.T) {
				addr, next := plain, "http/1.1"
				if over != "http" {
					addr = secure
				}
				if over == "h2" {
					next = over
				}
				ask(t, addr, path, over != "http", next)
				<-ended
			})
		}
	}
}

// ask sends a request, and reads no more of the answer than its head.
func ask(t *testing.T, addr, path string, secure bool, protocol string) {
	t.Helper()
	url, client := "http://"+addr+path, &http.Transport{}
	if secure {
		url = "https://" + addr + path
		client.TLSClientConfig = &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}}
		client.ForceAttemptHTTP2 = protocol == "h2"
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close(); client.CloseIdleConnections() })
	if got := resp.ProtoMajor == 2; got != (protocol == "h2") {
		t.Fatalf("%s", resp.Proto)
	}
}

// TestStalledWriters has clients announce a body that never comes. They have their
// answer, and lose the connection.
func TestStalledWriters(t *testing.T) {
	serve.Impatient(t, time.Minute, 500*time.Millisecond)
	s := start(t, tree, plan.Rules{})
	addr := running(t, s.Registry, nil)
	for _, announced := range []string{"Content-Length: 100", "Content-Length: 100000000000", "Transfer-Encoding: chunked"} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "PUT /v2/library/app/manifests/v1 HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", announced)
		r := bufio.NewReader(conn)
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s: status %d, %v", announced, resp.StatusCode, err)
		}
		if _, err := r.ReadByte(); err == nil {
			t.Errorf("%s: more came", announced)
		}
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /v2/ HTTP/1.1\r\nHost: x\r\n")
	if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Errorf("headers that do not end: %v", err)
	}
}

// sink is an answer that notes what is handed to it.
type sink struct {
	httptest.ResponseRecorder
	deadlines, files int
	largest          int64
}

func (s *sink) SetWriteDeadline(time.Time) error { s.deadlines++; return nil }

func (s *sink) Write(p []byte) (int, error) {
	s.largest = max(s.largest, int64(len(p)))
	return len(p), nil
}

func (s *sink) ReadFrom(from io.Reader) (int64, error) {
	limited, ok := from.(*io.LimitedReader)
	if !ok {
		return 0, errors.New("no part of anything")
	}
	if _, ok := limited.R.(*os.File); ok {
		s.files++
	}
	s.largest = max(s.largest, limited.N)
	return io.Copy(io.Discard, limited)
}

// TestMovingDeadlines holds that the deadline moves often enough, and that files
// reach the connection as such, which is what sendfile takes.
func TestMovingDeadlines(t *testing.T) {
	const size = 10*serve.Stretch + 1
	f := sparse(t, size)
	for name, h := range map[string]http.HandlerFunc{
		"file":       func(w http.ResponseWriter, req *http.Request) { http.ServeContent(w, req, "", time.Time{}, f) },
		"part of it": func(w http.ResponseWriter, _ *http.Request) { io.CopyN(w, f, size) },
		"bytes":      func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, size)) },
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := f.Seek(0, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			s := &sink{}
			around := serve.KeepMoving(serve.LogRequests(serve.Authenticate(h, func(string, string) bool { return true }), discard))
			req := httptest.NewRequest(http.MethodGet, "/", nil)
			req.SetBasicAuth("ann", "secret")
			around.ServeHTTP(s, req)
			if s.deadlines < 11 || s.largest > serve.Stretch {
				t.Errorf("%d deadlines, %d bytes at once", s.deadlines, s.largest)
			}
			if wantFiles := name != "bytes"; (s.files >= 11) != wantFiles {
				t.Errorf("a file was handed on %d times", s.files)
			}
		})
	}
}

// TestRunGivesUp holds that a server which is told to end does not wait for a client
// that reads nothing.
func TestRunGivesUp(t *testing.T) {
	serve.HurryAtTheEnd(t)
	begun, ended := make(chan struct{}), make(chan struct{})
	t.Run("reading nothing", func(t *testing.T) {
		addr := running(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			defer close(ended)
			_, err := w.Write(make([]byte, 1<<20))
			close(begun)
			for err == nil {
				_, err = w.Write(make([]byte, 1<<20))
			}
		}), nil)
		ask(t, addr, "/", false, "http/1.1")
		<-begun
	})
	<-ended
}
