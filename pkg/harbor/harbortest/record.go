package harbortest

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
)

// drainLimit bounds how much of a refused body is still read, so that a client
// in the middle of sending gets to see the answer.
const drainLimit = 64 << 20

// Request is what one request looked like from the server's side.
type Request struct {
	Method   string
	Path     string // decoded
	RawQuery string
	Status   int   // 0 where no answer was given
	Bytes    int64 // of the body, as far as it was read
}

// Requests returns the requests answered so far, in the order in which they
// were done.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// ResetRequests forgets the requests recorded so far.
func (s *Server) ResetRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

// Intercept has f see every request before anything else does. Where f returns
// true it has answered the request, or dropped the connection, and Harbor is
// not asked. A nil f ends it.
func (s *Server) Intercept(f func(w http.ResponseWriter, r *http.Request) (handled bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intercept = f
}

func (s *Server) interceptor() func(http.ResponseWriter, *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.intercept
}

// recorder sees what goes through one request.
type recorder struct {
	http.ResponseWriter
	server  *Server
	request Request
	body    *countedBody
}

func (s *Server) record(w http.ResponseWriter, r *http.Request) *recorder {
	body := &countedBody{ReadCloser: r.Body}
	rec := &recorder{
		ResponseWriter: w,
		server:         s,
		request:        Request{Method: r.Method, Path: r.URL.Path, RawQuery: r.URL.RawQuery},
		body:           body,
	}
	r.Body = body
	return rec
}

func (rec *recorder) WriteHeader(status int) {
	if rec.request.Status == 0 && status >= 200 {
		rec.request.Status = status
	}
	rec.ResponseWriter.WriteHeader(status)
}

func (rec *recorder) Write(p []byte) (int, error) {
	if rec.request.Status == 0 {
		rec.request.Status = http.StatusOK
	}
	return rec.ResponseWriter.Write(p)
}

// Hijack lets an intercepting test break the connection.
func (rec *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(rec.ResponseWriter).Hijack()
}

func (rec *recorder) Unwrap() http.ResponseWriter { return rec.ResponseWriter }

func (rec *recorder) done() {
	rec.request.Bytes = rec.body.n
	rec.server.mu.Lock()
	defer rec.server.mu.Unlock()
	rec.server.requests = append(rec.server.requests, rec.request)
}

// countedBody counts what is read of a request's body.
type countedBody struct {
	io.ReadCloser
	n int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	return n, err
}

// bodyBytes is how much of r's body has been read.
func bodyBytes(r *http.Request) int64 {
	if b, ok := r.Body.(*countedBody); ok {
		return b.n
	}
	return 0
}

func drain(r *http.Request) { _, _ = io.CopyN(io.Discard, r.Body, drainLimit) }
