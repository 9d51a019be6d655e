package serve

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strconv"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

// state is what is known of a blob's bytes.
type state int

const (
	unknown state = iota
	sound
	damaged
)

// sight is a file as it was when it was hashed; another sight is another file.
type sight struct {
	size    int64       // bytes
	written int64       // it, or the archive that it lies in: Unix time, nanoseconds
	file    fs.FileInfo // what tells it from one put in its place; nil in an archive
}

func (s sight) is(other sight) bool {
	return s.size == other.size && s.written == other.written && (s.file == nil || os.SameFile(s.file, other.file))
}

// trust keeps which blobs were hashed, and with what result.
type trust struct {
	mu      sync.Mutex
	states  map[digest.Digest]settled
	hashing map[digest.Digest]chan struct{} // what is being hashed; closed when that is over
}

type settled struct {
	as    sight
	state state
}

func newTrust() *trust {
	return &trust{states: map[digest.Digest]settled{}, hashing: map[digest.Digest]chan struct{}{}}
}

func (t *trust) of(d digest.Digest, as sight) state {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s, ok := t.states[d]; ok && s.as.is(as) {
		return s.state
	}
	return unknown
}

func (t *trust) settle(d digest.Digest, as sight, right bool) state {
	s := damaged
	if right {
		s = sound
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.states[d] = settled{as, s}
	return s
}

// enter lets one at a time hash a blob, since clients ask for many parts of one at
// once. It gives what ends that or, where somebody else is at it, what to wait for.
func (t *trust) enter(d digest.Digest) (leave func(), wait <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if over, ok := t.hashing[d]; ok {
		return nil, over
	}
	over := make(chan struct{})
	t.hashing[d] = over
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.hashing, d)
		close(over)
	}, nil
}

// known is what is known of a blob without reading it: from this registry's own
// reading, or from the source's.
func (r *Registry) known(d digest.Digest, as sight) state {
	state := r.trust.of(d, as)
	if knows, ok := r.src.(source.DigestFS); ok && state == unknown {
		if is, ok := knows.Digest(r.index.Path(d), d.Algorithm()); ok {
			return r.trust.settle(d, as, is == d)
		}
	}
	return state
}

// settled gives what a blob is known to be, once it is hashed: by this request, or
// by another one that has begun.
func (r *Registry) settled(ctx context.Context, f content, d digest.Digest, as sight) (state, error) {
	for {
		leave, wait := r.trust.enter(d)
		if wait == nil {
			defer leave()
			if state := r.trust.of(d, as); state != unknown {
				return state, nil
			}
			return r.hash(ctx, f, d, as)
		}
		select {
		case <-wait: // the other one may have been broken off
		case <-ctx.Done():
			return unknown, ctx.Err()
		}
	}
}

// hash reads a blob from its beginning to its end, and goes back.
func (r *Registry) hash(ctx context.Context, f content, d digest.Digest, as sight) (state, error) {
	verifier := d.Verifier()
	n, err := io.Copy(verifier, &interrupted{ctx, f})
	if err != nil {
		return unknown, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return unknown, err
	}
	return r.trust.settle(d, as, n == as.size && verifier.Verified()), nil
}

// interrupted is a reader that ends with its context.
type interrupted struct {
	ctx  context.Context
	from io.Reader
}

func (i *interrupted) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.from.Read(p)
}

const held = 256 << 10 // bytes that are held back until the next are read

// sendHashed sends a blob that nobody hashed yet. Its last bytes go when the sum
// is right; where it is not, or reading fails, the connection ends before that, so
// that no client takes it for whole. One that fits into what is held back is
// answered with an error instead.
func (r *Registry) sendHashed(w http.ResponseWriter, f content, repo *repository, d digest.Digest, as sight) *problem {
	verifier := d.Verifier()
	now, next := make([]byte, held), make([]byte, held)
	from := io.LimitReader(f, as.size) // a file that grows is not sent in part
	n, end := io.ReadFull(from, now)
	for sent := int64(0); ; {
		_, _ = verifier.Write(now[:n])
		ahead := 0
		if end == nil {
			ahead, end = io.ReadFull(from, next)
		}
		if ahead == 0 {
			if p := r.mayEnd(end, verifier, sent+int64(n), repo, d, as); p != nil {
				return stop(w, p, sent)
			}
		}
		if sent == 0 {
			w.Header().Set("Content-Length", strconv.FormatInt(as.size, 10))
			w.Header().Set("Accept-Ranges", "bytes")
		}
		if _, err := w.Write(now[:n]); err != nil || ahead == 0 {
			return nil // at its end, or the client has gone
		}
		sent += int64(n)
		now, next, n = next, now, ahead
	}
}

// mayEnd tells whether a blob came to the right end.
func (r *Registry) mayEnd(end error, verifier digest.Verifier, read int64, repo *repository, d digest.Digest, as sight) *problem {
	if end != nil && !errors.Is(end, io.EOF) && !errors.Is(end, io.ErrUnexpectedEOF) {
		return r.lost(end, blobUnknown, repo, d.String())
	}
	if r.trust.settle(d, as, read == as.size && verifier.Verified()) == damaged {
		return r.lost(errDamaged, blobUnknown, repo, d.String())
	}
	return nil
}

// stop answers with an error, or, where bytes went already, ends the connection.
func stop(w http.ResponseWriter, p *problem, sent int64) *problem {
	if sent > 0 {
		panic(http.ErrAbortHandler)
	}
	for _, name := range []string{"ETag", "Cache-Control", "Docker-Content-Digest"} {
		w.Header().Del(name)
	}
	return p
}
