package report

import (
	"errors"
	"sync"
)

// Tee tells the same to several handlers, and takes turns for callers that run
// side by side.
type Tee struct {
	mu       sync.Mutex
	handlers []Handler
}

// NewTee tells each of the handlers.
func NewTee(handlers ...Handler) *Tee { return &Tee{handlers: handlers} }

func (t *Tee) each(tell func(Handler) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	for _, h := range t.handlers {
		errs = append(errs, tell(h))
	}
	return errors.Join(errs...)
}

// Image implements Handler.
func (t *Tee) Image(i Image) error {
	return t.each(func(h Handler) error { return h.Image(i) })
}

// Finding implements Handler.
func (t *Tee) Finding(f Finding) error {
	return t.each(func(h Handler) error { return h.Finding(f) })
}

// Outcome implements Handler.
func (t *Tee) Outcome(o Outcome) error {
	return t.each(func(h Handler) error { return h.Outcome(o) })
}

// Progress implements Handler.
func (t *Tee) Progress(p Progress) {
	_ = t.each(func(h Handler) error { h.Progress(p); return nil })
}

// Flush has handlers tell what they have gathered so far, where they can.
func (t *Tee) Flush() error {
	return t.each(func(h Handler) error {
		if f, ok := h.(interface{ Flush() error }); ok {
			return f.Flush()
		}
		return nil
	})
}

// Close implements Handler.
func (t *Tee) Close(s Summary) error {
	return t.each(func(h Handler) error { return h.Close(s) })
}
