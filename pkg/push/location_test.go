package push_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/push"
)

// Where uploads go on, as registries and what stands before them say it.
func TestLocations(t *testing.T) {
	for _, test := range []struct {
		name string
		to   func(host, location string) string
		err  string
	}{
		{"relative", func(_, l string) string { return l }, ""},
		{"with the host", func(host, l string) string { return "http://" + host + l }, ""},
		{"without the scheme", func(host, l string) string { return "//" + host + l }, ""},
		{"on another path", func(_, l string) string { return "/deep/down" + l }, ""},
		{"relative to the request", func(_, l string) string { return "../../../../deep/down" + l }, ""},
		{"none", func(_, _ string) string { return " " }, "names no place for it"},
		{"of another kind", func(_, _ string) string { return "file:///etc/passwd" }, "names no place for it"},
		{"junk", func(_, _ string) string { return "http://[::1" }, "names no place for it"},
		{"nobody there", func(_, l string) string { return "http://127.0.0.1:1" + l }, "connection refused"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newDistribution(t)
			s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				q.URL.Path = strings.TrimPrefix(q.URL.Path, "/deep/down")
				h.ServeHTTP(&relocated{w, func(l string) string { return test.to(q.Host, l) }}, q)
			}))
			f := image("app:1", "layer")
			o, err := f.pushTo(t.Context(), t, dial(t, hostOf(s), &push.Options{RetryDelay: 1, RetryTimes: 1}))
			if test.err != "" {
				if !strings.Contains(o.Error, test.err) || strings.Contains(o.Error, "_state") {
					t.Errorf("outcome %+v", o)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			reader{base: s.URL}.check(t, f.Image)
		})
	}
}

// Uploads that are redirected: where a redirect keeps the method, it is followed.
func TestUploadRedirects(t *testing.T) {
	for _, code := range []int{301, 302, 303, 307, 308} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			h := newDistribution(t)
			s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				if q.Method == http.MethodPut && !strings.HasPrefix(q.URL.Path, "/there/") {
					http.Redirect(w, q, "/there"+q.URL.RequestURI(), code)
					return
				}
				q.URL.Path = strings.TrimPrefix(q.URL.Path, "/there")
				h.ServeHTTP(w, q)
			}))
			f := heavy("app:1", large)
			o, err := f.pushTo(t.Context(), t, dial(t, hostOf(s), nil))
			if code < 307 {
				if want := fmt.Sprintf("unexpected answer %d", code); !strings.Contains(o.Error, want) {
					t.Errorf("outcome %+v, want %q in it", o, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			reader{base: s.URL}.check(t, f.Image)
		})
	}
}
