package push_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/push"
)

// The limiter as a state machine: each letter is a request that takes a slot and
// ends well (+), in strain (-), or for a reason of its own (o); a number is how
// many slots there must be then. Requests in brackets are under way together.
func TestLimiterWidth(t *testing.T) {
	ten := strings.Repeat("+", 10)
	for _, test := range []struct {
		most int
		run  string
	}{
		{8, "8 - 4 - 2 - 1 - 1 - 1"},
		{1, "1 - 1 " + ten + ten + " 1"},
		{8, ten + ten + " 8"},
		{8, "(--------) 4"}, // one bad moment
		{8, "(-+-+-+-+) 4"}, // in which some get through
		{8, "(-) 4 (--) 2"}, // and another
		{8, "oooo 8 - 4 oo 4"},
		{4, "- 2 " + ten + " 3 " + ten + " 4 " + ten + ten + " 4"},
		{4, "- 2 +++++++++ 2 - 1 " + ten + " 2"}, // the count begins again
		{8, "(-++++++) 4 +++ 4 +++++++ 5"},       // what was under way when it was halved is not counted
		{3, "- 1 " + ten + " 2 " + ten + " 3 - 1"},
	} {
		t.Run(test.run, func(t *testing.T) {
			l := push.NewLimiter(test.most)
			var eras []int
			var ends []push.Strain
			together := false
			for _, c := range test.run {
				switch c {
				case '(':
					together = true
				case ')':
					for n, era := range eras {
						l.Give(era, ends[n])
					}
					together, eras, ends = false, nil, nil
				case '+', '-', 'o':
					end := map[rune]push.Strain{'+': push.Eased, '-': push.Strained, 'o': push.Unclear}[c]
					era, err := l.Take(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if together {
						eras, ends = append(eras, era), append(ends, end)
						continue
					}
					l.Give(era, end)
				case ' ':
				default:
					if now, busy, _ := l.State(); now != int(c-'0') || busy != 0 {
						t.Fatalf("%d slots, %d taken, want %c and none", now, busy, c)
					}
				}
			}
		})
	}
}

// Whatever happens, no slot is lost, none is given twice, and nobody waits
// where there is room.
func TestLimiterRandom(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			const most = 6
			l := push.NewLimiter(most)
			var busy atomic.Int64
			var all sync.WaitGroup
			for worker := range 30 {
				all.Go(func() {
					random := rand.New(rand.NewPCG(seed, uint64(worker)))
					for range 200 {
						ctx, cancel := context.WithCancel(t.Context())
						if random.IntN(4) == 0 {
							all.Go(cancel) // at some moment
						}
						era, err := l.Take(ctx)
						defer cancel()
						if err != nil {
							if !errors.Is(err, context.Canceled) {
								t.Error(err)
							}
							continue
						}
						if n := busy.Add(1); n > most {
							t.Errorf("%d at once", n)
						}
						if now, _, _ := l.State(); now < 1 || now > most {
							t.Errorf("%d slots", now)
						}
						busy.Add(-1)
						l.Give(era, []push.Strain{push.Unclear, push.Eased, push.Eased, push.Eased, push.Strained}[random.IntN(5)])
					}
				})
			}
			all.Wait()
			if _, busy, waiting := l.State(); busy != 0 || waiting != 0 {
				t.Errorf("%d slots are taken, and %d wait", busy, waiting)
			}
		})
	}
}

func TestStrain(t *testing.T) {
	for _, test := range []struct {
		err  error
		want push.Strain
	}{
		{nil, push.Eased},
		{&push.StatusError{Status: 404}, push.Eased},
		{&push.StatusError{Status: 403}, push.Eased},
		{&push.StatusError{Status: 501}, push.Eased},
		{&push.StatusError{Status: 408}, push.Strained},
		{&push.StatusError{Status: 429}, push.Strained},
		{&push.StatusError{Status: 500}, push.Strained},
		{&push.StatusError{Status: 503}, push.Strained},
		{io.ErrUnexpectedEOF, push.Strained},
		{context.Canceled, push.Unclear},
		{context.DeadlineExceeded, push.Unclear},
		{errors.New("a file that cannot be read"), push.Unclear},
	} {
		if got := push.StrainOf(test.err); got != test.want {
			t.Errorf("%v: %d, want %d", test.err, got, test.want)
		}
	}
}

// A crowd lets requests in when as many are there as it waits for.
type crowd struct {
	mu   sync.Mutex
	want int
	here int
	all  chan struct{}
}

func newCrowd(want int) *crowd { return &crowd{want: want, all: make(chan struct{})} }

func (c *crowd) join(ctx context.Context) {
	c.mu.Lock()
	if c.here++; c.here == c.want {
		close(c.all)
	}
	c.mu.Unlock()
	select {
	case <-c.all:
	case <-ctx.Done():
	}
}

// A registry that eight requests at once are too much for gets four, and in time
// eight again.
func TestThrottle(t *testing.T) {
	const jobs = 8
	first, last := newCrowd(jobs), newCrowd(jobs)
	var arrived, now, most atomic.Int64
	h := newDistribution(t)
	h.answer = func(w http.ResponseWriter, q *http.Request) bool {
		if q.Method != http.MethodHead {
			return false
		}
		under := now.Add(1)
		defer now.Add(-1)
		switch n := arrived.Add(1); {
		case n <= jobs:
			first.join(t.Context())
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		case n <= 2*jobs+2: // the first ten good answers
			for old := most.Load(); under > old && !most.CompareAndSwap(old, under); old = most.Load() {
			}
		case n > 100: // by then there were enough good answers
			last.join(t.Context())
		}
		return false
	}
	var told []int
	r := dial(t, hostOf(serve(t, h)), &push.Options{
		Jobs: jobs, RetryDelay: 1, Throttled: func(n int, err error) {
			told = append(told, n)
			if !strings.Contains(err.Error(), "429") {
				t.Errorf("told of %v", err)
			}
		},
	})
	var all sync.WaitGroup
	for range 2 * jobs {
		all.Go(func() {
			for range 20 {
				if _, err := r.Resolve(t.Context(), plan.Reference{Repository: "app", Tag: "1"}); !errors.Is(err, push.ErrNotFound) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait() // for ever, if there are never eight again
	if most.Load() > jobs/2 {
		t.Errorf("%d requests at once after the registry had too many, want at most %d", most.Load(), jobs/2)
	}
	if len(told) != 1 || told[0] != jobs/2 {
		t.Errorf("told %v, want 4 once", told)
	}
}
