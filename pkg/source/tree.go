package source

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
)

// kind is what a node of an archive's tree is.
type kind uint8

const (
	directory kind = iota
	regular
	symlink
	hardLink // of extra, another node; of the name at extra, while place is pending
	fifo
	charDevice
	blockDevice
)

// place is where a regular file's bytes are.
type place uint8

const (
	gone     place = iota // nowhere; at says where in the kept file its sums lie, extra how long they are
	inPlace               // in the archive, from at on
	sparse                // in the archive, in pieces; at is where its headers begin
	kept                  // in the kept file, from at on
	unpacked              // in a file of its own, named by its sum; at and extra as for gone
	pending               // a hard link whose target is not looked up yet
	missing               // a hard link whose target is not in the archive
)

// node is a file or directory of an archive. There may be millions: it holds no
// pointer, and its name is one of names.
type node struct {
	parent, name uint32
	extra        uint32 // see kind and place; a symbolic link's target among names
	perm         uint16
	kind         kind
	place        place
	mtime        int64 // Unix time, nanoseconds
	size         int64 // bytes; of a directory, where in tree.kids its first one is
	at           int64 // see place; of a directory, how many kids it has
}

const (
	nodeChunk = 4 << 10   // nodes
	maxDepth  = 255       // components of a path
	top       = uint32(0) // the directory that all members lie below
)

// maxNodes bounds what an archive may hold: at 52 bytes a node, 1.5 GB.
var maxNodes = 30_000_000

// tree is all that an archive holds. While it is built, slots finds a node by
// its parent and name; once it is sealed, the kids of a directory lie beside
// each other in kids, sorted by name.
type tree struct {
	*names
	nodes [][]node
	count int
	slots []uint32 // nodes by hash; 0, which is nobody's child, is a free slot
	live  int      // slots in use
	kids  []uint32
	open  []uint32 // hard links that are pending
}

func newTree() *tree {
	t := &tree{names: newNames(), slots: make([]uint32, 64)}
	t.create(node{kind: directory, perm: 0o755})
	return t
}

func (t *tree) node(id uint32) *node { return &t.nodes[id/nodeChunk][id%nodeChunk] }

func (t *tree) create(n node) uint32 {
	if t.count%nodeChunk == 0 {
		t.nodes = append(t.nodes, make([]node, nodeChunk))
	}
	id := uint32(t.count)
	t.count++
	*t.node(id) = n
	return id
}

// errTooMany ends the reading of an archive that holds more than is kept track of.
var errTooMany = errors.New("the archive holds too many files and directories, or too many names")

// put places a node at a path, and makes the directories that it lies in. What
// was there before goes, but for a directory that stays one. The only error is
// errTooMany.
func (t *tree) put(path []string, n node) (uint32, error) {
	at := top
	for i, name := range path {
		want := node{kind: directory, perm: 0o755, mtime: n.mtime}
		last := i == len(path)-1
		if last {
			want = n
		}
		id, err := t.step(at, name, want, last)
		if err != nil {
			return 0, err
		}
		at = id
	}
	if len(path) == 0 && n.kind == directory {
		t.node(top).perm, t.node(top).mtime = n.perm, n.mtime
	}
	return at, nil
}

// step gives a directory's child of a name: the one that is there, if it is a
// directory and is to be one, else the node that is wanted.
func (t *tree) step(parent uint32, name string, want node, replace bool) (uint32, error) {
	ref, ok := t.names.add(name)
	if !ok {
		return 0, errTooMany
	}
	slot := t.slot(parent, ref)
	if id := t.slots[slot]; id != 0 {
		there := t.node(id)
		if there.kind == directory && want.kind == directory {
			if replace {
				there.perm, there.mtime = want.perm, want.mtime
			}
			return id, nil
		}
	}
	if t.count >= maxNodes {
		return 0, errTooMany
	}
	want.parent, want.name = parent, ref
	id := t.create(want)
	if t.slots[slot] == 0 {
		t.live++
	}
	t.slots[slot] = id
	if t.live*4 > len(t.slots)*3 {
		t.grow()
	}
	return id, nil
}

// slot is where the node of this parent and name is, or would be.
func (t *tree) slot(parent, name uint32) int {
	mask := len(t.slots) - 1
	for i := mix(parent, name) & mask; ; i = (i + 1) & mask {
		id := t.slots[i]
		if id == 0 {
			return i
		}
		if n := t.node(id); n.parent == parent && n.name == name {
			return i
		}
	}
}

func mix(parent, name uint32) int {
	h := (uint64(parent)<<32 | uint64(name)) * 0x9e3779b97f4a7c15
	return int((h ^ h>>29) >> 3)
}

func (t *tree) grow() {
	old := t.slots
	t.slots = make([]uint32, 2*len(old))
	for _, id := range old {
		if id != 0 {
			n := t.node(id)
			t.slots[t.slot(n.parent, n.name)] = id
		}
	}
}

// lookUp finds a path while the tree is built. Links are not followed.
func (t *tree) lookUp(path []string) (uint32, bool) {
	at := top
	for _, name := range path {
		ref, ok := t.names.find(name)
		if !ok {
			return 0, false
		}
		at = t.slots[t.slot(at, ref)]
		if at == top {
			return 0, false
		}
	}
	return at, true
}

// seal sorts the tree, once everything is in it: the kids of each directory are
// counted, given a place in kids, and put there.
func (t *tree) seal() {
	t.names.seal()
	for _, id := range t.slots {
		if id != 0 {
			t.node(t.node(id).parent).at++
		}
	}
	t.kids = make([]uint32, t.live)
	next := int64(0)
	for id := range uint32(t.count) {
		if n := t.node(id); n.kind == directory {
			n.size = next
			next += n.at
			n.at = 0
		}
	}
	for _, id := range t.slots {
		if id != 0 {
			dir := t.node(t.node(id).parent)
			t.kids[dir.size+dir.at] = id
			dir.at++
		}
	}
	t.slots = nil
	for id := range uint32(t.count) {
		if t.node(id).kind == directory {
			slices.SortFunc(t.kidsOf(id), t.compareNames)
		}
	}
	t.closeLinks()
}

func (t *tree) compareNames(a, b uint32) int {
	return t.held(t.node(a).name).compare(t.held(t.node(b).name))
}

// kidsOf gives a directory's files and directories, by name; of all else, none.
func (t *tree) kidsOf(id uint32) []uint32 {
	n := t.node(id)
	if n.kind != directory {
		return nil
	}
	return t.kids[n.size : n.size+n.at]
}

// child finds a name in a directory of a sealed tree.
func (t *tree) child(dir uint32, name string) (uint32, bool) {
	kids := t.kidsOf(dir)
	var buffer [256]byte
	want := hold(name, buffer[:])
	low, high := 0, len(kids)
	for low < high {
		middle := (low + high) / 2
		switch c := t.held(t.node(kids[middle]).name).compare(want); {
		case c == 0:
			return kids[middle], true
		case c < 0:
			low = middle + 1
		default:
			high = middle
		}
	}
	return 0, false
}

// path writes a node's path below another one, with slashes; "." for itself.
func (t *tree) path(id, below uint32) string {
	var parts []string
	for ; id != below && id != top; id = t.node(id).parent {
		parts = append(parts, t.get(t.node(id).name))
	}
	if len(parts) == 0 {
		return "."
	}
	slices.Reverse(parts)
	return strings.Join(parts, "/")
}

// holds tells whether a node lies below another one, or is it.
func (t *tree) holds(above, id uint32) bool {
	for ; id != above; id = t.node(id).parent {
		if id == top {
			return false
		}
	}
	return true
}

// listed tells whether a node can be found from the top: it, or a directory that
// it lies in, may have been replaced by one of the same name.
func (t *tree) listed(id uint32) bool {
	for ; id != top; id = t.node(id).parent {
		n := t.node(id)
		if there, ok := t.child(n.parent, t.get(n.name)); !ok || there != id {
			return false
		}
	}
	return true
}

func (k kind) mode() fs.FileMode {
	switch k {
	case directory:
		return fs.ModeDir
	case symlink:
		return fs.ModeSymlink
	case fifo:
		return fs.ModeNamedPipe
	case charDevice:
		return fs.ModeDevice | fs.ModeCharDevice
	case blockDevice:
		return fs.ModeDevice
	default:
		return 0
	}
}
