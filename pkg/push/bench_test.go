package push_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/push"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// A bare registry takes everything, and keeps no more of it than names. It costs
// next to nothing, so that what is measured is the client.
type bare struct {
	mu       sync.Mutex
	has      map[string]bool // "repository@digest", of blobs
	requests atomic.Int64
}

func newBare() *bare { return &bare{has: map[string]bool{}} }

func (b *bare) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.has)
}

func (b *bare) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	b.requests.Add(1)
	path := strings.TrimPrefix(q.URL.Path, "/v2/")
	switch {
	case path == "":
	case strings.Contains(path, "/manifests/") && q.Method == http.MethodPut:
		hash := sha256.New()
		io.Copy(hash, q.Body)
		w.Header().Set("Docker-Content-Digest", fmt.Sprintf("sha256:%x", hash.Sum(nil)))
		w.WriteHeader(http.StatusCreated)
	case strings.Contains(path, "/blobs/uploads/"):
		repository, _, _ := strings.Cut(path, "/blobs/uploads/")
		b.upload(w, q, repository)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (b *bare) upload(w http.ResponseWriter, q *http.Request, repository string) {
	query := q.URL.Query()
	io.Copy(io.Discard, q.Body)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case q.Method == http.MethodPut:
		b.has[repository+"@"+query.Get("digest")] = true
	case b.has[query.Get("from")+"@"+query.Get("mount")]:
		b.has[repository+"@"+query.Get("mount")] = true
	default:
		w.Header().Set("Location", q.URL.Path+"upload")
		w.WriteHeader(http.StatusAccepted)
		return
	}
	w.WriteHeader(http.StatusCreated)
}

// manyImages are images of four repositories, each of two layers of a few KiB:
// one that all have, and one of its own.
func manyImages(n int) (all []*fixture) {
	base := strings.Repeat("base", 4<<10)
	for i := range n {
		name := fmt.Sprintf("project/repository-%d:%d", i%4, i)
		all = append(all, image(name, base, strings.Repeat(fmt.Sprintf("%04d", i), 4<<10)))
	}
	return all
}

// BenchmarkPush pushes images into an empty registry.
func BenchmarkPush(b *testing.B) {
	const count = 100
	all := manyImages(count)
	for _, f := range all {
		f.write(b)
	}
	for _, jobs := range []int{1, 8} {
		b.Run(fmt.Sprintf("jobs=%d", jobs), func(b *testing.B) {
			b.ReportAllocs()
			var requests int64
			for b.Loop() {
				h := newBare()
				s := httptest.NewServer(h)
				r := dial(b, hostOf(s), &push.Options{Jobs: jobs})
				for _, o := range pushAll(b.Context(), b, r, jobs, all) {
					if o.Status != report.Done {
						b.Fatalf("outcome %+v", o)
					}
				}
				requests += h.requests.Load()
				s.Close()
			}
			b.ReportMetric(float64(requests)/float64(b.N)/count, "requests/image")
		})
	}
}

// BenchmarkLayer sends one large layer, with and without TLS.
func BenchmarkLayer(b *testing.B) {
	const size = 64 << 20
	f := heavy("app:1", size)
	f.write(b)
	for _, test := range []struct {
		name  string
		serve func(http.Handler) *httptest.Server
		plain bool
	}{{"plain", httptest.NewServer, true}, {"TLS", httptest.NewTLSServer, false}} {
		b.Run(test.name, func(b *testing.B) {
			h := newBare()
			s := test.serve(h)
			defer s.Close()
			to := plan.Destination{Host: hostOf(s), PlainHTTP: test.plain}
			opts := noAuthFile(b, &push.Options{SkipTLSVerify: true})
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				h.forget() // else it would be mounted
				r, err := push.Dial(b.Context(), to, opts)
				if err != nil {
					b.Fatal(err)
				}
				mustPush(b, r, f)
			}
		})
	}
}

// BenchmarkLookUp asks for images that are all there.
func BenchmarkLookUp(b *testing.B) {
	const count = 100
	all := manyImages(count)
	has := map[string]digest.Digest{}
	for _, f := range all {
		has["/v2/"+f.Target.Repository+"/manifests/"+f.Target.Tag] = f.Manifest.Digest
	}
	var requests atomic.Int64
	s := serve(b, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		requests.Add(1)
		switch d := has[q.URL.Path]; {
		case strings.HasSuffix(q.URL.Path, "/tags/list"):
			w.WriteHeader(http.StatusForbidden) // so it does not say which there are
		case d != "":
			w.Header().Set("Docker-Content-Digest", d.String())
		}
	}))
	b.ReportAllocs()
	for b.Loop() {
		r := dial(b, hostOf(s), nil)
		for _, f := range all {
			if there, err := r.Has(b.Context(), f.Image); !there || err != nil {
				b.Fatalf("%s: there %t, error %v", f.Target, there, err)
			}
		}
	}
	b.ReportMetric(float64(requests.Load())/float64(b.N)/count, "requests/image")
}
