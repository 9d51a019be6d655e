package serve_test

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/serve"
)

var discard = slog.New(slog.DiscardHandler)

func listen(t *testing.T) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
}

func TestAuthenticate(t *testing.T) {
	var checks atomic.Int32
	h := serve.Authenticate(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "in") }),
		func(user, password string) bool { checks.Add(1); return user == "ann" && password == "a:b" })
	tests := []struct {
		user, password string
		given          bool
		status         int
	}{
		{"", "", false, 401}, {"ann", "", true, 401}, {"ann:a", "b", true, 200}, {"bob", "a:b", true, 401},
		{"ann", "a:b", true, 200}, {"ann", "a:b", true, 200}, {"ann", "a:b ", true, 401},
	}
	for _, test := range tests {
		req := httptest.NewRequest("GET", "/v2/", nil)
		if test.given {
			req.SetBasicAuth(test.user, test.password)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code != test.status || (w.Code == 401) != (w.Header().Get("WWW-Authenticate") != "") || (w.Code == 200) != (w.Body.String() == "in") {
			t.Errorf("%q %q: status %d, %v, %s", test.user, test.password, w.Code, w.Header(), w.Body)
		}
	}
	if n := checks.Load(); n != 4 {
		t.Errorf("%d checks, want 4: the right pair is checked once", n)
	}
}

func TestLogRequests(t *testing.T) {
	var lines bytes.Buffer
	h := serve.LogRequests(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		io.WriteString(w, "four")
		if req.URL.Path == "/broken" {
			panic(http.ErrAbortHandler)
		}
	}), slog.New(slog.NewTextHandler(&lines, nil)))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/a%0Ab?q=1", nil))
	func() {
		defer func() {
			if recover() != http.ErrAbortHandler {
				t.Error("the panic is lost")
			}
		}()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/broken", nil))
	}()
	got := strings.Split(strings.TrimSpace(lines.String()), "\n")
	if len(got) != 2 || !strings.Contains(got[0], `uri="/a%0Ab?q=1" status=200 bytes=4`) || !strings.Contains(got[1], "broken=true") {
		t.Errorf("%q", got)
	}
}
