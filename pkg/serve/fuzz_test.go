package serve_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// FuzzPaths asks for any path. Nothing but what the tree has is ever found, and
// each answer is one that a registry gives.
func FuzzPaths(f *testing.F) {
	for _, path := range []string{
		"/v2/", "/v2/_catalog?n=1&last=a", "/v2/library/app/tags/list?n=-1", "/v2/library/app/manifests/v1",
		"/v2/library/app/blobs/sha256:abc", "/v2/library/app/blobs/uploads/", "/v2/library/app/referrers/sha256:0?artifactType=x",
		"/v2/manifests/blobs/tags/list", "/v2/a/../../etc/passwd", "/v2/%00/manifests/%ff", "/v2//manifests//", "/v2/a/manifests/sha999:" + strings.Repeat("a", 999),
	} {
		f.Add("GET", path, "bytes=0-")
	}
	var s *served
	f.Fuzz(func(t *testing.T, method, path, header string) {
		if s == nil {
			s = start(t, tree, plan.Rules{})
			// The tree goes with this test; what is served of it then is an error, not a panic.
		}
		u, err := url.ParseRequestURI(path)
		if err != nil {
			return
		}
		req := &http.Request{Method: method, URL: u, Header: http.Header{"Range": {header}, "Accept": {header}, "If-None-Match": {header}}, Body: http.NoBody}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, req.WithContext(t.Context()))
		switch w.Code {
		case 200, 206, 304, 400, 404, 405, 412, 416, 500:
		default:
			t.Errorf("%s %s: status %d", method, path, w.Code)
		}
		if method != "GET" && method != "HEAD" && w.Code < 400 {
			t.Errorf("%s %s: status %d", method, path, w.Code)
		}
		if name, _, ok := strings.Cut(strings.TrimPrefix(u.Path, "/v2/"), "/manifests/"); ok && w.Code == 200 && !storage.ValidRepository(name) {
			t.Errorf("%s: served", u.Path)
		}
	})
}
