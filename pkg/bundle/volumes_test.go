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
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/bundle"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// heavy has blobs larger than a volume and ones that lie in several, known by
// their sha256 and by their sha512 alone.
const heavy = `
random h1 3000000
random h2 1048576
random h3 700000
random h4 2500000
image one amd64 h1 h2 small
image two amd64 h3 sha512:h4 h1
schema1 old h3
tag a/app one one
tag a/app two two
tag b/app three two
tag c/app old old
`

// TestVolumes: put together they are the archive, none is too large, and each
// is as its checksum says.
func TestVolumes(t *testing.T) {
	tr := write(t, heavy, plan.Rules{})
	for _, name := range []string{"b.tar", "b.tar.zst"} {
		whole, _ := tr.save(t, name, nil)
		content := read(t, whole)
		for _, size := range []int64{1 << 20, 1<<20 + 1, 2_000_000, 1 << 30, int64(len(content)), int64(len(content)) - 1} {
			file, res := tr.save(t, name, &bundle.Options{VolumeSize: size})
			count := (len(content)-1)/int(size) + 1
			var want []string
			for n := range count {
				volume := fmt.Sprintf("%s.%03d", file, n+1)
				want = append(want, volume, volume+".sha256")
				info, err := os.Stat(volume)
				if err != nil || info.Size() > size || (n < count-1 && info.Size() != size) {
					t.Errorf("%s: %v, error %v", volume, info.Size(), err)
				}
				diff(t, []string(nil), sha256sum(t, volume+".sha256"))
			}
			diff(t, append(want, file+".inventory.json"), res.Files)
			diff(t, len(want)+1, len(names(t, filepath.Dir(file))))
			if !bytes.Equal(content, joined(t, file)) {
				t.Errorf("%s in volumes of %d bytes is another one", name, size)
			}
			diff(t, int64(len(content)), res.Bytes)
		}
	}
}

// TestVolumesByHand puts them together as a person would.
func TestVolumesByHand(t *testing.T) {
	tr := write(t, heavy, plan.Rules{})
	file, _ := tr.save(t, "b.tar", &bundle.Options{VolumeSize: 1 << 20})
	dir := t.TempDir()
	out, err := exec.Command("sh", "-c", "cat "+file+".??? | tar x -C "+dir).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Fatalf("%v: %s", err, out)
	}
	diff(t, []string(nil), sha256sum(t, filepath.Join(dir, "SHA256SUMS")))
}

// TestOnly: every volume can be made again alone, with the same bytes, and
// without reading what does not lie in it.
func TestOnly(t *testing.T) {
	tr := write(t, heavy, plan.Rules{})
	for _, name := range []string{"b.tar", "b.tar.zst"} {
		file, all := tr.save(t, name, &bundle.Options{VolumeSize: 1 << 20})
		count := (len(all.Files) - 1) / 2
		if count < 6 {
			t.Fatalf("%s has %d volumes", name, count)
		}
		for n := 1; n <= count; n++ {
			volume := fmt.Sprintf("%s.%03d", file, n)
			want := read(t, volume)
			for _, lost := range [][]string{{}, {volume}, {volume, volume + ".sha256"}, {file + ".inventory.json"}} {
				for _, one := range lost {
					if err := os.Rename(one, one+".lost"); err != nil {
						t.Fatal(err)
					}
				}
				src := &faulty{FS: tr.src, opens: map[string]int{}}
				res, err := tr.bundle(t, &bundle.Options{VolumeSize: 1 << 20, Only: n}).WriteFile(t.Context(), src, file)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(want, read(t, volume)) || res.Bytes != int64(len(want)) {
					t.Errorf("%s is another one, with %d bytes", volume, res.Bytes)
				}
				diff(t, []string(nil), sha256sum(t, volume+".sha256"))
				diff(t, []string{volume, volume + ".sha256"}, res.Files)
				if name == "b.tar" && n == 2 && (len(src.opens) != 1 || src.opens[tr.Path("blob:h1")] != 1) {
					t.Errorf("for the second volume, which lies in h1, it opened %v", src.opens)
				}
				if name == "b.tar" && n < count && src.opens[tr.Path("blob:h4")] > 0 && !overlaps(t, file, n, tr.Bytes("h4")) {
					t.Errorf("volume %d: h4 is opened, and does not lie in it", n)
				}
				for _, one := range lost {
					if err := os.Rename(one+".lost", one); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		diff(t, len(all.Files), len(names(t, filepath.Dir(file))))
	}
}

// overlaps tells whether bytes of an archive lie in one of its volumes.
func overlaps(t *testing.T, file string, n int, content []byte) bool {
	at := bytes.Index(joined(t, file), content)
	return at < n<<20 && at+len(content) > (n-1)<<20
}

// TestOnlyChanged: where the source is another one by now, no volume is made
// that would not fit to the others.
func TestOnlyChanged(t *testing.T) {
	tr := write(t, heavy, plan.Rules{})
	file, _ := tr.save(t, "b.tar", &bundle.Options{VolumeSize: 1 << 20})
	before := snapshot(t, filepath.Dir(file))
	remake := func(tr tree, size int64) error {
		_, err := tr.bundle(t, &bundle.Options{VolumeSize: size, Only: 2}).WriteFile(t.Context(), tr.src, file)
		return err
	}
	other := write(t, strings.ReplaceAll(heavy, "h1", "hh"), plan.Rules{})
	more := write(t, heavy+"tag a/app a-new-one one\n", plan.Rules{})
	for name, err := range map[string]error{"other": remake(other, 1<<20), "more": remake(more, 1<<20), "another size": remake(tr, 1<<21)} {
		if err == nil || !strings.Contains(report.Advice(err), "anew") {
			t.Errorf("%s: %v", name, err)
		}
	}
	flip(t, tr.file("h1"))
	if err := remake(tr, 1<<20); err == nil {
		t.Error("damaged: no error")
	}
	if err := os.WriteFile(file+".inventory.json", []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := remake(tr, 1<<20); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("with half an inventory beside: %v", err)
	}
	after := snapshot(t, filepath.Dir(file))
	delete(before, "b.tar.inventory.json")
	delete(after, "b.tar.inventory.json")
	diff(t, before, after)
}

// TestOnlyDamaged: a volume is made again just as it was, where it has zeros for
// what is not there.
func TestOnlyDamaged(t *testing.T) {
	tr := write(t, heavy, plan.Rules{})
	none(t, tr.file("h1"))
	flip(t, tr.file("h4"))
	file, all := tr.save(t, "b.tar", &bundle.Options{VolumeSize: 1 << 20})
	if len(statuses(all)) != 3 {
		t.Errorf("%q", statuses(all))
	}
	for n := 1; n <= (len(all.Files)-1)/2; n++ {
		if _, err := tr.bundle(t, &bundle.Options{VolumeSize: 1 << 20, Only: n}).WriteFile(t.Context(), tr.src, file); err != nil {
			t.Errorf("volume %d: %v", n, err)
		}
	}
}
