package bundle

import (
	"archive/tar"
	"bytes"
	"fmt"
	"iter"
	"time"
)

// sumsName is the archive's last member.
const sumsName = "SHA256SUMS"

// block is what a tar is made of, bytes.
const block = 512

// trailer ends a tar.
var trailer = make([]byte, 2*block)

// entry is one member of the archive.
type entry struct {
	name    string
	kind    byte   // archive/tar's flag of the type
	link    string // what a hard link leads to
	size    int64  // bytes
	time    time.Time
	content *content // its bytes, or those that a link leads to in this archive
	text    string   // its bytes, where they are few
}

// summed tells whether SHA256SUMS has a line for it: it is a file whose bytes
// are in this archive.
func (e entry) summed() bool { return e.content != nil || e.text != "" }

// entries gives the archive's members in their order.
func (b *Bundle) entries() iter.Seq[entry] {
	return func(yield func(entry) bool) {
		if !yield(entry{name: InventoryName, kind: tar.TypeReg, size: b.first}) {
			return
		}
		for e := range b.layoutEntries() {
			if !yield(e) {
				return
			}
		}
		yield(entry{name: sumsName, kind: tar.TypeReg, size: b.sums})
	}
}

// layoutEntries gives those of the layouts.
func (b *Bundle) layoutEntries() iter.Seq[entry] {
	return func(yield func(entry) bool) {
		for _, l := range b.layouts {
			if !yield(entry{name: l.name + "/", kind: tar.TypeDir, time: l.time()}) {
				return
			}
			for f := range l.files() {
				if e, ok := b.fileEntry(l, f); ok && !yield(e) {
					return
				}
			}
			version := l.version()
			if !yield(entry{name: l.name + "/version", kind: tar.TypeReg, size: int64(len(version)), text: version}) {
				return
			}
		}
	}
}

// fileEntry is the member for a layout's file. There is none for a file that the
// base has under that very name.
func (b *Bundle) fileEntry(l layout, f file) (entry, bool) {
	e := entry{name: l.name + "/" + f.name, kind: tar.TypeLink}
	if f.blob {
		if blob, _ := b.inventory.Blob(f.digest); blob.LeftOut() {
			e.link = blob.Path
			return e, e.link != e.name
		}
	}
	e.content = b.contents[f.digest]
	if e.link = e.content.first; e.link == e.name {
		e.kind, e.link, e.size = tar.TypeReg, "", e.content.size
	}
	return e, true
}

// header is what stands before the bytes of a member: a block, or some more for
// names, sizes and times that a block does not hold.
func (e entry) header() ([]byte, error) {
	h := tar.Header{Typeflag: e.kind, Name: e.name, Linkname: e.link, Size: e.size, Mode: 0o644, ModTime: e.time}
	if e.kind == tar.TypeDir {
		h.Mode = 0o755
	}
	var b bytes.Buffer
	if err := tar.NewWriter(&b).WriteHeader(&h); err != nil {
		return nil, fmt.Errorf("describing %s: %w", e.name, err)
	}
	return b.Bytes(), nil
}

// isPlain tells whether a block is enough for certain.
func (e entry) isPlain() bool {
	return len(e.name) <= 100 && len(e.link) <= 100 && e.size < 1<<33 && (e.time.IsZero() || e.time.Unix()>>33 == 0)
}

// length is how much of the archive the member takes, bytes.
func (e entry) length() int64 {
	length := int64(block)
	if !e.isPlain() {
		header, err := e.header()
		if err != nil {
			return 0 // writing it says why
		}
		length = int64(len(header))
	}
	return length + e.size + padding(e.size)
}

// padding fills a member's last block.
func padding(size int64) int64 { return -size & (block - 1) }
