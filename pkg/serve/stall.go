package serve

import (
	"io"
	"net/http"
	"time"
)

// stallTime is how long a client may take to read a stretch of an answer. One that
// stops reading would hold its connection, and the file that is sent, for ever.
var stallTime = time.Minute

// stretch is how many bytes go out before a client is given its time anew: 4 KiB a
// second are enough, however large the answer is.
const stretch = 256 << 10

// keepMoving ends the connections of clients that stop: those that do not read
// their answer, and those that do not send what they announced. Nothing here reads
// what is sent, so that such a request ends its connection in any case.
func keepMoving(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		control := http.NewResponseController(w)
		if req.ContentLength != 0 {
			w.Header().Set("Connection", "close")
			_ = control.SetReadDeadline(time.Now().Add(headerTimeout)) // before the answer, net/http reads what is left
		}
		h.ServeHTTP(&moving{w, control}, req)
	})
}

// moving is an answer whose deadline moves with what is taken of it.
type moving struct {
	http.ResponseWriter
	control *http.ResponseController
}

// Unwrap is for http.ResponseController.
func (m *moving) Unwrap() http.ResponseWriter { return m.ResponseWriter }

// goOn gives the client its time for what comes next. Where there are no
// deadlines, as in tests without a network, there is nobody to wait for.
func (m *moving) goOn() { _ = m.control.SetWriteDeadline(time.Now().Add(stallTime)) }

// WriteHeader implements http.ResponseWriter. An answer without a body goes out
// when its handler is done.
func (m *moving) WriteHeader(status int) {
	m.goOn()
	m.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (m *moving) Write(p []byte) (written int, err error) {
	for {
		m.goOn()
		n, err := m.ResponseWriter.Write(p[:min(len(p), stretch)])
		written += n
		if p = p[n:]; err != nil || len(p) == 0 {
			return written, err
		}
	}
}

// ReadFrom implements io.ReaderFrom. What it hands on is a part of a file, and no
// more than that around it: from this, net makes a call of sendfile.
func (m *moving) ReadFrom(from io.Reader) (read int64, err error) {
	all, limited := from.(*io.LimitedReader)
	if !limited {
		all = &io.LimitedReader{R: from, N: 1<<63 - 1}
	}
	for all.N > 0 {
		m.goOn()
		part := &io.LimitedReader{R: all.R, N: min(all.N, stretch)}
		n, err := io.Copy(m.ResponseWriter, part)
		read += n
		all.N -= n
		if err != nil || part.N > 0 {
			return read, err
		}
	}
	return read, nil
}
