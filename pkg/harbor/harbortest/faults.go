package harbortest

import (
	"io"
	"net/http"
	"strings"
	"time"
)

// A Fault is what can go wrong with a request on its way, in a proxy, on the line
// or in a server that has too much to do.
type Fault string

// The faults there are.
const (
	NoFault          Fault = ""
	RequestTimeout   Fault = "408"
	TooManyRequests  Fault = "429"
	TooManyForASec   Fault = "429, Retry-After in seconds"
	TooManyUntil     Fault = "429, Retry-After as a date"
	InternalError    Fault = "500"
	BadGateway       Fault = "502 with a page"
	Unavailable      Fault = "503"
	GatewayTimeout   Fault = "504"
	Page             Fault = "200 with a page"
	MissingPage      Fault = "404 with a page"
	ResetAtOnce      Fault = "reset at once"
	ResetInBody      Fault = "reset in the middle of the body"
	AnswerLost       Fault = "reset in place of the answer"
	AnswerCut        Fault = "reset in the middle of the answer"
	HangsForever     Fault = "no answer"
	HangsInTheMiddle Fault = "an answer that stops"
)

// NoRight is an answer of Harbor's, and none of Faults: it does not go away.
const NoRight Fault = "401"

// Faults are all of them.
var Faults = []Fault{
	RequestTimeout, TooManyRequests, TooManyForASec, TooManyUntil, InternalError, BadGateway, Unavailable, GatewayTimeout, Page, MissingPage,
	ResetAtOnce, ResetInBody, AnswerLost, AnswerCut, HangsForever, HangsInTheMiddle,
}

// SetFaults has f say of each request what goes wrong with it. Requests are given
// to it one at a time. A nil f ends it.
func (s *Server) SetFaults(f func(*http.Request) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = f
}

func (s *Server) fault(r *http.Request) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faults == nil {
		return NoFault
	}
	return s.faults(r)
}

// strike answers a request as the fault has it. Of a body that breaks the registry
// gets what comes before.
func (f Fault) strike(s *Server, w http.ResponseWriter, r *http.Request) {
	switch noBody := r.Method == http.MethodHead; {
	case noBody && f == AnswerCut:
		f = AnswerLost
	case noBody && f == HangsInTheMiddle:
		f = HangsForever
	}
	switch f {
	case NoFault:
		s.answer(w, r)
	case ResetAtOnce:
		hangUp(w)
	case ResetInBody:
		if r.ContentLength > 0 {
			breakBody(r)
			s.answer(&lost{header: http.Header{}}, r)
		}
		hangUp(w)
	case AnswerLost:
		s.answer(&lost{header: http.Header{}}, r)
		hangUp(w)
	case AnswerCut:
		s.answer(&cut{w}, r)
		hangUp(w)
	case HangsForever:
		s.hang(r)
	case HangsInTheMiddle:
		s.answer(&cut{w}, r)
		_ = http.NewResponseController(w).Flush()
		s.hang(r)
	default:
		drain(r)
		f.refuse(w)
	}
}

// hang waits until the client gives up.
func (s *Server) hang(r *http.Request) {
	select {
	case <-s.hanging:
	case <-r.Context().Done():
	}
}

// refuse gives an answer that is not Harbor's.
func (f Fault) refuse(w http.ResponseWriter) {
	switch f {
	case TooManyForASec:
		w.Header().Set("Retry-After", "1")
	case TooManyUntil:
		w.Header().Set("Retry-After", time.Now().Add(time.Second).UTC().Format(http.TimeFormat))
	}
	switch status := f.status(); f {
	case BadGateway, Page, MissingPage:
		writeNginx(w, status, http.StatusText(status), http.StatusText(status))
	default:
		w.WriteHeader(status)
	}
}

func (f Fault) status() int {
	switch f {
	case RequestTimeout:
		return http.StatusRequestTimeout
	case TooManyRequests, TooManyForASec, TooManyUntil:
		return http.StatusTooManyRequests
	case BadGateway:
		return http.StatusBadGateway
	case Unavailable:
		return http.StatusServiceUnavailable
	case GatewayTimeout:
		return http.StatusGatewayTimeout
	case Page:
		return http.StatusOK
	case MissingPage:
		return http.StatusNotFound
	case NoRight:
		return http.StatusUnauthorized
	}
	return http.StatusInternalServerError
}

func hangUp(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		conn.Close()
	}
}

// breakBody ends a body in the middle.
func breakBody(r *http.Request) {
	body, ok := r.Body.(*countedBody)
	if ok {
		body.ReadCloser = &half{body.ReadCloser, (r.ContentLength + 1) / 2}
	}
}

type half struct {
	io.ReadCloser
	left int64 // bytes
}

func (h *half) Read(p []byte) (int, error) {
	if h.left == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := h.ReadCloser.Read(p[:min(int64(len(p)), h.left)])
	h.left -= int64(n)
	return n, err
}

// lost is an answer that nobody gets.
type lost struct{ header http.Header }

func (l *lost) Header() http.Header         { return l.header }
func (l *lost) WriteHeader(int)             {}
func (l *lost) Write(p []byte) (int, error) { return len(p), nil }

// cut is an answer that says it is longer than it is.
type cut struct{ http.ResponseWriter }

func (c *cut) WriteHeader(status int) {
	c.Header().Set("Content-Length", "1000000")
	c.ResponseWriter.WriteHeader(status)
}

func (c *cut) Write(p []byte) (int, error) {
	if _, err := c.ResponseWriter.Write(p[:len(p)/2]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Kind is what a request is for, in words: "token", "PUT manifest", "mount".
func Kind(r *http.Request) string {
	t := parseTarget(r.URL.Path)
	switch {
	case r.URL.Path == "/service/token":
		return "token"
	case strings.HasPrefix(r.URL.Path, apiPrefix):
		return "API"
	case t == nil:
		return "base"
	case t.kind == manifestPath:
		return r.Method + " manifest"
	case t.kind == tagsPath:
		return "tags"
	case t.kind == uploadPath && r.URL.Query().Get("mount") != "":
		return "mount"
	case t.kind == uploadPath:
		return r.Method + " upload"
	}
	return r.Method + " blob"
}
