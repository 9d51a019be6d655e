package harbortest

import (
	"crypto/rand"
	"fmt"
	"net/http"
)

// nginx, which stands before Harbor's core, reads request lines and header
// lines into buffers of this many bytes and refuses what does not fit.
const lineLimit = 8 << 10

// sessionCookie is set on every answer. A client that sends it back is taken
// for a browser, and must then also send a CSRF token.
const sessionCookie = "sid"

// refuseTooLong answers, as nginx does, a request whose URI or headers are too
// long, and reports whether it did.
func refuseTooLong(w http.ResponseWriter, r *http.Request) bool {
	if len(r.Method)+len(r.RequestURI)+len("  HTTP/1.1\r\n") > lineLimit {
		writeNginx(w, http.StatusRequestURITooLong, "414 Request-URI Too Large", "414 Request-URI Too Large")
		return true
	}
	for name, values := range r.Header {
		for _, v := range values {
			if len(name)+len(v)+len(": \r\n") > lineLimit {
				writeNginx(w, http.StatusBadRequest, "400 Request Header Or Cookie Too Large", "400 Bad Request",
					"Request Header Or Cookie Too Large")
				return true
			}
		}
	}
	return false
}

func writeNginx(w http.ResponseWriter, status int, title, heading string, lines ...string) {
	page := fmt.Sprintf("<html>\r\n<head><title>%s</title></head>\r\n<body>\r\n<center><h1>%s</h1></center>\r\n", title, heading)
	for _, line := range lines {
		page += "<center>" + line + "</center>\r\n"
	}
	page += "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
	w.Header().Set("Connection", "close")
	writeBody(w, status, "text/html", []byte(page))
}

func (s *Server) setSession(w http.ResponseWriter) {
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: rand.Text(), Path: "/", HttpOnly: true})
}

func checkCSRF(r *http.Request) error {
	if _, err := r.Cookie(sessionCookie); err != nil || !changes(r) {
		return nil
	}
	return refuse(http.StatusForbidden, "FORBIDDEN", "CSRF token not found in request")
}

// changes reports whether r is of a method that changes something.
func changes(r *http.Request) bool {
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return true
	}
	return false
}
