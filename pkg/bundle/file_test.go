package bundle_test

import (
	"bytes"
	"context"
	"errors"
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

// TestFile: the archive, its checksum and its inventory, and nothing else.
func TestFile(t *testing.T) {
	tr := write(t, sample, plan.Rules{})
	archive, _ := tr.archive(t, nil)
	for _, name := range []string{"b.tar", "B.TAR", "b.tar.zst", "b.tzst", "B.Tar.Zst", "odd\nname\\.tar"} {
		file, res := tr.save(t, name, nil)
		dir := filepath.Dir(file)
		diff(t, []string{name, name + ".inventory.json", name + ".sha256"}, names(t, dir))
		diff(t, []string{file, file + ".sha256", file + ".inventory.json"}, res.Files)
		diff(t, []string(nil), sha256sum(t, file+".sha256"))
		content := read(t, file)
		diff(t, int64(len(content)), res.Bytes)
		if name[len(name)-1] == 't' && strings.HasSuffix(strings.ToLower(name), "st") {
			content = unzstd(t, file)
		}
		if !bytes.Equal(archive, content) {
			t.Errorf("%q has other bytes than the stream", name)
		}
		diff(t, string(beginning(t, archive)), string(read(t, file+".inventory.json")))
	}
}

func unzstd(t testing.TB, file string) []byte {
	t.Helper()
	cmd := exec.Command("zstd", "-dcq", file)
	if cmd.Err != nil {
		t.Skip("zstd is not installed")
	}
	content, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// TestFileName: what cannot be a bundle's file is refused, with a hint.
func TestFileName(t *testing.T) {
	tr := write(t, january, plan.Rules{})
	dir := t.TempDir()
	for name, opts := range map[string]bundle.Options{
		"b":             {},
		"b.tar.gz":      {},
		"b.zst":         {},
		"b.tar.001":     {},
		"absent/b.tar":  {},
		"small.tar":     {VolumeSize: 1<<20 - 1},
		"negative.tar":  {VolumeSize: -1},
		"only.tar":      {Only: 1},
		"less.tar":      {Only: -1, VolumeSize: 1 << 20},
		"more.tar":      {Only: 2, VolumeSize: 1 << 20},
		"more.tzst":     {Only: 2, VolumeSize: 1 << 20},
		"far.tzst":      {Only: 1 << 50, VolumeSize: 1 << 20},
		"no/b.tar":      {Only: 1, VolumeSize: 1 << 20},
		"directory.tar": {},
	} {
		if name == "directory.tar" {
			if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		_, err := tr.bundle(t, &opts).WriteFile(t.Context(), tr.src, filepath.Join(dir, name))
		if err == nil || (report.Advice(err) == "" && name != "no/b.tar") {
			t.Errorf("%s: %v", name, err)
		}
	}
	diff(t, []string{"directory.tar"}, names(t, dir))
}

// TestFileIsThere: nothing that someone else may need is replaced.
func TestFileIsThere(t *testing.T) {
	tr := write(t, sample, plan.Rules{})
	for _, there := range []string{"b.tar", "b.tar.001", "b.tar.0001", "b.tar.sha256", "b.tar.inventory.json", "b.tar.001.sha256"} {
		for _, size := range []int64{0, 1 << 20} {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, there), []byte("mine"), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := tr.bundle(t, &bundle.Options{VolumeSize: size}).WriteFile(t.Context(), tr.src, filepath.Join(dir, "b.tar"))
			if !errors.Is(err, fs.ErrExist) || report.Advice(err) == "" {
				t.Errorf("%s: %v", there, err)
			}
			diff(t, []string{there}, names(t, dir))
			diff(t, "mine", string(read(t, filepath.Join(dir, there))))
		}
	}
	for _, other := range []string{"b.tar.txt", "bb.tar", "b.tar.01", "b.tar.001.txt", "b.tar.00x", "b.tar.sha512"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, other), []byte("mine"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := tr.bundle(t, nil).WriteFile(t.Context(), tr.src, filepath.Join(dir, "b.tar")); err != nil {
			t.Errorf("%s: %v", other, err)
		}
		diff(t, "mine", string(read(t, filepath.Join(dir, other))))
	}
}

// TestForce: a bundle is replaced by another, with fewer volumes, more, or none.
func TestForce(t *testing.T) {
	big, small := write(t, sample, plan.Rules{}), write(t, january, plan.Rules{})
	dir := t.TempDir()
	file := filepath.Join(dir, "b.tar")
	for _, next := range []struct {
		tree
		size  int64
		files []string
	}{
		{big, 0, []string{"b.tar", "b.tar.inventory.json", "b.tar.sha256"}},
		{small, 0, []string{"b.tar", "b.tar.inventory.json", "b.tar.sha256"}},
		{big, 2 << 20, []string{"b.tar.001", "b.tar.001.sha256", "b.tar.002", "b.tar.002.sha256", "b.tar.inventory.json"}},
		{small, 2 << 20, []string{"b.tar.001", "b.tar.001.sha256", "b.tar.inventory.json"}},
		{small, 0, []string{"b.tar", "b.tar.inventory.json", "b.tar.sha256"}},
	} {
		b := next.bundle(t, &bundle.Options{VolumeSize: next.size, Force: true})
		if _, err := b.WriteFile(t.Context(), next.src, file); err != nil {
			t.Fatal(err)
		}
		diff(t, next.files, names(t, dir))
		want, _ := next.archive(t, nil)
		if !bytes.Equal(want, joined(t, file)) {
			t.Error("other bytes")
		}
		diff(t, string(beginning(t, want)), string(read(t, file+".inventory.json")))
	}
}

// joined is a bundle's stream, from one file or from volumes.
func joined(t testing.TB, file string) []byte {
	t.Helper()
	if _, err := os.Stat(file); err == nil {
		return read(t, file)
	}
	var all []byte
	for _, name := range names(t, filepath.Dir(file)) {
		if number, ok := strings.CutPrefix(name, filepath.Base(file)+"."); ok && strings.Trim(number, "0123456789") == "" {
			all = append(all, read(t, filepath.Join(filepath.Dir(file), name))...)
		}
	}
	return all
}

// TestInterrupted: what a run left that ended at any moment is replaced.
func TestInterrupted(t *testing.T) {
	tr := write(t, sample, plan.Rules{})
	const mark = "b.tar.inventory.json.partial"
	for _, left := range [][]string{
		{"b.tar.partial"},
		{mark},
		{mark, "b.tar.partial"},
		{mark, "b.tar"},
		{mark, "b.tar", "b.tar.sha256.partial"},
		{mark, "b.tar", "b.tar.sha256"},
		{mark, "b.tar.001.partial"},
		{mark, "b.tar.001", "b.tar.001.sha256", "b.tar.002", "b.tar.002.sha256.partial"},
		{mark, "b.tar.001", "b.tar.001.sha256", "b.tar.002", "b.tar.002.sha256", "b.tar.003", "b.tar.003.sha256", "b.tar.1000.partial"},
	} {
		for _, opts := range []*bundle.Options{{}, {VolumeSize: 2 << 20}, {Force: true}} {
			dir := t.TempDir()
			for _, name := range left {
				if err := os.WriteFile(filepath.Join(dir, name), bytes.Repeat([]byte("left over\n"), 10_000), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			file := filepath.Join(dir, "b.tar")
			if _, err := tr.bundle(t, opts).WriteFile(t.Context(), tr.src, file); err != nil {
				t.Fatalf("%q: %v", left, err)
			}
			want, _ := tr.save(t, "b.tar", opts)
			diff(t, names(t, filepath.Dir(want)), names(t, dir))
			for _, name := range names(t, dir) {
				if !bytes.Equal(read(t, filepath.Join(filepath.Dir(want), name)), read(t, filepath.Join(dir, name))) {
					t.Errorf("%q left: %s has other bytes", left, name)
				}
			}
		}
	}
}

// cancelled starts to write a bundle, and cancels that in the middle.
func cancelled(t *testing.T, tr tree, opts bundle.Options, file string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	seen := 0
	opts.Progress = func(report.Progress) {
		if seen++; seen == 3 {
			cancel()
		}
	}
	if _, err := tr.bundle(t, &opts).WriteFile(ctx, tr.src, file); !errors.Is(err, context.Canceled) {
		t.Errorf("%s: %v", file, err)
	}
}

// TestAbandoned: a run that ends early leaves nothing, least of all a bundle's name.
func TestAbandoned(t *testing.T) {
	tr := write(t, heavy, plan.Rules{})
	for _, name := range []string{"b.tar", "b.tar.zst"} {
		for _, opts := range []bundle.Options{{}, {VolumeSize: 1 << 20}, {Force: true}} {
			dir := t.TempDir()
			cancelled(t, tr, opts, filepath.Join(dir, name))
			diff(t, []string(nil), names(t, dir))
		}
	}
}

// TestAbandonedForce: what should have been replaced is as it was.
func TestAbandonedForce(t *testing.T) {
	tr := write(t, heavy, plan.Rules{})
	file, _ := tr.save(t, "b.tar", nil)
	before := snapshot(t, filepath.Dir(file))
	cancelled(t, tr, bundle.Options{Force: true}, file)
	diff(t, before, snapshot(t, filepath.Dir(file)))

	// Where that was left by a run that was cut short, it is still known as such.
	if err := os.Rename(file+".inventory.json", file+".inventory.json.partial"); err != nil {
		t.Fatal(err)
	}
	cancelled(t, tr, bundle.Options{Force: true}, file)
	if _, err := tr.bundle(t, nil).WriteFile(t.Context(), tr.src, file); err != nil {
		t.Error(err)
	}
	diff(t, before, snapshot(t, filepath.Dir(file)))
}

// TestTwoRuns: one keeps the other out.
func TestTwoRuns(t *testing.T) {
	tr := write(t, january, plan.Rules{})
	file := filepath.Join(t.TempDir(), "b.tar")
	mark, err := os.Create(file + ".inventory.json.partial")
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(mark.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		t.Skip(err)
	}
	if err := os.WriteFile(file+".partial", []byte("its work"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.bundle(t, &bundle.Options{Force: true}).WriteFile(t.Context(), tr.src, file); err == nil || !strings.Contains(err.Error(), "another run") {
		t.Errorf("error %v", err)
	}
	diff(t, "its work", string(read(t, file+".partial")))
	if err := mark.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.bundle(t, nil).WriteFile(t.Context(), tr.src, file); err != nil {
		t.Errorf("and when it is over: %v", err)
	}
}

// TestFileDamaged: the inventory beside has what can be built on, and no more.
func TestFileDamaged(t *testing.T) {
	tr := write(t, january, plan.Rules{})
	flip(t, tr.file("app-arm"))
	file, res := tr.save(t, "jan.tar", nil)
	diff(t, []string{"a/app:latest", "a/app:v1", "c/gone:v1"}, images(res.Inventory))
	for _, name := range []string{file, file + ".inventory.json"} {
		inv, err := bundle.OpenInventory(name)
		if err != nil {
			t.Fatal(err)
		}
		diff(t, images(res.Inventory), images(inv))
	}
	sound := write(t, january, plan.Rules{})
	archive, next := sound.archive(t, &bundle.Options{Since: res.Inventory})
	diff(t, []string{"-a/app:latest", "-a/app:v1", "b/multi:v1", "-c/gone:v1"}, images(next.Inventory))
	dir := unpackNew(t, read(t, file))
	unpack(t, archive, dir)
	diff(t, []string(nil), sha256sum(t, filepath.Join(dir, "SHA256SUMS")))
	wholeLayouts(t, sound, dir)
}
