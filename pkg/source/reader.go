package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
)

// reader reads a tar into a tree.
type reader struct {
	tape *tape
	tree *tree
	take taker
	told *told

	members  int
	last     string // the name of the last member
	inside   bool   // its bytes are being read
	ended    bool   // an end mark was seen, and no header since
	doubtful bool   // a header was damaged: what comes may be the content of another member
	spoilt   bool   // the next member's name or size went with a damaged header
	raw      []byte // the present member's headers, where keepRaw says so
	keepRaw  bool

	// What is used again for each member, so that reading millions leaves little
	// to collect.
	block  [blockSize]byte
	header header
	body   body
	node   node
	data   []byte // of an extended header
	path   []string
}

// taker decides what becomes of a regular file's bytes.
type taker interface {
	// file takes them, and says in n where they are, how many there were and what
	// they are. An error is the taker's own, not the tar's.
	file(ctx context.Context, m member, from *body, n *node) error
	// sparseFile is file for one that is stored in pieces. The name of m may turn
	// out to be another.
	sparseFile(ctx context.Context, m *member, from *body, n *node) error
}

// member is a file of a tar.
type member struct {
	*header
	path []string // its name, without what means nothing
	raw  []byte   // its headers, if the taker asked for them
}

// maxSpecial bounds an extended header, bytes: no program writes one as long.
const maxSpecial = 1 << 20

// run reads all members. Damage of the tar is told, and is no error; those are
// the taker's, errTooMany, and the end of ctx.
func (r *reader) run(ctx context.Context) error {
	for {
		h, err := r.next()
		switch {
		case err == nil:
			err = r.member(ctx, h)
		case err == errBroken:
			err = r.resume(ctx)
		default: // errCut, which the tape says too
			err = nil
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return err
		case r.tape.err != nil:
			r.finish()
			return nil
		}
	}
}

var (
	// errBroken is a header that cannot be read, though more may come behind it.
	errBroken = errors.New("a damaged header")
	// errCut is the end of the tape, wherever it comes: the tape says why.
	errCut = errors.New("the end of the archive")
)

// next reads the headers of the next member. What it gives is good until the
// next call.
func (r *reader) next() (_ *header, err error) {
	r.raw = r.raw[:0]
	long := extended{at: r.tape.at}
	b := &r.block
	for {
		at := r.tape.at
		if err := r.tape.block(b); err != nil {
			return nil, errCut
		}
		if isZero(b[:]) {
			if long.any {
				r.broken(at, "an extended header without a member")
			}
			r.ended, long = true, extended{at: r.tape.at}
			continue
		}
		h := &r.header
		if *h, err = parseHeader(b); err != nil {
			return nil, r.badHeader(at, err)
		}
		if r.keepRaw {
			r.raw = append(r.raw, b[:]...)
		}
		r.ended = false
		special, err := r.special(h, &long)
		switch {
		case err != nil:
			return nil, err
		case special:
			continue
		}
		h.at = long.at
		return h, r.settle(h, &long)
	}
}

// extended is what stands before a member's header and wins over it.
type extended struct {
	at           int64
	any          bool
	name, target string
	records      []record
}

// special reads a header that is about the next one.
func (r *reader) special(h *header, long *extended) (bool, error) {
	switch h.flag {
	case 'L', 'K', 'x', 'X', 'g':
	default:
		return false, nil
	}
	at := r.tape.at
	if h.size > maxSpecial {
		r.tape.skip(padded(h.size))
		r.broken(at, fmt.Sprintf("an extended header of %d bytes", h.size))
		r.spoilt = true
		return true, nil
	}
	r.data = slices.Grow(r.data[:0], int(padded(h.size)))[:padded(h.size)]
	data := r.data
	if _, err := io.ReadFull(&body{r.tape, int64(len(data))}, data); err != nil {
		return true, errCut
	}
	if r.keepRaw {
		r.raw = append(r.raw, data...)
	}
	text := string(data[:h.size])
	if h.flag != 'g' {
		long.any = true
	}
	switch h.flag {
	case 'L':
		long.name = cString(text)
	case 'K':
		long.target = cString(text)
	case 'x', 'X':
		records, err := parseRecords(text)
		if err != nil {
			r.broken(at, err.Error())
			r.spoilt = true
		}
		long.records = records
	}
	return true, nil
}

// settle puts together what the headers of a member say.
func (r *reader) settle(h *header, long *extended) error {
	if long.name != "" {
		h.name = long.name
	}
	if long.target != "" {
		h.target = long.target
	}
	if err := h.apply(long.records); err != nil {
		r.broken(h.at, err.Error())
		return errBroken
	}
	b := &r.block
	for blocks := 0; h.more; blocks++ { // of a map of GNU's
		if err := r.tape.block(b); err != nil {
			r.last = h.name
			return errCut
		}
		if blocks == maxSpecial/blockSize {
			r.broken(h.at, "a sparse file in too many pieces")
			return errBroken
		}
		if r.keepRaw {
			r.raw = append(r.raw, b[:]...)
		}
		h.more = b[moreAgainAt] != 0
	}
	return nil
}

// badHeader tells of a block that should have been a header. Behind the end of
// an archive it is nothing to tell of, unless more of the archive follows.
func (r *reader) badHeader(at int64, err error) error {
	if !r.ended {
		r.broken(at, err.Error())
	}
	return errBroken
}

// resume looks for the next header behind one that is damaged.
func (r *reader) resume(ctx context.Context) error {
	from, ended := r.tape.at, r.ended
	for r.tape.err == nil {
		b := r.tape.peek()
		if len(b) == blockSize {
			block := (*[blockSize]byte)(b)
			if isUstar(block) && isHeader(block) {
				if ended {
					r.broken(from, "something between two archives that is neither")
				}
				r.doubtful = true
				return nil
			}
		}
		r.tape.skip(blockSize)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if r.tape.err == io.ErrUnexpectedEOF {
		r.tape.err = io.EOF
	}
	r.ended = true // there is nothing left to tell of the end
	return nil
}

// finish tells of an end that comes too early.
func (r *reader) finish() {
	switch {
	case r.tape.err == io.EOF && r.ended:
	case r.tape.err == io.ErrUnexpectedEOF && r.ended && r.tape.at%blockSize != 0: // padding
	case errors.Is(r.tape.err, errTrailing) && r.ended:
	case r.tape.err == io.EOF:
		r.broken(r.tape.at, "it ends without the mark that ends a tar: it may be cut off")
	case r.tape.err == io.ErrUnexpectedEOF:
		r.broken(r.tape.at, "it is cut off")
	default:
		r.broken(r.tape.at, r.tape.err.Error())
	}
}

// broken tells of damage at a byte of the tar.
func (r *reader) broken(at int64, what string) {
	r.told.damaged(damage{at: at, what: what, member: r.last, inside: r.inside, before: r.members})
}

func cString(s string) string {
	for i := range len(s) {
		if s[i] == 0 {
			return s[:i]
		}
	}
	return s
}

// padded rounds up to whole blocks.
func padded(size int64) int64 {
	if size > 1<<62 {
		return size
	}
	return (size + blockSize - 1) &^ (blockSize - 1)
}
