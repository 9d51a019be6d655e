package harbor_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor"
	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/push"
)

// fixed gives the same answer to everything.
type fixed []byte

func (f fixed) Do(context.Context, string, string, url.Values, http.Header, []byte) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Status: "200 OK", Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(f)),
	}, nil
}

// unchecked sends requests as a user whose password nobody has looked at, which
// push.Dial would do.
type unchecked struct{ base, username, password string }

func dialUnchecked(s *harbortest.Server, username, password string) unchecked {
	return unchecked{s.URL(), username, password}
}

func (u unchecked) Do(ctx context.Context, method, path string, query url.Values, header http.Header, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.base+path+"?"+query.Encode(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if u.username != "" {
		req.SetBasicAuth(u.username, u.password)
	}
	return http.DefaultClient.Do(req)
}

// brief is a Doer without patience: what fails in passing, it gives as an error
// at once.
type brief struct{ unchecked }

func (b brief) Do(ctx context.Context, method, path string, query url.Values, header http.Header, body []byte) (*http.Response, error) {
	resp, err := b.unchecked.Do(ctx, method, path, query, header, body)
	if err == nil && resp.StatusCode >= 500 {
		resp.Body.Close()
		return nil, fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	return resp, err
}

// detectBriefly is detect, without patience.
func detectBriefly(t *testing.T, s *harbortest.Server, username string) *harbor.Harbor {
	t.Helper()
	own := password
	if username == "admin" {
		own = adminPassword
	}
	h, err := harbor.Detect(t.Context(), brief{dialUnchecked(s, username, own)})
	if err != nil || h == nil {
		t.Fatalf("%v, %v", h, err)
	}
	return h
}

// watch gives the requests that came since, as METHOD PATH below the API.
func watch(s *harbortest.Server) func() []string {
	var mu sync.Mutex
	var seen []string
	s.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, r.Method+" "+strings.TrimPrefix(r.URL.Path, "/api/v2.0/"))
		return false
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(seen)
	}
}

func answerJSON(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	io.WriteString(w, body)
}

// tryPut pushes an index of nothing under a tag.
func tryPut(t *testing.T, r *push.Registry, repository, tag, annotation string) error {
	t.Helper()
	content := indexWith(annotation)
	dest := r.Destination(plan.Reference{Repository: repository, Tag: tag, Digest: digest.FromBytes(content)})
	defer dest.Close()
	return dest.PutManifest(t.Context(), content, nil)
}

func putTagged(t *testing.T, r *push.Registry, repository, tag, annotation string) {
	t.Helper()
	if err := tryPut(t, r, repository, tag, annotation); err != nil {
		t.Fatal(err)
	}
}
