package push

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// limiter hands out slots: no request is sent without one. How many there are
// adapts to the target, see width.
type limiter struct {
	mu      sync.Mutex
	width   width
	busy    int
	waiting []chan struct{} // closed when its turn comes, first come first served
}

func newLimiter(most int) *limiter { return &limiter{width: width{most: most, now: most}} }

// take waits for a slot. What it gives has to be told to give.
func (l *limiter) take(ctx context.Context) (era int, err error) {
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	l.mu.Lock()
	if l.busy < l.width.now && len(l.waiting) == 0 {
		defer l.mu.Unlock()
		l.busy++
		return l.width.era, nil
	}
	turn := make(chan struct{})
	l.waiting = append(l.waiting, turn)
	l.mu.Unlock()
	select {
	case <-turn:
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.width.era, nil
	case <-ctx.Done():
		l.leave(turn)
		return 0, ctx.Err()
	}
}

// leave ends waiting. A turn that came in the meantime goes to the next.
func (l *limiter) leave(turn chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.waiting, turn); i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
		return
	}
	l.busy--
	l.call()
}

// give takes a slot back, and counts how its request ended. It gives how many
// slots there are now where these became fewer, and 0 where they did not.
func (l *limiter) give(era int, end strain) (fewer int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy--
	if l.width.ended(era, end) {
		fewer = l.width.now
	}
	l.call()
	return fewer
}

// call lets in whom there is room for.
func (l *limiter) call() {
	for l.busy < l.width.now && len(l.waiting) > 0 {
		close(l.waiting[0])
		l.waiting = slices.Delete(l.waiting, 0, 1)
		l.busy++
	}
}

// strain is what the end of a request says of the target.
type strain int

const (
	unclear  strain = iota // nothing: it was ended from this side
	eased                  // it answers, be it with a refusal
	strained               // it has too much to do: 408, 429, 5xx, broken connections, no answer
)

func strainOf(err error) strain {
	if err == nil {
		return eased
	}
	var status *StatusError
	switch {
	case isTransient(err):
		return strained
	case errors.As(err, &status):
		return eased
	}
	return unclear
}

// width is how many requests go side by side: half as many after one that found
// the target strained, and one more after some good answers, as TCP does it for
// packets. It has no clock. What was under way when it was halved says nothing
// new, whatever becomes of it: so one bad moment halves it once, however many
// requests it hits.
type width struct {
	most int // never more
	now  int // never less than 1
	era  int // how often it was halved
	good int // answers since it last changed
}

// goodAnswers is how many of them it takes until there is room for one more.
const goodAnswers = 10

// ended counts a request that began in an era, and tells whether there is less
// room now.
func (w *width) ended(era int, end strain) (fewer bool) {
	if era != w.era || end == unclear {
		return false
	}
	if end == strained {
		w.good = 0
		if w.now > 1 {
			w.now /= 2
			w.era++
			return true
		}
		return false
	}
	if w.now < w.most {
		w.good++
	}
	if w.good == goodAnswers {
		w.now, w.good = w.now+1, 0
	}
	return false
}
