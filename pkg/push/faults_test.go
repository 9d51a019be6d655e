package push_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// kinds are all kinds of requests that a push and its verification make.
var kinds = []string{
	"token", "tags", "mount", "POST upload", "PUT upload", "GET upload", "PATCH upload", "closing PUT",
	"PUT manifest", "HEAD manifest", "HEAD blob",
}

func kindOf(q *http.Request) string {
	kind := harbortest.Kind(q)
	if kind == "PUT upload" && q.ContentLength == 0 {
		return "closing PUT"
	}
	return kind
}

// Every failure at every kind of request.
func TestEveryFault(t *testing.T) {
	for _, fault := range harbortest.Faults {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			var all sync.WaitGroup
			for _, kind := range kinds {
				all.Go(func() { pushThrough(t, kind, fault) })
			}
			all.Wait()
		})
	}
}

// pushThrough pushes two images that share a layer. Where that takes an upload
// which breaks, its first one does.
func pushThrough(t *testing.T, kind string, fault harbortest.Fault) {
	s := startHarbor(t, &harbortest.Options{Dir: t.TempDir()}, "a", "b")
	s.SetResumable(true)
	opts := asAdmin()
	opts.RetryTimes = 8
	r := dialHarbor(t, s, opts)
	struck, times := 0, 2 // in a row, unless the first got through in a way
	if slices.Contains(slow, fault) {
		times = 1
	}
	if slices.Contains(hangs, fault) {
		r.SetQuick(hangTimeout)
		r.SetStall(hangTimeout)
	}
	one, whole := image("a/one:1", "a layer"), true
	if slices.Contains([]string{"GET upload", "PATCH upload", "closing PUT"}, kind) {
		one, whole = heavy("a/one:1", heavyLayer), false
	}
	two := one.rename("b/one:1")
	s.SetFaults(func(q *http.Request) harbortest.Fault {
		switch {
		case kindOf(q) == kind && struck < times:
			struck++
			return fault
		case !whole && q.Method == http.MethodPut && q.ContentLength == heavyLayer:
			whole = true
			return harbortest.ResetInBody
		case kindOf(q) == "mount" && kind == "POST upload": // which is there for who may not mount
			return harbortest.NoRight
		}
		return harbortest.NoFault
	})
	for _, f := range []*fixture{one, two} {
		if o, err := f.pushTo(t.Context(), t, r); o.Status != report.Done {
			t.Errorf("%s: %s: %v", kind, o.Status, err)
		}
		if err := r.Verify(t.Context(), f.Image); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if err := r.VerifyBlobs(t.Context(), f.Image); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	s.SetFaults(nil)
	if struck == 0 {
		t.Errorf("%s: there was no such request", kind)
	}
	back := harborReader(t, s, "a", "b")
	back.check(t, one.Image)
	back.check(t, two.Image)
}

var (
	hangs = []harbortest.Fault{harbortest.HangsForever, harbortest.HangsInTheMiddle}
	// slow are the faults that take some seconds.
	slow = append([]harbortest.Fault{harbortest.TooManyForASec, harbortest.TooManyUntil}, hangs...)
)

const (
	hangTimeout = 3 * time.Second // what no request takes that does not hang
	heavyLayer  = 9 << 18         // half of it is enough to be resumed
)

// Failures of every kind at random: in the end all is there.
func TestRandomFaults(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 5))
			s := startHarbor(t, nil, "a", "b", "c")
			s.SetResumable(seed%2 == 0)
			opts := asAdmin()
			opts.Jobs, opts.RetryTimes = 1+int(seed%4), 20
			r := dialHarbor(t, s, opts)
			r.SetQuick(hangTimeout)
			r.SetStall(hangTimeout)
			s.SetFaults(func(*http.Request) harbortest.Fault {
				if random.IntN(8) > 0 {
					return harbortest.NoFault
				}
				fault := harbortest.Faults[random.IntN(len(harbortest.Faults))]
				if slices.Contains(slow, fault) && random.IntN(12) > 0 {
					return harbortest.ResetAtOnce
				}
				return fault
			})
			images := append(shared(), heavy("b/heavy:1", heavyLayer), heavy("c/heavy:1", heavyLayer))
			for n, o := range pushAll(t.Context(), t, r, 4, images) {
				if o.Status == report.Failed {
					t.Errorf("%s: %s", o.Target, o.Error)
				}
				if err := r.Verify(t.Context(), images[n].Image); err != nil {
					t.Error(err)
				}
				if err := r.VerifyBlobs(t.Context(), images[n].Image); err != nil {
					t.Error(err)
				}
			}
			s.SetFaults(nil)
			back := harborReader(t, s, "a", "b", "c")
			for _, f := range images {
				back.check(t, f.Image)
			}
		})
	}
}

// Many images with one failure in fifty: all done, and no blob sent more often
// than its failures explain. DRYDOCK_PUSH_IMAGES says how many.
func TestManyImages(t *testing.T) {
	count := 200
	if n, err := strconv.Atoi(os.Getenv("DRYDOCK_PUSH_IMAGES")); err == nil {
		count = n
	}
	s := startHarbor(t, nil, "a", "b", "c")
	opts := asAdmin()
	opts.Jobs, opts.RetryTimes = 8, 10
	opts.Throttled = func(n int, err error) { t.Logf("%d requests at once after %v", n, err) }
	r := dialHarbor(t, s, opts)
	random := rand.New(rand.NewPCG(1, 2))
	failures := map[string]int{} // by blob, of what it is sent with
	total := 0
	s.SetFaults(func(q *http.Request) harbortest.Fault {
		if random.IntN(50) > 0 {
			return harbortest.NoFault
		}
		fault := harbortest.Faults[random.IntN(len(harbortest.Faults))]
		if slices.Contains(slow, fault) {
			return harbortest.NoFault
		}
		total++
		if kindOf(q) == "PUT upload" {
			failures[q.URL.Query().Get("digest")]++
		}
		return fault
	})
	images := make([]*fixture, count)
	for n := range images {
		name := fmt.Sprintf("%c/app-%d:%d", 'a'+n%3, n%20, n)
		images[n] = image(name, "base", fmt.Sprintf("stack %d", n%10), fmt.Sprintf("app %d", n))
	}
	for _, o := range pushAll(t.Context(), t, r, 8, images) {
		if o.Status != report.Done {
			t.Errorf("%s: %s: %s", o.Target, o.Status, o.Error)
		}
	}
	s.SetFaults(nil)
	sent := map[string]int{}
	requests := s.Requests()
	for _, q := range requests {
		if _, d, ok := strings.Cut(q.RawQuery, "digest="); ok && q.Method == http.MethodPut {
			sent[strings.ReplaceAll(d, "%3A", ":")]++
		}
	}
	for d, n := range sent {
		if n > 1+failures[d] {
			t.Errorf("blob %s was sent %d times, with %d failures", d, n, failures[d])
		}
	}
	if len(sent) != 2*count+11 {
		t.Errorf("%d blobs were sent, want %d", len(sent), 2*count+11)
	}
	t.Logf("%d images, %d requests, %d failures", count, len(requests), total)
	for _, f := range images {
		if err := r.Verify(t.Context(), f.Image); err != nil {
			t.Error(err)
		}
	}
}
