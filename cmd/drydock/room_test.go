package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

// TestUnpackedOnce looks at what a compressed archive takes on the disk while it
// is converted: never more than its unpacked size, and a hundredth of that.
func TestUnpackedOnce(t *testing.T) {
	root := filepath.Join(t.TempDir(), "registry")
	writeLarge(t, root)
	archive := pack(t, root, "backup.tar.gz", `tar cf - . | gzip -1 > "$1"`, "gzip")
	unpacked := usedBelow(t, root)
	for _, verb := range []string{"convert", "bundle"} {
		t.Run(verb, func(t *testing.T) {
			dir := t.TempDir()
			to, allowed := filepath.Join(dir, "layouts"), unpacked+unpacked/100
			args := []string{verb, archive, to}
			if verb == "bundle" { // which has its blobs in order, and so a second copy for a time
				to, allowed = filepath.Join(dir, "b.tar"), 2*allowed
				args = []string{verb, archive, to, "--unpack", dir}
			}
			var most atomic.Int64
			done := make(chan struct{})
			go func() {
				defer close(done)
				if r := drydock(t, nil, args...); r.code != exitDone {
					t.Errorf("exit status %d\n%s", r.code, r.stderr)
				}
			}()
			for working := true; working; {
				select {
				case <-done:
					working = false
				case <-time.After(2 * time.Millisecond):
				}
				most.Store(max(most.Load(), usedBelow(t, dir)))
			}
			if got := most.Load(); got > allowed || got < unpacked/2 {
				t.Errorf("%d bytes at most, the unpacked tree has %d", got, unpacked)
			}
		})
	}
}

// writeLarge writes a tree of some 60 MB that hardly compresses.
func writeLarge(t *testing.T, root string) {
	t.Helper()
	text := ""
	for n := range 8 {
		text += fmt.Sprintf("random layer-%d %d\nimage image-%d amd64 layer-%d\ntag app/a%d v%d image-%d\n", n, 7<<20, n, n, n%3, n, n)
	}
	b, err := storagetest.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.WriteTo(root); err != nil {
		t.Fatal(err)
	}
}

// usedBelow is how many bytes the files below a directory take, each inode once.
func usedBelow(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	seen := map[uint64]bool{}
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if inode := info.Sys().(*syscall.Stat_t).Ino; !seen[inode] {
			seen[inode] = true
			bytes += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}
