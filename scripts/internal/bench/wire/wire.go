// Package wire is a proxy in front of one registry, which counts what clients
// send to it and can be far away. Each connection of a client is one connection
// to the registry, and bytes go through as they are: of what passes, it reads the
// requests' heads alone.
package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// Counts is what clients sent.
type Counts struct {
	Connections int
	Requests    int
	Methods     map[string]int // requests by method
	Uploaded    int64          // bytes of blobs: bodies of requests to …/blobs/uploads/…
	Garbled     int            // connections on which something else than HTTP/1.1 was spoken
}

// Wire is such a proxy.
type Wire struct {
	listener net.Listener
	to       string        // host:port
	delay    time.Duration // of a round trip
	done     sync.WaitGroup

	mu     sync.Mutex
	counts Counts
	open   map[net.Conn]bool
	closed bool
}

// Listen starts a proxy to a registry at host:port on a free port of the
// loopback. A round trip takes delay longer than without it: half of it on each
// way, and one for the connection to come about.
func Listen(to string, delay time.Duration) (*Wire, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting proxy: %w", err)
	}
	w := &Wire{listener: l, to: to, delay: delay, open: map[net.Conn]bool{}, counts: Counts{Methods: map[string]int{}}}
	w.done.Add(1)
	go w.accept()
	return w, nil
}

// Addr is the host:port that clients connect to.
func (w *Wire) Addr() string { return w.listener.Addr().String() }

// Close ends the proxy and its connections, and gives what it counted.
func (w *Wire) Close() Counts {
	w.listener.Close()
	w.mu.Lock()
	w.closed = true
	for c := range w.open {
		c.Close()
	}
	w.mu.Unlock()
	w.done.Wait()
	return w.counts
}

func (w *Wire) accept() {
	defer w.done.Done()
	for {
		c, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.done.Add(1)
		go func() {
			defer w.done.Done()
			w.serve(c.(*net.TCPConn))
		}()
	}
}

// serve carries bytes both ways until both sides have ended.
func (w *Wire) serve(client *net.TCPConn) {
	defer w.forget(client)
	if !w.remember(client) {
		return
	}
	time.Sleep(w.delay) // the connection comes about
	up, err := net.Dial("tcp", w.to)
	if err != nil {
		return
	}
	registry := up.(*net.TCPConn)
	defer w.forget(registry)
	if !w.remember(registry) {
		return
	}
	w.count(func(c *Counts) { c.Connections++ })
	var answers sync.WaitGroup
	answers.Go(func() {
		carry(w.line(client), registry)
		client.CloseWrite()
	})
	w.requests(w.line(registry), client)
	registry.CloseWrite()
	answers.Wait()
}

func (w *Wire) remember(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[c] = true
	return !w.closed
}

func (w *Wire) forget(c net.Conn) {
	c.Close()
	w.mu.Lock()
	delete(w.open, c)
	w.mu.Unlock()
}

func (w *Wire) count(add func(*Counts)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	add(&w.counts)
}

// line is the way to one end of a connection.
func (w *Wire) line(to *net.TCPConn) line {
	if w.delay == 0 {
		return direct{to}
	}
	return newDelayed(to, w.delay/2)
}

// carry brings all that comes, as it comes. What is not delayed never leaves the
// kernel.
func carry(to line, from *net.TCPConn) {
	to.ReadFrom(from)
	to.Close()
}

// tlsRecord is what a TLS handshake begins with (RFC 8446, 5.1).
const tlsRecord = 22

// requests carries the requests of one connection, and counts them.
func (w *Wire) requests(to line, from *net.TCPConn) {
	defer to.Close()
	in := bufio.NewReaderSize(from, 16<<10)
	if first, err := in.Peek(1); err == nil && first[0] == tlsRecord {
		// A client tries whether TLS is spoken here. It is for the registry to refuse.
		hello, _ := in.Peek(in.Buffered())
		if _, err := to.Write(hello); err == nil {
			to.ReadFrom(from)
		}
		return
	}
	for {
		head, err := readHead(in)
		switch {
		case err == io.EOF && len(head) == 0:
			return
		case err == nil:
			err = w.request(to, in, from, head)
		}
		if errors.Is(err, errGarbled) {
			w.count(func(c *Counts) { c.Garbled++ })
		}
		if err != nil {
			return
		}
	}
}

func (w *Wire) request(to line, in *bufio.Reader, from *net.TCPConn, raw []byte) error {
	h, err := parseHead(raw)
	if err != nil {
		return err
	}
	b := &body{to: to, in: in, from: from, pending: raw}
	if h.chunked {
		err = b.chunks()
	} else {
		err = b.bytes(h.length)
	}
	if err == nil {
		err = b.flush()
	}
	w.count(func(c *Counts) {
		c.Requests++
		c.Methods[h.method]++
		if strings.Contains(h.target, "/blobs/uploads/") {
			c.Uploaded += b.carried
		}
	})
	return err
}
