package push_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/push"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// shared are images of three projects that have much in common.
func shared() []*fixture {
	one := image("a/one:1", "base", "one")
	list := index("a/list:1", image("x/x:x", "base", "arm"), image("x/x:z", "one", "base"))
	return []*fixture{
		one, one.rename("a/one:2"), image("a/two:1", "base", "two"), list, index("a/nested:1", list, image("x/x:y", "extra")),
		image("b/three:1", "base", "one", "three"), one.rename("b/four:1"), list.rename("c/five:1"), image("c/six:1", ""),
	}
}

// pushAll pushes images side by side, as the commands do.
func pushAll(ctx context.Context, t testing.TB, r *push.Registry, jobs int, images []*fixture) (outcomes []report.Outcome) {
	t.Helper()
	outcomes = make([]report.Outcome, len(images))
	var planned []plan.Image
	for _, f := range images {
		f.write(t)
		planned = append(planned, f.Image)
	}
	r.Expect(planned)
	var wg sync.WaitGroup
	slots := make(chan struct{}, jobs)
	for n, f := range images {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			outcomes[n], _ = f.pushTo(ctx, t, r)
		})
	}
	wg.Wait()
	return outcomes
}

// tally sorts requests by what they are for.
func tally(requests []harbortest.Request) map[string]int {
	n := map[string]int{}
	for _, q := range requests {
		mount := strings.Contains(q.RawQuery, "mount=")
		switch {
		case strings.HasSuffix(q.Path, "/tags/list"):
			n["tags"]++
		case q.Path == "/service/token":
			n["token"]++
		case strings.Contains(q.Path, "/manifests/"):
			n[q.Method+" manifest"]++
		case q.Method == http.MethodPost && mount && q.Status == http.StatusCreated:
			n["mount"]++
		case q.Method == http.MethodPost && strings.HasSuffix(q.Path, "/uploads/"):
			n["start upload"]++
		case q.Method == http.MethodPut:
			n["upload"]++
			n["bytes"] += int(q.Bytes)
		case strings.Contains(q.Path, "/blobs/"):
			n["other blob"]++
		}
	}
	return n
}

// ideal is the least that a first push can do. Tokens are left out.
func ideal(images []*fixture) map[string]int {
	n := map[string]int{}
	blobs, places, manifests, repositories := map[digest.Digest]int64{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, f := range images {
		repositories[f.Target.Repository] = true
		for _, b := range f.Blobs {
			blobs[b.Digest] = b.Size
			places[f.Target.Repository+b.Digest.String()] = true
		}
		for _, m := range f.Manifests {
			name := m.Digest.String()
			if m.Digest == f.Manifest.Digest {
				name = f.Target.Tag
			}
			manifests[f.Target.Repository+name] = true
		}
	}
	for _, size := range blobs {
		n["bytes"] += int(size)
	}
	n["start upload"], n["upload"], n["mount"] = len(blobs), len(blobs), len(places)-len(blobs)
	n["tags"], n["PUT manifest"] = len(repositories), len(manifests)
	return n
}

func TestRequests(t *testing.T) {
	for _, jobs := range []int{1, 4, 16} {
		t.Run(fmt.Sprint(jobs), func(t *testing.T) {
			t.Parallel()
			s := startHarbor(t, nil, "a", "b", "c")
			opts := asAdmin()
			opts.Jobs = jobs
			r := dialHarbor(t, s, opts)
			s.ResetRequests()
			images := shared()
			for _, o := range pushAll(t.Context(), t, r, jobs, images) {
				if o.Status != report.Done {
					t.Errorf("%s: %s: %s", o.Target, o.Status, o.Error)
				}
			}
			got := tally(s.Requests())
			t.Logf("%d images, %d requests, %d tokens", len(images), len(s.Requests()), got["token"])
			if got["token"] > 9 { // three projects, and every pair of them
				t.Errorf("%d tokens", got["token"])
			}
			delete(got, "token")
			if diff := cmp.Diff(ideal(images), got); diff != "" {
				t.Errorf("requests (-least +made):\n%s", diff)
			}
			back := harborReader(t, s, "a", "b", "c")
			for _, f := range images {
				back.check(t, f.Image)
			}

			s.ResetRequests()
			for _, o := range pushAll(t.Context(), t, dialHarbor(t, s, opts), jobs, images) {
				if o.Status != report.Skipped {
					t.Errorf("second run: %s: %s: %s", o.Target, o.Status, o.Error)
				}
			}
			for _, q := range s.Requests() {
				if q.Bytes > 0 {
					t.Errorf("second run: %s %s with %d bytes", q.Method, q.Path, q.Bytes)
				}
			}
			children := 0
			for _, f := range images {
				for _, m := range f.Manifests {
					if m.Digest != f.Manifest.Digest {
						children++
					}
				}
			}
			got = tally(s.Requests())
			if heads := got["HEAD manifest"]; heads > len(images)+children || got["tags"] != 8 {
				t.Errorf("second run: %v", got)
			}
		})
	}
}

// A run that ends in the middle, wherever that is, and is repeated, sends no
// blob again that had arrived.
func TestInterrupted(t *testing.T) {
	for _, jobs := range []int{1, 16} {
		for stop := 3; stop < 60; stop += 11 {
			t.Run(fmt.Sprintf("%d jobs, %d requests", jobs, stop), func(t *testing.T) {
				t.Parallel()
				s := startHarbor(t, nil, "a", "b", "c")
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				opts := asAdmin()
				opts.Jobs = jobs
				r := dialHarbor(t, s, opts)
				var seen atomic.Int64
				s.Intercept(func(http.ResponseWriter, *http.Request) bool {
					if seen.Add(1) == int64(stop) {
						cancel()
					}
					return false
				})
				images := shared()
				pushAll(ctx, t, r, jobs, images)
				s.Intercept(nil)
				before := s.Requests()
				for _, o := range pushAll(t.Context(), t, dialHarbor(t, s, opts), jobs, images) {
					if o.Status == report.Failed {
						t.Errorf("%s: %s", o.Target, o.Error)
					}
				}
				again := arrived(s.Requests()[len(before):])
				for d := range arrived(before) {
					if again[d] {
						t.Errorf("blob %s arrived twice", d)
					}
				}
				back := harborReader(t, s, "a", "b", "c")
				for _, f := range images {
					back.check(t, f.Image)
				}
			})
		}
	}
}

// arrived are the blobs that were sent whole.
func arrived(requests []harbortest.Request) map[string]bool {
	blobs := map[string]bool{}
	for _, q := range requests {
		_, d, _ := strings.Cut(q.RawQuery, "digest=")
		if q.Method == http.MethodPut && strings.Contains(q.Path, "/blobs/uploads/") && q.Status == http.StatusCreated {
			blobs[d] = true
		}
	}
	return blobs
}

// Slots bound what is under way at once.
func TestJobs(t *testing.T) {
	h := newDistribution(t)
	var now, most atomic.Int64
	slow := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		h.ServeHTTP(w, q)
	})
	s := serve(t, slow)
	r := dial(t, hostOf(s), &push.Options{Jobs: 3})
	for _, o := range pushAll(t.Context(), t, r, 16, shared()) {
		if o.Status != report.Done {
			t.Errorf("%s: %s", o.Target, o.Error)
		}
	}
	if most.Load() > 3 {
		t.Errorf("%d requests at once, want at most 3", most.Load())
	}
}

// What another image is known to have brought along may be gone. The registry
// says so, and it is sent after all.
func TestPartsGone(t *testing.T) {
	s := startHarbor(t, nil, "a")
	child := image("a/app:child", "layer")
	list := index("a/app:1", child)
	r := dialHarbor(t, s, asAdmin())
	mustPush(t, r, list)
	req, err := http.NewRequest(http.MethodDelete, s.URL()+"/v2/a/app/manifests/"+child.Manifest.Digest.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("admin", "Harbor12345")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Fatal(resp.Status)
	}
	r = dialHarbor(t, s, asAdmin())
	if has, err := r.Has(t.Context(), list.Image); has || err != nil {
		t.Errorf("the target has the index without its child: %t, %v", has, err)
	}
	if err := r.Verify(t.Context(), list.Image); err == nil {
		t.Error("an index without its child is verified")
	}
	mustPush(t, r, list)
	harborReader(t, s, "a").check(t, list.Image)
}
