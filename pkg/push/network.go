package push

import (
	"errors"
	"io"
	"net"
	"net/url"
	"syscall"
)

// errLocal is wrapped by errors of this machine's own files, which no repeated
// request mends.
var errLocal = errors.New("reading layout")

// isNetwork tells errors of connections.
func isNetwork(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	var wrapped *url.Error
	switch {
	case errors.As(err, &op), errors.As(err, &dns),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return true
	}
	return errors.As(err, &wrapped)
}
