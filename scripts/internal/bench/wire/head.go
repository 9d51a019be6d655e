package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// errGarbled is wrapped where what was sent is no request of HTTP/1.1.
var errGarbled = errors.New("no request")

// head is what has to be known of a request's head to find its end (RFC 9112, 6).
type head struct {
	method, target string
	length         int64 // of the body, bytes
	chunked        bool
}

const maxHead = 256 << 10 // bytes

// readHead reads up to the empty line. At the end of the connection it returns
// what there was with io.EOF.
func readHead(in *bufio.Reader) ([]byte, error) {
	var raw []byte
	for {
		line, err := in.ReadSlice('\n')
		raw = append(raw, line...)
		switch {
		case err == bufio.ErrBufferFull:
		case err != nil:
			return raw, err
		case len(raw) > len(line) && len(bytes.TrimRight(line, "\r\n")) == 0:
			return raw, nil
		}
		if len(raw) > maxHead {
			return raw, fmt.Errorf("%w: a head of over %d bytes", errGarbled, maxHead)
		}
	}
}

func parseHead(raw []byte) (head, error) {
	first, rest, _ := strings.Cut(string(raw), "\r\n")
	fields := strings.Split(first, " ")
	if len(fields) != 3 || fields[2] != "HTTP/1.1" {
		return head{}, fmt.Errorf("%w: %q", errGarbled, first)
	}
	h := head{method: fields[0], target: fields[1]}
	for line := range strings.SplitSeq(rest, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch strings.ToLower(name) {
		case "transfer-encoding":
			h.chunked = strings.EqualFold(value, "chunked")
		case "content-length":
			n, err := strconv.ParseUint(value, 10, 62)
			if err != nil {
				return head{}, fmt.Errorf("%w: length %q", errGarbled, value)
			}
			h.length = int64(n)
		}
	}
	return h, nil
}

// body carries a request's body behind its head.
type body struct {
	to      line
	in      *bufio.Reader
	from    io.Reader // what in reads from
	pending []byte    // what has to go first
	carried int64     // bytes of the body itself
}

func (b *body) flush() error {
	if len(b.pending) == 0 {
		return nil
	}
	_, err := b.to.Write(b.pending)
	b.pending = b.pending[:0]
	return err
}

// bytes carries n bytes of the body: those that were read already, and the rest
// straight from the connection.
func (b *body) bytes(n int64) error {
	b.carried += n
	read := min(n, int64(b.in.Buffered()))
	start, err := b.in.Peek(int(read))
	if err != nil {
		return err
	}
	b.pending = append(b.pending, start...)
	if _, err := b.in.Discard(int(read)); err != nil || read == n {
		return err
	}
	if err := b.flush(); err != nil {
		return err
	}
	rest := &io.LimitedReader{R: b.from, N: n - read}
	if _, err := b.to.ReadFrom(rest); err != nil {
		return err
	}
	if rest.N > 0 {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// chunks carries a body in chunks, with what comes after them (RFC 9112, 7.1).
func (b *body) chunks() error {
	for {
		line, err := b.line()
		if err != nil {
			return err
		}
		hex, _, _ := strings.Cut(line, ";")
		n, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 62)
		if err != nil {
			return fmt.Errorf("%w: chunk %q", errGarbled, line)
		}
		if n == 0 {
			return b.trailer()
		}
		if err := b.bytes(int64(n)); err != nil {
			return err
		}
		if _, err := b.line(); err != nil {
			return err
		}
	}
}

// trailer carries what follows the last chunk, up to the empty line.
func (b *body) trailer() error {
	for {
		line, err := b.line()
		if err != nil || line == "" {
			return err
		}
	}
}

// line carries a line, and gives it without its end. Before it waits for one,
// what came before has to be on its way.
func (b *body) line() (string, error) {
	if b.in.Buffered() == 0 {
		if err := b.flush(); err != nil {
			return "", err
		}
	}
	line, err := b.in.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	b.pending = append(b.pending, line...)
	return strings.TrimRight(string(line), "\r\n"), nil
}
