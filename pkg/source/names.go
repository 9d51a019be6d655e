package source

import (
	"bytes"
	"encoding/hex"
	"hash/maphash"
)

// names holds each name once, whatever the number of files that have it: most
// files of a registry's storage are called link or data, and lie in directories
// called by the same digests again and again. A name is known by a reference;
// that of the empty name is 0.
//
// A name of 64 hexadecimal digits, as most of the others are, is held as the 32
// bytes that it stands for, which sort as the digits do.
type names struct {
	chunks [][]byte // of names: two bytes for the length, and the packed bit, and then the name
	used   int      // bytes of the last chunk
	slots  []uint32 // references, by hash; 0 is a free slot
	count  int
	seed   maphash.Seed
	buffer [maxName]byte // for add and find, which one goroutine calls
}

const (
	nameChunk = 64 << 10 // bytes; no name crosses the border of two
	maxName   = 16 << 10 // bytes of a name, and of a path
	maxChunks = 32 << 10 // of names: 2 GiB
	packedBit = 1 << 15  // of a length
	sumDigits = 64
)

func newNames() *names {
	n := &names{slots: make([]uint32, 64), seed: maphash.MakeSeed()}
	n.store(held{})
	return n
}

// held is a name as it is held.
type held struct {
	bytes  []byte
	packed bool
}

// hold gives the form that a name is held in. It lies in the buffer where that is
// large enough.
func hold(name string, buffer []byte) held {
	h := held{bytes: append(buffer[:0], name...)}
	if isHex(name, sumDigits) {
		n, err := hex.Decode(h.bytes, h.bytes) // which may lie in one another
		h = held{h.bytes[:n], err == nil}
	}
	return h
}

func (n *names) held(ref uint32) held {
	b := n.chunks[ref/nameChunk][ref%nameChunk:]
	size := int(b[0]) | int(b[1])<<8
	return held{b[2 : 2+size&^packedBit], size&packedBit != 0}
}

// plain gives the bytes of the name itself. They may lie in the buffer.
func (h held) plain(buffer *[sumDigits]byte) []byte {
	if !h.packed {
		return h.bytes
	}
	return buffer[:hex.Encode(buffer[:], h.bytes)]
}

// get gives a name.
func (n *names) get(ref uint32) string {
	var buffer [sumDigits]byte
	return string(n.held(ref).plain(&buffer))
}

// compare orders two names by their bytes.
func (h held) compare(o held) int {
	if h.packed == o.packed {
		return bytes.Compare(h.bytes, o.bytes)
	}
	var a, b [sumDigits]byte
	return bytes.Compare(h.plain(&a), o.plain(&b))
}

// add gives the reference of a name, and false where there is no more room for
// names or this one is too long.
func (n *names) add(name string) (uint32, bool) {
	h := hold(name, n.buffer[:])
	slot, ref := n.look(h)
	switch {
	case name == "":
		return 0, true
	case ref != 0:
		return ref, true
	case len(name) > maxName:
		return 0, false
	}
	ref, ok := n.store(h)
	if !ok {
		return 0, false
	}
	n.slots[slot] = ref
	n.count++
	if n.count*4 > len(n.slots)*3 {
		n.grow()
	}
	return ref, true
}

// find is add for names that are there already.
func (n *names) find(name string) (uint32, bool) {
	_, ref := n.look(hold(name, n.buffer[:]))
	return ref, ref != 0 || name == ""
}

// look gives a name's slot and what is in it: its reference, or 0.
func (n *names) look(h held) (slot int, ref uint32) {
	mask := len(n.slots) - 1
	for i := n.hash(h) & mask; ; i = (i + 1) & mask {
		ref := n.slots[i]
		if ref == 0 {
			return i, 0
		}
		if there := n.held(ref); there.packed == h.packed && bytes.Equal(there.bytes, h.bytes) {
			return i, ref
		}
	}
}

func (n *names) hash(h held) int { return int(maphash.Bytes(n.seed, h.bytes) >> 1) }

func (n *names) store(h held) (uint32, bool) {
	if len(n.chunks) == 0 || n.used+2+len(h.bytes) > nameChunk {
		if len(n.chunks) == maxChunks {
			return 0, false
		}
		n.chunks = append(n.chunks, make([]byte, nameChunk))
		n.used = 0
	}
	last := len(n.chunks) - 1
	ref := uint32(last*nameChunk + n.used)
	b := n.chunks[last][n.used:]
	size := len(h.bytes)
	if h.packed {
		size |= packedBit
	}
	b[0], b[1] = byte(size), byte(size>>8)
	n.used += 2 + copy(b[2:], h.bytes)
	return ref, true
}

func (n *names) grow() {
	old := n.slots
	n.slots = make([]uint32, 2*len(old))
	mask := len(n.slots) - 1
	for _, ref := range old {
		if ref == 0 {
			continue
		}
		i := n.hash(n.held(ref)) & mask
		for n.slots[i] != 0 {
			i = (i + 1) & mask
		}
		n.slots[i] = ref
	}
}

// seal gives up what only add and find need.
func (n *names) seal() { n.slots = nil }
