package push_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/push"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

func images(fixtures ...*fixture) (all []plan.Image) {
	for _, f := range fixtures {
		all = append(all, f.Image)
	}
	return all
}

// There are never more connections than jobs; those of a first contact, and for
// tokens, are among them.
func TestConnections(t *testing.T) {
	for _, jobs := range []int{1, 3} {
		s := startHarbor(t, nil, "a", "b", "c")
		var l looker
		opts := asAdmin()
		opts.Jobs = jobs
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // one that waits for another waits for long
		defer cancel()
		r, err := push.DialBy(ctx, plainHTTP(s.Host()), noAuthFile(t, opts), l.dial)
		if err != nil {
			t.Fatalf("%d jobs: %v", jobs, err)
		}
		for _, o := range pushAll(ctx, t, r, 4, shared()) {
			if o.Status != report.Done {
				t.Errorf("%d jobs: outcome %+v", jobs, o)
			}
		}
		if n := l.dials.Load(); n < 1 || n > int64(jobs) {
			t.Errorf("%d connections for %d jobs", n, jobs)
		}
	}
}

// Whoever looks whether the registry is back needs none of the connections that
// others wait on.
func TestLookout(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	h := newDistribution(t)
	arrived, back := make(chan struct{}), make(chan struct{})
	var heads, looks atomic.Int64
	h.answer = func(w http.ResponseWriter, q *http.Request) bool {
		switch {
		case q.Method == http.MethodHead && heads.Add(1) <= 2:
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		case q.Method == http.MethodPut && q.ContentLength == 1000:
			close(arrived)
			select {
			case <-back:
			case <-ctx.Done():
			}
		case q.URL.Path == "/v2/" && looks.Add(1) == 2: // the first was Dial's
			close(back)
		}
		return false
	}
	f := heavy("b/app:1", 1000)
	f.write(t)
	var r *push.Registry
	var all sync.WaitGroup
	defer all.Wait()
	told := 0
	r = dial(t, hostOf(serve(t, h)), &push.Options{Jobs: 1, RetryDelay: time.Millisecond, RetryTimes: 5, Notify: func(error, time.Duration) {
		if told++; told != 2 {
			return
		}
		all.Go(func() {
			if o, err := f.pushTo(ctx, t, r); err != nil {
				t.Errorf("outcome %+v: %v", o, err)
			}
		})
		select {
		case <-arrived:
		case <-ctx.Done():
		}
	}})
	r.SetPatience(time.Minute)
	if _, err := r.Resolve(ctx, plan.Reference{Repository: "a/app", Tag: "1"}); err != push.ErrNotFound {
		t.Errorf("error %v, want %v", err, push.ErrNotFound)
	}
}

// Repositories are asked for their tags side by side, each once, and nobody asks
// again.
func TestLookUpTags(t *testing.T) {
	const jobs = 3
	s := startHarbor(t, nil, "a")
	opts := asAdmin()
	opts.Jobs = jobs
	r := dialHarbor(t, s, opts)
	all := newCrowd(jobs)
	s.Intercept(func(_ http.ResponseWriter, q *http.Request) bool {
		if q.URL.Path != "/service/token" {
			all.join(t.Context())
		}
		return false
	})
	untagged := image("a/four:1", "x")
	untagged.Target.Tag = ""
	fixtures := []*fixture{image("a/one:1", "x"), image("a/one:2", "x"), image("a/two:1", "x"), image("a/three:1", "x"), untagged}
	if err := r.LookUpTags(t.Context(), images(fixtures...)); err != nil {
		t.Fatal(err)
	}
	for _, f := range fixtures[:4] {
		if there, _, err := r.Foresee(t.Context(), f.Image); there || err != nil {
			t.Errorf("%s: there %t, error %v", f.Target, there, err)
		}
	}
	if n := asked(s, http.MethodGet, "/tags/list"); n != jobs {
		t.Errorf("%d lists, want %d", n, jobs)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := dialHarbor(t, s, opts).LookUpTags(ctx, images(fixtures...)); err != context.Canceled {
		t.Errorf("error %v", err)
	}
}
