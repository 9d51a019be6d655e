package source

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// maxTarget bounds a symbolic link's target, bytes, as Linux does.
const maxTarget = 4096

var (
	errOutside = errors.New("its name leads out of the archive")
	errLong    = fmt.Errorf("its name is longer than %d bytes, or deeper than %d directories", maxName, maxDepth)
	errNUL     = errors.New("its name has a NUL byte in it")
)

// split takes a member's name apart. What means nothing goes: a leading slash,
// as GNU tar's -P leaves it, and every ".".
func split(name string, into []string) ([]string, error) {
	if len(name) > maxName {
		return into, errLong
	}
	if strings.IndexByte(name, 0) >= 0 {
		return into, errNUL
	}
	for part, rest, more := "", name, true; more; {
		part, rest, more = strings.Cut(rest, "/")
		switch part {
		case "", ".":
			continue
		case "..":
			return into, errOutside
		}
		into = append(into, part)
	}
	if len(into) > maxDepth {
		return into, errLong
	}
	return into, nil
}

// member puts a member into the tree, and reads its bytes.
func (r *reader) member(ctx context.Context, h *header) error {
	r.members++
	r.last, r.inside = h.name, true
	from := &r.body
	*from = body{tape: r.tape, left: r.stored(h)}
	if err := r.file(ctx, h, from); err != nil {
		return err
	}
	from.pass()
	r.inside = from.left > 0 // where the tape ends too early
	r.tape.skip(padded(r.tape.at) - r.tape.at)
	return nil
}

// stored is how many bytes follow a member's header. Of what has none by its
// kind, some programs state a size all the same: whether there are any shows in
// what comes next.
func (r *reader) stored(h *header) int64 {
	switch h.flag {
	case '1', '2', '3', '4', '5', '6':
		b := r.tape.peek()
		if h.size == 0 || len(b) < blockSize || isZero(b) || isHeader((*[blockSize]byte)(b)) {
			return 0
		}
	}
	return h.size
}

// file is what one member becomes.
func (r *reader) file(ctx context.Context, h *header, from *body) error {
	if r.spoilt {
		r.spoilt = false
		r.told.member(h.name, "the header that says its name or size is damaged")
		return nil
	}
	m := member{header: h, raw: r.raw}
	var err error
	m.path, err = split(h.name, r.path[:0])
	if r.path = m.path; err != nil {
		r.told.member(h.name, err.Error())
		return nil
	}
	if r.doubtful && !r.belongs(m.path) {
		return nil
	}
	if len(m.path) == 0 && h.flag != '5' {
		return nil // the top of the archive is a directory, whatever is said of it
	}
	n := node{perm: h.perm, mtime: h.mtime}
	switch h.flag {
	case '5', 'D':
		n.kind = directory
	case '2':
		return r.symlink(m, n)
	case '1':
		return r.hardLink(m, n)
	case '3':
		n.kind = charDevice
	case '4':
		n.kind = blockDevice
	case '6':
		n.kind = fifo
	case 'M':
		r.told.member(h.name, "a file that begins in another volume of the archive")
		return nil
	case 'V', 'N', 'A', 'E', 'I': // a volume's name, and what Solaris keeps of files
		return nil
	default:
		return r.regular(ctx, m, from, n)
	}
	return r.put(m.path, n)
}

func (r *reader) put(path []string, n node) error {
	_, err := r.tree.put(path, n)
	return err
}

// belongs tells of a member behind a damaged header whether it is one: it may be
// in a tar that is a layer, into the middle of which the damage led.
func (r *reader) belongs(path []string) bool {
	if len(path) == 0 || matters(path) {
		return true
	}
	_, known := r.tree.lookUp(path[:1])
	return known
}

// regular is a file with bytes. The old way to write of a directory is a file
// whose name ends with a slash.
func (r *reader) regular(ctx context.Context, m member, from *body, n node) error {
	if strings.HasSuffix(m.name, "/") {
		n.kind = directory
		return r.put(m.path, n)
	}
	r.node = n
	r.node.kind = regular
	if m.sparse {
		return r.sparse(ctx, m, from)
	}
	if err := r.take.file(ctx, m, from, &r.node); err != nil {
		return err
	}
	return r.put(m.path, r.node)
}

func (r *reader) sparse(ctx context.Context, m member, from *body) error {
	err := r.take.sparseFile(ctx, &m, from, &r.node)
	if refused, ok := errors.AsType[*refusal](err); ok {
		r.told.member(m.name, refused.why)
		return nil
	}
	if err != nil {
		return err
	}
	return r.put(m.path, r.node)
}

// refusal is why a member is passed over.
type refusal struct{ why string }

func (r *refusal) Error() string { return r.why }

func (r *reader) symlink(m member, n node) error {
	if len(m.target) > maxTarget {
		r.told.member(m.name, syscall.ENAMETOOLONG.Error())
		return nil
	}
	ref, ok := r.tree.add(m.target)
	if !ok {
		return errTooMany
	}
	n.kind, n.extra = symlink, ref
	return r.put(m.path, n)
}

// hardLink makes a name of what another name has at this point of the archive;
// of what it will have, where that is nothing yet.
func (r *reader) hardLink(m member, n node) error {
	target, err := split(m.target, nil)
	if err != nil {
		r.told.member(m.name, "a hard link: "+err.Error())
		target = nil
	}
	n.kind, n.place = hardLink, missing
	if id, ok := r.tree.lookUp(target); ok && id != top {
		if to := r.tree.node(id); to.kind == hardLink && to.place == pending {
			n.place, n.extra = pending, to.extra
		} else {
			r.tree.hardLinkTo(&n, id)
		}
		return r.putLink(m.path, n)
	}
	if len(target) > 0 {
		ref, ok := r.tree.add(strings.Join(target, "/"))
		if !ok {
			return errTooMany
		}
		n.place, n.extra = pending, ref
	}
	return r.putLink(m.path, n)
}

func (r *reader) putLink(path []string, n node) error {
	id, err := r.tree.put(path, n)
	if err == nil && n.place == pending {
		r.tree.open = append(r.tree.open, id)
	}
	return err
}
