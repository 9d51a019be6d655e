package push_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/push"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// A looker looks at what goes into its connections, and lets it pass.
type looker struct {
	sent   atomic.Int64 // bytes that bodies sent themselves, from their files
	bodies atomic.Int64 // that were not in the same write as their head
	writes atomic.Int64 // of heads, and of what goes with them
	dials  atomic.Int64
}

func (l *looker) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := push.Connect(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	l.dials.Add(1)
	return &lookedAt{c, l}, nil
}

type lookedAt struct {
	net.Conn
	by *looker
}

func (c *lookedAt) Write(p []byte) (int, error) {
	c.by.writes.Add(1)
	return c.Conn.Write(p)
}

func (c *lookedAt) ReadFrom(r io.Reader) (int64, error) {
	c.by.bodies.Add(1)
	n, err := c.Conn.(io.ReaderFrom).ReadFrom(r)
	if rest, ok := r.(*io.LimitedReader); ok && push.SendsFile(rest.R) {
		c.by.sent.Add(n)
	}
	return n, err
}

// What is large goes from its file without being read, after a head of its own;
// anything else goes with its head. The bytes that arrive are hashed by the
// registry either way.
func TestSendfile(t *testing.T) {
	const requests = 6 // a list of tags, and five of config, layer and manifest
	for _, test := range []struct {
		name   string
		size   int
		sent   int64 // from the file
		bodies int64
	}{
		{"empty", 0, 0, 0},
		{"small", 1000, 0, 0},
		{"last of the small", push.InMemory, 0, 0},
		{"first of the others", push.InMemory + 1, push.InMemory + 1, 1},
		{"many pieces", large + 1, large + 1, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := serve(t, newDistribution(t))
			r := dial(t, hostOf(s), nil)
			var l looker
			r.SetDial(l.dial)
			f := heavy("app:1", test.size)
			mustPush(t, r, f)
			reader{base: s.URL}.check(t, f.Image)
			if sent, bodies := l.sent.Load(), l.bodies.Load(); sent != test.sent || bodies != test.bodies {
				t.Errorf("%d bytes from the file, and %d bodies alone, want %d and %d", sent, bodies, test.sent, test.bodies)
			}
			if n := l.writes.Load(); n != requests {
				t.Errorf("%d writes, want %d", n, requests)
			}
		})
	}
}

// Over TLS bodies are read, since their bytes have to be sealed.
func TestBodyOverTLS(t *testing.T) {
	s := httptest.NewTLSServer(newDistribution(t))
	t.Cleanup(s.Close)
	r, err := push.Dial(t.Context(), plan.Destination{Host: hostOf(s)}, noAuthFile(t, &push.Options{SkipTLSVerify: true}))
	if err != nil {
		t.Fatal(err)
	}
	f := heavy("app:1", large+1)
	mustPush(t, r, f)
	if err := r.VerifyBlobs(t.Context(), f.Image); err != nil {
		t.Error(err)
	}
}

// A file that stands still on its way is given up, and sent again.
func TestStalledFile(t *testing.T) {
	h := newDistribution(t)
	ended := make(chan struct{})
	defer close(ended)
	var seen atomic.Int64
	h.answer = func(_ http.ResponseWriter, q *http.Request) bool {
		if q.Method != http.MethodPut || q.ContentLength != 64<<20 || seen.Add(1) > 1 {
			return false
		}
		io.CopyN(io.Discard, q.Body, 1<<20)
		<-ended
		return true
	}
	r := dial(t, hostOf(serve(t, h)), &push.Options{RetryDelay: time.Millisecond})
	r.SetStall(time.Second)
	f := heavy("app:1", 64<<20) // more than sockets hold
	mustPush(t, r, f)
	if n := seen.Load(); n != 2 {
		t.Errorf("%d uploads, want 2", n)
	}
	if err := r.VerifyBlobs(t.Context(), f.Image); err != nil {
		t.Error(err)
	}
}

// A file that becomes shorter while it is sent is this machine's trouble, and no
// reason to ask the registry again and again.
func TestShorterFile(t *testing.T) {
	const size = 64 << 20 // more than sockets hold
	h := newDistribution(t)
	f := heavy("app:1", size)
	layer := filepath.Join(f.write(t), f.Blobs[1].Digest.Encoded())
	var seen atomic.Int64
	h.answer = func(_ http.ResponseWriter, q *http.Request) bool {
		if q.Method == http.MethodPut && q.ContentLength == size && seen.Add(1) == 1 {
			if err := os.Truncate(layer, size/2); err != nil {
				t.Error(err)
			}
		}
		return false
	}
	r := dial(t, hostOf(serve(t, h)), &push.Options{RetryDelay: time.Millisecond})
	o, err := f.pushTo(t.Context(), t, r)
	if o.Status != report.Failed || !strings.Contains(o.Error, "reading layout") || !errors.Is(err, push.ErrLocal) || seen.Load() != 1 {
		t.Errorf("%d uploads, outcome %+v", seen.Load(), o)
	}
}

// An error of sendfile is the file's where the file cannot be read, and else the
// connection's.
func TestBlame(t *testing.T) {
	dir := t.TempDir() // opens, and gives EISDIR when it is read
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, path string
		gone       bool // the other end of the connection
		local      bool
	}{{"file", dir, false, true}, {"connection", file, true, false}} {
		t.Run(test.name, func(t *testing.T) {
			c, other := pair(t)
			if test.gone {
				c.Close()
			} else {
				go io.Copy(io.Discard, other)
			}
			_, err := push.SendFile(t, c, test.path, 1<<20)
			if err == nil || errors.Is(err, push.ErrLocal) != test.local || push.IsTransient(err) == test.local {
				t.Errorf("error %v", err)
			}
		})
	}
}

// pair is a connection's two ends.
func pair(t *testing.T) (one, other *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	o, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return c.(*net.TCPConn), o.(*net.TCPConn)
}
