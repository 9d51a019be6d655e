package serve

import (
	"io"
	"log/slog"
	"net/http"
	"time"
)

// LogRequests tells of each request when it is answered: who asked for what, with
// which status and how many bytes it was answered, and how long that took.
func LogRequests(h http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		began := time.Now()
		answer := &recorder{ResponseWriter: w}
		defer func() {
			broken := recover()
			log.Info("request",
				"client", req.RemoteAddr, "method", req.Method, "uri", req.URL.RequestURI(), "status", answer.status,
				"bytes", answer.bytes, "seconds", time.Since(began).Round(time.Millisecond).Seconds(), "broken", broken != nil,
				"agent", req.UserAgent())
			if broken != nil {
				panic(broken)
			}
		}()
		h.ServeHTTP(answer, req)
	})
}

// recorder notes what is answered. It has ReadFrom, for the sake of sendfile.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	r.begin()
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// ReadFrom implements io.ReaderFrom.
func (r *recorder) ReadFrom(from io.Reader) (int64, error) {
	r.begin()
	n, err := io.Copy(r.ResponseWriter, from)
	r.bytes += n
	return n, err
}

func (r *recorder) begin() {
	if r.status == 0 {
		r.status = http.StatusOK
	}
}
