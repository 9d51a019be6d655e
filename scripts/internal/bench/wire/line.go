package wire

import (
	"io"
	"net"
	"sync"
	"time"
)

// line is a way that bytes take, to one end of a connection.
type line interface {
	io.Writer
	io.ReaderFrom
	// Close returns when all is delivered that was written.
	Close()
}

// direct is a line without delay.
type direct struct{ *net.TCPConn }

// Close implements line: there is nothing under way. The connection stays open.
func (direct) Close() {}

const (
	parcel   = 64 << 10 // bytes that travel together at most
	underWay = 64       // parcels; with one round trip of 20 ms, 200 MB/s
)

// delayed is a line on which every byte takes as long, however many there are.
type delayed struct {
	to    *net.TCPConn
	delay time.Duration
	queue chan delivery
	done  chan struct{}
}

type delivery struct {
	due   time.Time
	bytes []byte
}

var parcels = sync.Pool{New: func() any { return make([]byte, parcel) }}

func newDelayed(to *net.TCPConn, delay time.Duration) *delayed {
	d := &delayed{to: to, delay: delay, queue: make(chan delivery, underWay), done: make(chan struct{})}
	go d.deliver()
	return d
}

func (d *delayed) deliver() {
	defer close(d.done)
	var broken error
	for p := range d.queue {
		if broken == nil {
			time.Sleep(time.Until(p.due))
			if _, broken = d.to.Write(p.bytes); broken != nil {
				d.to.Close() // nobody waits for what cannot come
			}
		}
		parcels.Put(p.bytes[:cap(p.bytes)])
	}
}

func (d *delayed) send(b []byte) { d.queue <- delivery{time.Now().Add(d.delay), b} }

// Write implements io.Writer.
func (d *delayed) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		b := parcels.Get().([]byte)
		n := copy(b, rest)
		d.send(b[:n])
		rest = rest[n:]
	}
	return len(p), nil
}

// ReadFrom implements io.ReaderFrom.
func (d *delayed) ReadFrom(r io.Reader) (int64, error) {
	var total int64
	for {
		b := parcels.Get().([]byte)
		n, err := r.Read(b)
		if n > 0 {
			d.send(b[:n])
			total += int64(n)
		}
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// Close implements line.
func (d *delayed) Close() {
	close(d.queue)
	<-d.done
}
