package source

import (
	"io"
	"sync"
	"sync/atomic"
)

const (
	chunkSize = 256 << 10 // bytes
	chunks    = 16        // that are under way at most
	lanes     = 3         // two hashes and a file
)

// fan copies one reader to several writers, each of which writes in a goroutine
// of its own: decompression, hashing and writing do not wait for one another.
type fan struct {
	free  chan *chunk
	lanes [lanes]lane
	under sync.WaitGroup // chunks that are being written
}

type chunk struct {
	bytes []byte
	whole []byte
	users atomic.Int32
}

type lane struct {
	in   chan *chunk
	sink io.Writer
	err  error
}

func newFan() *fan {
	f := &fan{free: make(chan *chunk, chunks)}
	for range chunks {
		f.free <- &chunk{whole: make([]byte, chunkSize)}
	}
	for i := range f.lanes {
		l := &f.lanes[i]
		l.in = make(chan *chunk, chunks)
		go func() {
			for c := range l.in {
				l.write(c.bytes)
				f.release(c)
			}
		}()
	}
	return f
}

func (f *fan) close() {
	for i := range f.lanes {
		close(f.lanes[i].in)
	}
}

func (l *lane) write(p []byte) {
	if l.err == nil {
		_, l.err = l.sink.Write(p)
	}
}

func (f *fan) release(c *chunk) {
	if c.users.Add(-1) == 0 {
		f.free <- c
		f.under.Done()
	}
}

// copy copies until the reader ends, in whatever way, and gives the number of
// bytes; before each further 64 MiB it asks whether to go on. Errors are those
// of the writers and of that question.
func (f *fan) copy(r io.Reader, more func(soFar int64) error, sinks ...io.Writer) (n int64, err error) {
	for i, sink := range sinks {
		f.lanes[i].sink, f.lanes[i].err = sink, nil
	}
	asked := int64(0)
	for err == nil {
		c := <-f.free
		size, end := io.ReadFull(r, c.whole)
		c.bytes = c.whole[:size]
		n += int64(size)
		if end != nil && n == int64(size) { // all at once: no need of goroutines
			for i := range sinks {
				f.lanes[i].write(c.bytes)
			}
			size = 0
		}
		if size == 0 {
			f.free <- c
			break
		}
		f.send(c, len(sinks))
		if end != nil {
			break
		}
		if n-asked >= stretch {
			asked, err = n, more(n)
		}
	}
	f.under.Wait()
	for i := range sinks {
		if e := f.lanes[i].err; e != nil && err == nil {
			err = e
		}
	}
	return n, err
}

func (f *fan) send(c *chunk, to int) {
	c.users.Store(int32(to))
	f.under.Add(1)
	for i := range to {
		f.lanes[i].in <- c
	}
}
