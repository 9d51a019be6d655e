package push

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// A blob goes from its file into a connection without TLS by sendfile, so that
// its bytes never come here. net/http does so for a body that is a file, and then
// nobody sees how far it is. So connections here ask bodies to send themselves,
// which they do a piece at a time.

// sender is a body that sends itself.
type sender interface {
	// sendTo sends n bytes of it at most, and gives how many went.
	sendTo(c *net.TCPConn, n int64) (int64, error)
}

// conn is a connection that lets bodies send themselves.
type conn struct{ *net.TCPConn }

// ReadFrom implements io.ReaderFrom. net/http comes here with what its buffer
// does not hold of a body whose length is known, as an io.LimitedReader.
func (c conn) ReadFrom(r io.Reader) (int64, error) {
	rest, ok := r.(*io.LimitedReader)
	if !ok {
		return c.TCPConn.ReadFrom(r)
	}
	n, err := sendTo(c.TCPConn, rest.R, rest.N)
	rest.N -= n
	return n, err
}

// sendTo has a body send itself where it can, and reads it where it cannot.
func sendTo(c *net.TCPConn, body io.Reader, n int64) (int64, error) {
	if s, ok := body.(sender); ok {
		return s.sendTo(c, n)
	}
	return c.ReadFrom(&io.LimitedReader{R: body, N: n})
}

// watched winds the watch up whenever some of a blob has gone. When all of it
// has, it is the registry's turn. It has one user.
type watched struct {
	io.ReadCloser
	watch           *time.Timer
	stall, thinking time.Duration
	at, size        int64 // bytes
	sent            *reach
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	w.moved(int64(n))
	return n, err
}

func (w *watched) moved(n int64) {
	w.at += n
	w.sent.reached(w.at)
	if w.at >= w.size {
		w.watch.Reset(w.thinking)
	} else {
		w.watch.Reset(w.stall)
	}
}

// piece is how many bytes go unwatched: few enough to go within stallTimeout over
// any line, and enough that system calls do not count.
const piece = 256 << 10

// sendTo implements sender.
func (w *watched) sendTo(c *net.TCPConn, n int64) (sent int64, err error) {
	f := w.file()
	if f == nil {
		return c.ReadFrom(&io.LimitedReader{R: w, N: n})
	}
	for sent < n {
		part, err := c.ReadFrom(&io.LimitedReader{R: f, N: min(piece, n-sent)})
		sent += part
		w.moved(part)
		if err != nil {
			return sent, w.blame(f, err)
		}
		if part == 0 {
			break // it has become shorter, which net/http tells
		}
	}
	return sent, nil
}

// file is the blob's file, or nil where it comes from elsewhere.
func (w *watched) file() *os.File {
	if l, ok := w.ReadCloser.(*localReader); ok {
		f, _ := l.ReadCloser.(*os.File)
		return f
	}
	return nil
}

// blame finds out whose an error of sendfile is, the connection's or the file's:
// the file gives its own again when it is read.
func (w *watched) blame(f *os.File, err error) error {
	var next [1]byte
	if _, failed := f.ReadAt(next[:], w.at); failed != nil && !errors.Is(failed, io.EOF) {
		return fmt.Errorf("%w: %w", errLocal, failed)
	}
	return err
}

// inMemory is how many bytes of a blob are read before they are sent. They go
// with the request's head in one system call, and in one packet where they fit.
const inMemory = 64 << 10

// readAhead reads a blob into memory and closes it. What comes of it is of a type
// that net/http knows to be in memory: with any other, it sends the head first.
func (l *localReader) readAhead(size int64) (io.ReadCloser, error) {
	defer l.Close()
	content := make([]byte, size)
	if _, err := io.ReadFull(l.ReadCloser, content); err != nil {
		return nil, fmt.Errorf("%w: %w", errLocal, err)
	}
	return io.NopCloser(bytes.NewReader(content)), nil
}
