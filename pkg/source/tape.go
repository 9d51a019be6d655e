package source

import (
	"bufio"
	"io"
)

const (
	blockSize = 512 // bytes; a tar is made of such blocks
	readAhead = 128 << 10
)

// tape is a tar, read from front to end. An error of the reading stays, as the
// end does: nothing is read behind it.
type tape struct {
	r    *bufio.Reader
	leap *leaper // nil: what is passed over has to be read
	at   int64   // of what is read next
	err  error
	tell func() // called each 4 MiB or so; nil: nobody asks
	next int64  // where it is called next
}

const progressStep = 4 << 20 // bytes

// newTape reads a tar as it comes.
func newTape(r io.Reader) *tape {
	return &tape{r: bufio.NewReaderSize(r, readAhead)}
}

// newPlainTape reads a tar of this size, in which it can leap.
func newPlainTape(r io.ReaderAt, size int64) *tape {
	leap := &leaper{r: r, size: size}
	return &tape{r: bufio.NewReaderSize(leap, readAhead), leap: leap}
}

// Read implements io.Reader.
func (t *tape) Read(p []byte) (int, error) {
	if t.err != nil {
		return 0, t.err
	}
	n, err := t.r.Read(p)
	t.advance(int64(n))
	t.err = err
	return n, err
}

func (t *tape) advance(n int64) {
	if t.at += n; t.at >= t.next && t.tell != nil {
		t.next = t.at + progressStep
		t.tell()
	}
}

// block reads the next block into b. An end within it is io.ErrUnexpectedEOF.
func (t *tape) block(b *[blockSize]byte) error {
	_, err := io.ReadFull(t, b[:])
	if err == io.ErrUnexpectedEOF {
		t.err = err
	}
	return err
}

// peek gives the next block without reading it, and what there is of it where
// that is less.
func (t *tape) peek() []byte {
	if t.err != nil {
		return nil
	}
	b, _ := t.r.Peek(blockSize)
	return b
}

// skip passes over bytes, and says how many there were.
func (t *tape) skip(n int64) int64 {
	if t.err != nil {
		return 0
	}
	if t.leap != nil && n > int64(t.r.Buffered()) {
		return t.leapOver(n)
	}
	skipped := int64(0)
	for skipped < n && t.err == nil {
		step, err := t.r.Discard(int(min(n-skipped, progressStep)))
		skipped += int64(step)
		t.advance(int64(step))
		t.err = unexpected(err)
	}
	return skipped
}

func (t *tape) leapOver(n int64) int64 {
	if left := t.leap.size - t.at; n > left {
		n, t.err = max(left, 0), io.ErrUnexpectedEOF
	}
	t.advance(n)
	t.leap.to(t.at)
	t.r.Reset(t.leap)
	return n
}

// leaper reads from any place on: little at first, for a leap goes to a header
// that another leap may follow, and then more and more at once.
type leaper struct {
	r        io.ReaderAt
	at, size int64
	step     int // bytes to read at once; 0 for the least
}

const leastStep = 4 << 10 // bytes

func (l *leaper) to(at int64) { l.at, l.step = at, 0 }

func (l *leaper) Read(p []byte) (int, error) {
	l.step = min(max(2*l.step, leastStep), readAhead)
	n, err := l.r.ReadAt(p[:min(len(p), l.step)], l.at)
	l.at += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// body is what a member of a tar has of its bytes: so many at most. Where the
// tar has less, the tape says so.
type body struct {
	tape *tape
	left int64
}

func (b *body) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.tape.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if err == io.EOF {
		b.tape.err = io.ErrUnexpectedEOF
	}
	return n, b.tape.err
}

// pass passes over what is left, and gives how many bytes there were.
func (b *body) pass() int64 {
	n := b.tape.skip(b.left)
	b.left -= n
	return n
}
