package source_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

// blob is a member as a registry keeps a blob, under the digest that it has.
func blob(content string) []byte { return blobAs(digest.FromString(content), content) }

func blobAs(d digest.Digest, content string) []byte {
	return file(v2+blobName(d), content)
}

func blobName(d digest.Digest) string {
	return "blobs/sha256/" + d.Encoded()[:2] + "/" + d.Encoded() + "/data"
}

// places gives inode and time of every file that was unpacked.
func places(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for path := range filesBelow(t, dir) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(path)] = fmt.Sprint(info.Sys().(*syscall.Stat_t).Ino, info.ModTime())
	}
	return all
}

// TestWrittenOnce: what is in an archive often is on disk once, junk never.
func TestWrittenOnce(t *testing.T) {
	big := strings.Repeat("big ", 3000)
	name := digest.FromString(big).Encoded()
	content := tape(
		file(v2+"repositories/a/_uploads/1/data", big+"half"), file("home/someone/holiday.jpg", big+"private"), file("tmp/blobs.txt", big+"text"),
		blob(big), blob(big), blob("small"), blob(""), file(v2+"blobs/sha256/other/copy", big), file("lib/app:v1/"+name, big),
		link("lib/app:v1/"+digest.FromString("small").Encoded(), v2+blobName(digest.FromString("small"))), file(tagV1, "sha256:x"), file(v2+"repositories/large", big+"kept"),
	)
	unpack := t.TempDir()
	src := openWith(t, save(t, "a.tgz", gzipped(t, content)), &source.Options{Unpack: unpack})
	var want []string
	for _, c := range []string{big, "small", "", big + "kept"} {
		want = append(want, digest.FromString(c).Encoded())
	}
	got := places(t, unpack)
	for _, w := range want {
		if got[w] == "" {
			t.Errorf("%s is not there", w)
		}
		delete(got, w)
	}
	if len(got) > 0 {
		t.Errorf("there are more: %v", got)
	}
	a, _ := src.(source.LocalFS).LocalPath(blobName(digest.FromString(big)))
	b, _ := src.(source.LocalFS).LocalPath("blobs/sha256/other/copy")
	if a == "" || a != b {
		t.Errorf("%s, %s", a, b)
	}
	if got := read(src, "repositories/a/_uploads/1/data"); got != "error: its bytes were not kept" {
		t.Errorf("%q", got)
	}
}

// TestHardLinkToJunk: the first name of a file may be one that is not kept.
func TestHardLinkToJunk(t *testing.T) {
	content := tape(file("junk/file", "x"), file("junk/empty", ""), file(tagV1, "x"), link(v2+"repositories/hard", "junk/file"), link(v2+"repositories/empty", "junk/empty"))
	for name, src := range map[string]source.Source{
		"looked at": openWith(t, save(t, "a.tgz", gzipped(t, content)), nil),
		"unpacked":  openWith(t, save(t, "a.tgz", gzipped(t, content)), &source.Options{Unpack: t.TempDir()}),
	} {
		if _, err := src.Stat("repositories/hard"); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff([]string{"archive-member repositories/hard"}, told(src)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if got := read(src, "repositories/empty"); got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := read(openWith(t, save(t, "a.tar", content), nil), "repositories/hard"); got != "x" {
		t.Errorf("in place: %q", got)
	}
}

// TestResume: what an interrupted run unpacked is not written again, once it is
// seen to be whole.
func TestResume(t *testing.T) {
	var all [][]byte
	var names []string
	for i := range 8 {
		content := fmt.Sprint(i) + string(noise(30_000*(i+1)))
		all = append(all, blob(content))
		names = append(names, digest.FromString(content).Encoded())
	}
	all = append(all, file(tagV1, "x"))
	packed := zstded(t, tape(all...))
	unpack := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	half := readerFunc(func(p []byte) (int, error) {
		// Files come and go meanwhile, and a test must not fail in another goroutine.
		if whole, _ := filepath.Glob(filepath.Join(unpack, "sha256/*/*")); len(whole) > 2 {
			cancel()
			return 0, io.ErrClosedPipe
		}
		n := min(len(p), 10_000, len(packed))
		copy(p, packed[:n])
		packed = packed[n:]
		return n, nil
	})
	whole := bytes.Clone(packed)
	if _, err := source.Open(ctx, "-", &source.Options{Stdin: half, Unpack: unpack}); !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted: %v", err)
	}
	if err := os.MkdirAll(filepath.Join(unpack, "partial"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(unpack, "partial/7"), []byte("left over"), 0o644); err != nil {
		t.Fatal(err)
	}
	before := places(t, unpack)
	for name := range before {
		if !slices.Contains(names, name) && name != "7" {
			t.Errorf("a part of a file was left as %s", name)
		}
	}
	// A power cut leaves one without its bytes, another with a part of them.
	damaged := []string{names[0], names[1]}
	for i, name := range damaged {
		path := filepath.Join(unpack, "sha256", name[:2], name)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Truncate(path, int64(i)), os.Truncate(path, info.Size())); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(10 * time.Millisecond) // so that a file written anew has another time
	src := openWith(t, "-", &source.Options{Stdin: bytes.NewReader(whole), Unpack: unpack})
	after := places(t, unpack)
	if len(after) != len(names) {
		t.Errorf("%d files: %v", len(after), after)
	}
	again := 0
	for _, name := range names {
		if read(src, "blobs/sha256/"+name[:2]+"/"+name+"/data") == "" || digest.FromString(read(src, "blobs/sha256/"+name[:2]+"/"+name+"/data")).Encoded() != name {
			t.Errorf("%s has not its bytes", name)
		}
		if before[name] != "" && before[name] == after[name] {
			again++
		}
	}
	if again < 1 || after[names[0]] == before[names[0]] || after[names[1]] == before[names[1]] {
		t.Errorf("%d of %d were not written again: %v, %v", again, len(before), before, after)
	}
	if _, err := os.Stat(filepath.Join(unpack, "partial")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was partial: %v", err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestStatedDigest: a name that states a digest which the bytes do not have is
// not believed, whether a file of that digest is there or not.
func TestStatedDigest(t *testing.T) {
	right, wrong := strings.Repeat("right", 2000), strings.Repeat("wrong", 2000)
	d := digest.FromString(right)
	name := blobName(d)
	content := gzipped(t, tape(blobAs(d, wrong), file(tagV1, "x")))
	unpack := t.TempDir()
	src := openWith(t, save(t, "a.tgz", content), &source.Options{Unpack: unpack})
	if read(src, name) != wrong {
		t.Error("the archive's own bytes are not there")
	}
	if got, ok := src.(source.DigestFS).Digest(name, digest.SHA256); !ok || got != digest.FromString(wrong) {
		t.Errorf("%s", got)
	}

	openWith(t, save(t, "b.tgz", gzipped(t, tape(blob(right), file(tagV1, "x")))), &source.Options{Unpack: unpack})
	src = openWith(t, save(t, "a.tgz", content), &source.Options{Unpack: unpack})
	if _, err := src.Open(name); !errors.Is(err, source.ErrNotKept) {
		t.Errorf("beside the right one: %v", err)
	}
	if info, err := src.Stat(name); err != nil || info.Size() != int64(len(wrong)) {
		t.Errorf("%v, %v", info, err)
	}
	if got, ok := src.(source.DigestFS).Digest(name, digest.SHA256); !ok || got != digest.FromString(wrong) {
		t.Errorf("%s", got)
	}
	if path, ok := src.(source.LocalFS).LocalPath(name); ok {
		t.Errorf("it lies at %s", path)
	}
}

// TestNoRoom: unpacking stops before the disk is full, and goes on where it
// stopped once there is room.
func TestNoRoom(t *testing.T) {
	first, second := string(noise(400_000)), strings.Repeat("y", 500_000)
	packed := gzipped(t, tape(blob(first), blob(second), file(tagV1, "x"), append(block(v2+"blobs/sha256/huge", '0', 1<<50, ""), noise(5000)...)))
	unpack := t.TempDir()
	free, size := int64(65<<20), int64(10<<30)
	source.LimitDisk(t, func() (int64, int64) { return free, size })
	for _, c := range []struct {
		free, size int64
		fits       int
		need       string
	}{
		{100 << 10, 10 << 30, 0, "390.6 KiB"},
		{200 << 20, 100 << 30, 0, "1.0 GiB are to stay"},
		{65 << 20, 1 << 20, 2, "1.0 PiB"},
	} {
		free, size = c.free, c.size
		_, err := source.Open(context.Background(), save(t, "a.tgz", packed), &source.Options{Unpack: unpack})
		if !errors.Is(err, source.ErrNoRoom) || !strings.Contains(err.Error(), c.need) || !strings.Contains(report.Advice(err), "--layouts") {
			t.Errorf("%d free: %v; %s", c.free, err, report.Advice(err))
		}
		if got := len(places(t, unpack)); got != c.fits {
			t.Errorf("%d free: %d files", c.free, got)
		}
	}
}

// TestNoRoomAfterAll: within a file, room is looked for again.
func TestNoRoomAfterAll(t *testing.T) {
	looks := 0
	source.LimitDisk(t, func() (int64, int64) {
		if looks++; looks > 2 {
			return 1 << 20, 1 << 30
		}
		return 1 << 40, 1 << 41
	})
	zeros := io.MultiReader(bytes.NewReader(block(v2+"blobs/sha256/zeros", '0', 300<<20, "")), io.LimitReader(zeroReader{}, 300<<20), bytes.NewReader(ending))
	unpack := t.TempDir()
	_, err := source.Open(context.Background(), "-", &source.Options{Stdin: zeros, Unpack: unpack})
	if !errors.Is(err, source.ErrNoRoom) {
		t.Errorf("%v", err)
	}
	if n := len(filesBelow(t, unpack)); n != 0 {
		t.Errorf("%d files are left", n)
	}
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestLookingLeavesNothing: where nothing is unpacked, no file stays, not even
// while the source is open.
func TestLookingLeavesNothing(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	content := gzipped(t, tape(file(tagV1, "x"), blob("{}"+strings.Repeat(" ", 100_000)), blob(string(noise(50_000)))))
	src := openWith(t, save(t, "a.tgz", content), nil)
	if n := len(filesBelow(t, tmp)); n != 0 {
		t.Errorf("%d files are in the temporary directory", n)
	}
	if got := read(src, blobName(digest.FromString("{}"+strings.Repeat(" ", 100_000)))); len(got) != 100_002 {
		t.Errorf("the JSON has %d bytes", len(got))
	}
	t.Setenv("TMPDIR", filepath.Join(tmp, "absent"))
	if _, err := source.Open(context.Background(), save(t, "a.tgz", content), nil); err == nil || !strings.Contains(report.Advice(err), "TMPDIR") {
		t.Errorf("%v", err)
	}
}

// TestWhatIsKept: JSON up to a size, everything small, and inventories.
func TestWhatIsKept(t *testing.T) {
	kept := func(content string) string { return blobName(digest.FromString(content)) }
	manifest := "\n\t {" + strings.Repeat("\"layers\"", 10_000)
	huge := "{" + strings.Repeat(" ", 32<<20)
	layer := "\x1f\x8b" + strings.Repeat("layer", 1000)
	small := strings.Repeat("s", 4096)
	content := zstded(t, tape(blob(manifest), blob(huge), blob(layer), blob(small), file("drydock-inventory.json", huge+" "), file(tagV1, "x")))
	src := openWith(t, save(t, "a.tar.zst", content), nil)
	for name, want := range map[string]bool{kept(manifest): true, kept(huge): false, kept(layer): false, kept(small): true} {
		if got := read(src, name); (got != "error: its bytes were not kept") != want {
			t.Errorf("%s: %.40q", name, got)
		}
	}
	layouts := openWith(t, save(t, "b.tar.zst", zstded(t, tape(file("drydock-inventory.json", huge), file("app:v1/manifest.json", "{}"), file("app:v1/version", "1")))), nil)
	if got := read(layouts, "drydock-inventory.json"); got != huge {
		t.Errorf("the inventory: %.40q", got)
	}
}

// TestUnpackRefused: a directory that cannot be made.
func TestUnpackRefused(t *testing.T) {
	unpack := filepath.Join(save(t, "file", nil), "below")
	_, err := source.Open(context.Background(), save(t, "a.tgz", gzipped(t, tape(file(tagV1, "x")))), &source.Options{Unpack: unpack})
	if err == nil || report.Advice(err) == "" {
		t.Errorf("%v", err)
	}
}

func TestSyncAll(t *testing.T) {
	if err := source.SyncAll(t.TempDir()); err != nil {
		t.Error(err)
	}
}

// TestOffer: a file that another run's layouts have is not written again, if it
// is what its name says.
func TestOffer(t *testing.T) {
	good, bad := strings.Repeat("good", 5000), strings.Repeat("bad!", 5000)
	unpack, layouts := t.TempDir(), t.TempDir()
	for name, content := range map[string]string{digest.FromString(good).Encoded(): good, digest.FromString(bad).Encoded(): strings.ToUpper(bad)} {
		path := filepath.Join(layouts, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := source.Offer(unpack, name, path); err != nil {
				t.Error(err)
			}
		}
	}
	before := places(t, layouts)
	src := openWith(t, save(t, "a.tgz", gzipped(t, tape(blob(good), blob(bad), file(tagV1, "x")))), &source.Options{Unpack: unpack})
	for _, content := range []string{good, bad} {
		if read(src, blobName(digest.FromString(content))) != content {
			t.Errorf("%.4s has other bytes", content)
		}
	}
	after := places(t, unpack)
	if name := digest.FromString(good).Encoded(); before[name] != after[name] {
		t.Error("what is good was written again")
	}
	if name := digest.FromString(bad).Encoded(); before[name] == after[name] {
		t.Error("what is bad was not written again")
	}
	if diff := cmp.Diff(before, places(t, layouts)); diff != "" {
		t.Errorf("the layouts: %s", diff)
	}
	for _, sum := range []string{"", "../x", strings.Repeat("g", 64)} {
		if err := source.Offer(unpack, sum, filepath.Join(layouts, "x")); err == nil {
			t.Errorf("%q is taken", sum)
		}
	}
	if err := source.Offer(unpack, hex, filepath.Join(layouts, "absent")); err == nil {
		t.Error("what is absent is taken")
	}
}

// TestSHA512: a blob whose name states a sha512 has it known, too.
func TestSHA512(t *testing.T) {
	content := strings.Repeat("long", 3000)
	d := digest.SHA512.FromString(content)
	names := []string{v2 + "blobs/sha512/" + d.Encoded()[:2] + "/" + d.Encoded() + "/data", v2 + "repositories/sha512-" + d.Encoded()}
	src := openWith(t, save(t, "a.tgz", gzipped(t, tape(
		pax(file("x", content), "path="+names[0]), pax(file("x", content), "path="+names[1]), file(tagV1, "x"),
	))), &source.Options{Unpack: t.TempDir()})
	for _, name := range names {
		if got, ok := src.(source.DigestFS).Digest(strings.TrimPrefix(name, v2), digest.SHA512); !ok || got != d {
			t.Errorf("%s: %s", name, got)
		}
		if read(src, strings.TrimPrefix(name, v2)) != content {
			t.Errorf("%s has other bytes", name)
		}
	}
}

// TestNoRoomToKeep: what is kept has to find room, too.
func TestNoRoomToKeep(t *testing.T) {
	source.LimitDisk(t, func() (int64, int64) { return 65 << 20, 1 << 30 })
	manifest := "{" + strings.Repeat(" ", 25<<20)
	content := zstded(t, tape(file(tagV1, "x"), file(v2+"blobs/a", manifest), file(v2+"blobs/b", manifest), file(v2+"blobs/c", manifest), file(v2+"blobs/d", manifest)))
	_, err := source.Open(context.Background(), save(t, "a.tar.zst", content), nil)
	if !errors.Is(err, source.ErrNoRoom) || !strings.Contains(report.Advice(err), "TMPDIR") {
		t.Errorf("%v; %s", err, report.Advice(err))
	}
}

func TestNoRoomLeft(t *testing.T) {
	for err, full := range map[error]bool{
		&os.PathError{Op: "write", Err: syscall.ENOSPC}: true, &os.PathError{Op: "write", Err: syscall.EDQUOT}: true, &os.PathError{Op: "write", Err: syscall.EIO}: false,
	} {
		if got := source.NoRoomLeft(err); errors.Is(got, source.ErrNoRoom) != full || !errors.Is(got, err) {
			t.Errorf("%v: %v", err, got)
		}
	}
}

func TestUnnamed(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	f, err := source.Unnamed()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n := len(filesBelow(t, os.TempDir())); n != 0 {
		t.Errorf("%d files have a name", n)
	}
	if _, err := f.WriteString("x"); err != nil {
		t.Error(err)
	}
}
