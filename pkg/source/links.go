package source

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"syscall"
)

// maxLinks is how many links are followed for one name, as in Linux.
const maxLinks = 40

var (
	errLeadsOut = errors.New("a symbolic link that leads out of the archive, which is not followed")
	errNoTarget = errors.New("a hard link to a file that the archive does not hold, or that was not kept")
)

// closeLinks looks up the hard links whose targets came later than they did.
func (t *tree) closeLinks() {
	for _, id := range t.open {
		t.closeLink(t.node(id))
	}
	t.open = nil
}

func (t *tree) closeLink(link *node) {
	target := t.get(link.extra)
	for range maxLinks {
		id, ok := t.walkDown(top, target)
		if !ok {
			break
		}
		n := t.node(id)
		if n.kind == hardLink && n.place == pending {
			target = t.get(n.extra)
			continue
		}
		t.hardLinkTo(link, id)
		return
	}
	link.place = missing
}

// hardLinkTo makes a node a name of another one, which is never a hard link itself.
func (t *tree) hardLinkTo(link *node, target uint32) {
	base, err := t.base(target)
	if err != nil || t.node(base).kind == directory || t.node(base).passedBy() {
		link.place = missing
		return
	}
	link.extra, link.place = base, gone
}

// passedBy tells of a file that nothing is known of but its size: it was held to
// be of no use.
func (n *node) passedBy() bool {
	return n.kind == regular && n.place == gone && n.extra == 0 && n.size > 0
}

// walkDown finds a path in a sealed tree. Links are not followed.
func (t *tree) walkDown(at uint32, path string) (uint32, bool) {
	for name := range strings.SplitSeq(path, "/") {
		id, ok := t.child(at, name)
		if !ok {
			return 0, false
		}
		at = id
	}
	return at, true
}

// base is the file that a hard link is a name of; any other node is its own.
func (t *tree) base(id uint32) (uint32, error) {
	n := t.node(id)
	if n.kind != hardLink {
		return id, nil
	}
	if n.place == missing || n.place == pending {
		return 0, errNoTarget
	}
	return n.extra, nil
}

// resolve finds a name below a directory, as a file system would: links on the
// way are followed, and the last one too if that is asked for. Errors are those
// of os.Stat, errLeadsOut and errNoTarget.
//
// A link to a directory that the name already went through is ELOOP, though a
// file system would go round: nobody who walks the tree is to do so for ever.
func (t *tree) resolve(root uint32, name string, follow bool) (uint32, error) {
	if name == "." {
		return root, nil
	}
	at := root
	var trail []uint32
	steps := 0
	for rest := name; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		trail = append(trail, at)
		id, err := t.enter(at, part)
		if err != nil {
			return 0, err
		}
		if rest != "" || follow {
			to, err := t.follow(id, &steps)
			if err != nil {
				return 0, err
			}
			if to != id && (slices.Contains(trail, to) || t.holds(to, root)) {
				return 0, syscall.ELOOP
			}
			id = to
		}
		at = id
	}
	return at, nil
}

// enter finds a directory's child.
func (t *tree) enter(dir uint32, name string) (uint32, error) {
	if t.node(dir).kind != directory {
		return 0, syscall.ENOTDIR
	}
	id, ok := t.child(dir, name)
	if !ok {
		return 0, fs.ErrNotExist
	}
	return id, nil
}

// follow gives what a node leads to in the end: a file or a directory, never a link.
func (t *tree) follow(id uint32, steps *int) (uint32, error) {
	base, err := t.base(id)
	if err != nil {
		return 0, err
	}
	n := t.node(base)
	if n.kind != symlink {
		return base, nil
	}
	if *steps++; *steps > maxLinks {
		return 0, syscall.ELOOP
	}
	// A hard link to a symbolic link leads on from where it lies itself.
	return t.lead(t.node(id).parent, t.get(n.extra), steps)
}

// lead follows a link's target from the directory that the link lies in.
func (t *tree) lead(dir uint32, target string, steps *int) (uint32, error) {
	if strings.HasPrefix(target, "/") {
		return 0, errLeadsOut
	}
	if target == "" {
		return 0, fs.ErrNotExist
	}
	at := dir
	for part := range strings.SplitSeq(target, "/") {
		if t.node(at).kind != directory {
			return 0, syscall.ENOTDIR
		}
		switch part {
		case "", ".":
			continue
		case "..":
			if at == top {
				return 0, errLeadsOut
			}
			at = t.node(at).parent
			continue
		}
		id, err := t.enter(at, part)
		if err == nil {
			id, err = t.follow(id, steps)
		}
		if err != nil {
			return 0, err
		}
		at = id
	}
	return at, nil
}
