package source

import (
	"bytes"
	"context"
	"io"
	"os"
	"testing"
)

func init() { flush = func(string) error { return nil } }

// SyncAll writes out the file system of a directory.
func SyncAll(dir string) error { return syncAll(dir) }

// LimitNodes puts a lower limit in the place of maxNodes, for a test.
func LimitNodes(t *testing.T, most int) {
	old := maxNodes
	maxNodes = most
	t.Cleanup(func() { maxNodes = old })
}

// LimitDisk makes all disks seem to have so much room, for a test.
func LimitDisk(t *testing.T, free func() (free, size int64)) {
	old := diskFree
	diskFree = func(string) (int64, int64, error) {
		f, s := free()
		return f, s, nil
	}
	t.Cleanup(func() { diskFree = old })
}

// FindParts gives the files that an archive lies in.
func FindParts(location string) ([]string, error) { return findParts(location) }

// Member is what the reader of tars says of one.
type Member struct {
	Name, Target string
	Seconds      int64
	Content      string // at most 1 MiB
}

// Members reads a tar's members, before they are put into a tree.
func Members(content []byte) (all []Member, damages int) {
	tape := newPlainTape(bytes.NewReader(content), int64(len(content)))
	told := &told{}
	r := &reader{tape: tape, tree: newTree(), told: told}
	for {
		h, err := r.next()
		if err == errBroken {
			if r.resume(context.Background()) != nil {
				break
			}
		}
		if tape.err != nil {
			break
		}
		if err != nil {
			continue
		}
		m := Member{Name: h.name, Target: h.target, Seconds: h.mtime / 1e9}
		n := node{kind: regular}
		from := &body{tape: tape, left: r.stored(h)}
		switch h.flag {
		case '1', '2', '3', '4', '5', '6', 'V', 'M', 'N', 'A', 'E', 'I', 'D':
		default:
			take := leaver{bytes.NewReader(content)}
			member := member{header: h}
			if h.sparse {
				err = take.sparseFile(context.Background(), &member, from, &n)
			} else {
				err = take.file(context.Background(), member, from, &n)
			}
			if err != nil {
				break
			}
			a := &archive{tree: newTree(), plain: bytes.NewReader(content)}
			id := a.tree.create(n)
			if c, err := a.content(id); err == nil {
				b, _ := io.ReadAll(io.LimitReader(c, 1<<20))
				m.Content = string(b)
			}
			m.Name = h.name
		}
		from.pass()
		tape.skip(padded(tape.at) - tape.at)
		all = append(all, m)
	}
	return all, len(told.damages)
}

// Unnamed makes a temporary file where the system has none without a name.
func Unnamed() (*os.File, error) { return unnamed() }

// NoRoomLeft tells a full disk from other trouble.
func NoRoomLeft(err error) error { return noRoomLeft(err) }
