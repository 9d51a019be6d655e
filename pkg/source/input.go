package source

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// input is the bytes of an archive, in their order.
type input struct {
	r       *bufio.Reader
	total   int64 // bytes; 0 where it is not known
	done    atomic.Int64
	ahead   bool // a goroutine reads from it, ahead of what is asked for
	stop    context.CancelFunc
	closers []io.Closer
}

// newInput reads a file of this size, or what comes from somebody else, where
// that is 0.
func newInput(ctx context.Context, r io.Reader, total int64, closers ...io.Closer) *input {
	ctx, stop := context.WithCancel(ctx)
	i := &input{total: total, stop: stop, closers: closers}
	if total == 0 {
		r = pump(ctx, r)
	}
	i.r = bufio.NewReaderSize(readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n, err := r.Read(p)
		i.done.Add(int64(n))
		return n, err
	}), chunkSize)
	return i
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// close ends the reading. That a file which was only read cannot be closed says
// nothing.
func (i *input) close() {
	i.stop()
	for _, c := range i.closers {
		c.Close()
	}
}

// first gives the first bytes, which are still to be read.
func (i *input) first(n int) ([]byte, error) {
	b, err := i.r.Peek(n)
	if err == io.EOF {
		err = nil
	}
	return b, err
}

// position is how many bytes are used up, as well as it is known.
func (i *input) position() int64 {
	if i.ahead {
		return i.done.Load()
	}
	return i.done.Load() - int64(i.r.Buffered())
}

// openStdin reads what the location "-" stands for.
func openStdin(ctx context.Context, stdin io.Reader) (*input, error) {
	if stdin == nil {
		return nil, report.WithHint(errors.New("opening source -: there is no standard input"), "give the archive's name")
	}
	if f, ok := stdin.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&fs.ModeCharDevice != 0 {
			return nil, report.WithHint(errors.New("opening source -: standard input is a terminal or another device, and no archive"),
				"pipe an archive into it: ssh host tar -c -C /var/lib/registry . | drydock … -")
		}
	}
	return newInput(ctx, stdin, 0), nil
}

// openFIFO opens a FIFO, or what a shell's <(…) stands for.
func openFIFO(ctx context.Context, path string) (*input, error) {
	type opened struct {
		f   *os.File
		err error
	}
	ready := make(chan opened, 1)
	go func() {
		f, err := os.Open(path) // which waits for somebody to write
		ready <- opened{f, err}
	}()
	select {
	case o := <-ready:
		if o.err != nil {
			return nil, fmt.Errorf("opening source: %w", o.err)
		}
		return newInput(ctx, o.f, 0, o.f), nil
	case <-ctx.Done():
		// Opening the other end ends the waiting.
		if w, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
			w.Close()
		}
		go func() {
			if o := <-ready; o.f != nil {
				o.f.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// pump reads ahead in a goroutine, so that the end of ctx also ends a reading
// that waits for somebody to write. The goroutine itself ends with the reading
// that it is in.
func pump(ctx context.Context, r io.Reader) io.Reader {
	type piece struct {
		bytes []byte
		err   error
	}
	free, pieces := make(chan []byte, pumped), make(chan piece, pumped)
	for range pumped {
		free <- make([]byte, pumpSize)
	}
	go func() {
		for {
			var b []byte
			select {
			case b = <-free:
			case <-ctx.Done():
				return
			}
			n, err := r.Read(b)
			pieces <- piece{b[:n], err} // for which there is always room
			if err != nil {
				return
			}
		}
	}()
	var p piece
	var rest []byte
	return readerFunc(func(to []byte) (int, error) {
		for len(rest) == 0 {
			if p.err != nil {
				return 0, p.err
			}
			if p.bytes != nil {
				free <- p.bytes[:pumpSize]
			}
			select {
			case p = <-pieces:
				rest = p.bytes
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
		n := copy(to, rest)
		rest = rest[n:]
		return n, nil
	})
}

const (
	pumped   = 8         // pieces that are read ahead at most
	pumpSize = 128 << 10 // bytes of one; a pipe gives 64 KiB at once
)
