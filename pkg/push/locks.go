package push

import (
	"context"
	"sync"
)

// locks are locks by name. Nobody waits for one longer than their ctx.
type locks struct {
	mu   sync.Mutex
	held map[string]chan struct{} // closed when it is given up
}

func newLocks() *locks { return &locks{held: map[string]chan struct{}{}} }

// lock takes a lock, or returns the error of ctx.
func (l *locks) lock(ctx context.Context, name string) (unlock func(), err error) {
	for {
		l.mu.Lock()
		busy := l.held[name]
		if busy == nil {
			l.held[name] = make(chan struct{})
			l.mu.Unlock()
			return func() { l.unlock(name) }, nil
		}
		l.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (l *locks) unlock(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.held[name])
	delete(l.held, name)
}
