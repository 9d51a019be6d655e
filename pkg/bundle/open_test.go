package bundle_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/bundle"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// many is a tree whose inventory is longer than a volume.
func many(t testing.TB) tree {
	var text strings.Builder
	for n := range 1000 {
		fmt.Fprintf(&text, "image i%d amd64 base-%d app-%d\ntag team-%d/app-%d v%d i%d\n", n, n%10, n, n%7, n, n, n)
	}
	return write(t, text.String(), plan.Rules{})
}

// TestOpenInventory reads it from wherever it is.
func TestOpenInventory(t *testing.T) {
	for name, tr := range map[string]tree{"b.tar": many(t), "b.tar.zst": write(t, sample, plan.Rules{})} {
		is := tr.bundle(t, nil).Inventory()
		want := encoded(t, is)
		file, _ := tr.save(t, name, nil)
		cut, _ := tr.save(t, name, &bundle.Options{VolumeSize: 1 << 20})
		for _, beside := range []bool{true, false} {
			given := []string{file, cut + ".001"}
			if beside {
				given = append(given, file+".inventory.json", cut+".inventory.json", cut)
			} else if err := errors.Join(os.Remove(file+".inventory.json"), os.Remove(cut+".inventory.json")); err != nil {
				t.Fatal(err)
			}
			for _, path := range given {
				inv, err := bundle.OpenInventory(path)
				if err != nil {
					t.Fatal(err)
				}
				if inv.Digest() != is.Digest() || len(inv.Images) != len(is.Images) {
					t.Errorf("%s: it is another one", path)
				}
			}
		}
		if name != "b.tar" {
			continue
		}
		// No more is read than the first member, which needs the second volume.
		if err := os.Truncate(file, int64(len(want))+512); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(cut+".002", int64(len(want))+512-1<<20); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{file, cut + ".001"} {
			if inv, err := bundle.OpenInventory(path); err != nil || len(inv.Images) != 1000 {
				t.Errorf("%s: %v", path, err)
			}
		}
		if err := os.Truncate(cut+".002", int64(len(want))+512-1<<20-1); err != nil {
			t.Fatal(err)
		}
		if _, err := bundle.OpenInventory(cut + ".001"); err == nil {
			t.Error("a byte less: no error")
		}
		if err := os.Remove(cut + ".002"); err != nil {
			t.Fatal(err)
		}
		if _, err := bundle.OpenInventory(cut + ".001"); err == nil {
			t.Error("without the second volume: no error")
		}
	}
}

// TestOpenInventoryByTar: zstd may have compressed the archive by hand.
func TestOpenInventoryByTar(t *testing.T) {
	tr := write(t, sample, plan.Rules{})
	file, _ := tr.save(t, "b.tar", nil)
	if out, err := exec.Command("zstd", "-q", "-19", "--long=27", file, "-o", file+".other").CombinedOutput(); err != nil {
		t.Skipf("%v: %s", err, out)
	}
	if inv, err := bundle.OpenInventory(file + ".other"); err != nil || len(inv.Images) != len(tr.p.Images) {
		t.Error(err)
	}
}

// TestOpenInventoryRefuses what is none, and never waits.
func TestOpenInventoryRefuses(t *testing.T) {
	tr := write(t, sample, plan.Rules{})
	other := write(t, january, plan.Rules{})
	dir := t.TempDir()
	file, _ := tr.save(t, "b.tar", nil)
	foreign, _ := other.save(t, "b.tar", nil)
	archive := read(t, file)
	for name, content := range map[string][]byte{
		"empty":           nil,
		"short":           archive[:3],
		"a header":        archive[:512],
		"half a header":   archive[:100],
		"text":            bytes.Repeat([]byte("text\n"), 1000),
		"zeros":           make([]byte, 10_000),
		"an object":       []byte("{}"),
		"the layouts":     archive[512+(len(beginning(t, archive))+511)/512*512:],
		"a vast size":     vast(archive),
		"zstd of nothing": {0x28, 0xb5, 0x2f, 0xfd},
		"gzip":            {0x1f, 0x8b, 8, 0, 0, 0, 0, 0},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644), os.Mkdir(filepath.Join(dir, "dir"), 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, name := range append(names(t, dir), "absent") {
		inv, err := bundle.OpenInventory(filepath.Join(dir, name))
		if err == nil || inv != nil || report.Advice(err) == "" || errors.Is(err, fs.ErrNotExist) != (name == "absent") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.Rename(foreign+".inventory.json", file+".inventory.json"); err != nil {
		t.Fatal(err)
	}
	if _, err := bundle.OpenInventory(file); err == nil || !strings.Contains(err.Error(), "another bundle's") {
		t.Errorf("with another's beside: %v", err)
	}
}

// vast is an archive whose first member says that it has 8 GiB.
func vast(archive []byte) []byte {
	header := bytes.Clone(archive[:512])
	copy(header[124:], "77777777777\x00")
	copy(header[148:], "        ")
	sum := 0
	for _, b := range header {
		sum += int(b)
	}
	copy(header[148:], fmt.Sprintf("%06o\x00 ", sum))
	return append(header, archive[512:]...)
}
