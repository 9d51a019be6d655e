package push_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
)

// A cutter is a line to a server that breaks after so many bytes of a connection.
// What came before has been read by the server by the time its client sees that.
type cutter struct {
	t      testing.TB
	listen net.Listener
	hide   string // what nobody hears that the server says; set before the first connection

	mu   sync.Mutex
	to   string  // host of the server
	cuts []int64 // how far the next connections that are long enough get
}

func newCutter(t testing.TB, cuts ...int64) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{t: t, listen: l, cuts: cuts}
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { c.serve(ctx, conn.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() {
		cancel()
		l.Close()
		all.Wait()
	})
	return c
}

func (c *cutter) host() string { return c.listen.Addr().String() }

// leadTo sets the server. It comes before the first connection.
func (c *cutter) leadTo(host string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.to = host
}

func (c *cutter) server() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.to
}

func (c *cutter) serve(ctx context.Context, client *net.TCPConn) {
	defer client.Close()
	conn, err := net.Dial("tcp", c.server())
	if err != nil {
		c.t.Error(err)
		return
	}
	server := conn.(*net.TCPConn)
	defer server.Close()
	stop := context.AfterFunc(ctx, func() {
		client.Close()
		server.Close()
	})
	defer stop()
	cut := make(chan struct{})
	go func() {
		if c.forward(server, client) {
			close(cut)
		}
		server.CloseWrite()
	}()
	answers := io.Writer(client)
	buffer := make([]byte, 32<<10)
	for {
		n, err := server.Read(buffer)
		select {
		case <-cut: // nobody gets this any more; the server ends it when it has read all
		default:
			if c.hide == "" || string(buffer[:n]) != c.hide {
				answers.Write(buffer[:n])
			}
		}
		if err != nil {
			return
		}
	}
}

// forward tells whether the line was cut.
func (c *cutter) forward(server, client *net.TCPConn) bool {
	buffer := make([]byte, 16<<10)
	for total := int64(0); ; {
		n, err := client.Read(buffer)
		if err != nil {
			return false
		}
		total += int64(n)
		at := c.next()
		if at > 0 && total >= at {
			server.Write(buffer[:max(int64(n)-(total-at), 0)])
			c.drop()
			return true
		}
		server.Write(buffer[:n])
	}
}

func (c *cutter) next() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.cuts) == 0 {
		return 0
	}
	return c.cuts[0]
}

func (c *cutter) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cuts = c.cuts[1:]
}
