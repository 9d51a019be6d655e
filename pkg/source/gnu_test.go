package source_test

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

// gnuTar runs GNU tar, or skips the test where it is not there.
func gnuTar(t *testing.T, args ...string) []byte {
	t.Helper()
	out, err := exec.Command("tar", "--version").Output()
	if err != nil || !bytes.Contains(out, []byte("GNU tar")) {
		t.Skip("no GNU tar")
	}
	cmd := exec.Command("tar", args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err = cmd.Output()
	if err != nil {
		t.Fatalf("tar %v: %v: %s", args, err, stderr.String())
	}
	return out
}

// TestGNUTar: what GNU tar writes, in each of its formats.
func TestGNUTar(t *testing.T) {
	dir := tree(t, rich+"tag "+strings.Repeat("component/", 12)+"end v1 app\n")
	repositories := filepath.Join(dir, v2, "repositories")
	if err := os.Link(filepath.Join(repositories, "library/app/_manifests/tags/v1/current/link"), filepath.Join(repositories, "hard")); err != nil {
		t.Fatal(err)
	}
	want := look(t, open(t, dir), true)
	for _, args := range [][]string{
		{"--format=gnu"}, {"--format=oldgnu"}, {"--format=posix"}, {"--format=posix", "--sort=name"}, {"--format=gnu", "-P"},
		{"--format=posix", "-P"}, {"--format=gnu", "--sparse"}, {"--format=posix", "--sparse"}, {"--format=gnu", "--blocking-factor=1"}, {"--format=gnu", "--label=backup"},
		{"--format=gnu", "--incremental"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			from := []string{"-C", dir, "."}
			if args[len(args)-1] == "-P" {
				from = []string{dir}
			}
			content := gnuTar(t, append(append([]string{"-c"}, args...), from...)...)
			same(t, want, openWith(t, save(t, "a.tar", content), nil), true)
			same(t, passed(want, false), openWith(t, save(t, "a.tar.zst", zstded(t, content)), &source.Options{Unpack: t.TempDir()}), true)
		})
	}
}

// holes writes a file with data between holes.
func holes(t *testing.T, path string, size int64, data map[int64]string) string {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for at, text := range data {
		if _, err := f.WriteAt([]byte(text), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestSparse: files with holes have their content, in each way that GNU tar
// writes them.
func TestSparse(t *testing.T) {
	dir := t.TempDir()
	blobs := filepath.Join(dir, v2, "blobs/sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		t.Fatal(err)
	}
	pieces := map[int64]string{}
	for i := range int64(60) { // more than the header of old GNU tar holds
		pieces[i*20_000+4096] = strings.Repeat(string(rune('a'+i%26)), 5000)
	}
	want := map[string]string{
		"many":  holes(t, filepath.Join(blobs, "many"), 1_500_000, pieces),
		"none":  holes(t, filepath.Join(blobs, "none"), 700_000, nil),
		"begin": holes(t, filepath.Join(blobs, "begin"), 500_001, map[int64]string{0: "begin"}),
		"end":   holes(t, filepath.Join(blobs, "end"), 20_000, map[int64]string{20_000 - 3: "end"}),
		"small": holes(t, filepath.Join(blobs, "small"), 3, map[int64]string{0: "abc"}),
	}
	long := strings.Repeat("long", 40)
	want[long] = holes(t, filepath.Join(blobs, long), 300_000, map[int64]string{100_000: "long"})
	for _, args := range [][]string{
		{"--format=gnu", "-S"}, {"--format=oldgnu", "-S"}, {"--format=posix", "-S"},
		{"--format=posix", "-S", "--sparse-version=0.0"}, {"--format=posix", "-S", "--sparse-version=0.1"}, {"--format=posix", "-S", "--sparse-version=1.0"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			content := gnuTar(t, append(append([]string{"-c"}, args...), "-C", dir, ".")...)
			if len(content) > 1_000_000 {
				t.Fatalf("%d bytes are not sparse", len(content))
			}
			both(t, content, func(t *testing.T, src source.Source) {
				got := map[string]string{}
				for _, name := range mustList(t, src, "blobs/sha256") {
					got[name] = read(src, "blobs/sha256/"+name)
					f, err := src.Open("blobs/sha256/" + name)
					if err != nil {
						t.Fatal(err)
					}
					defer f.Close()
					piece := make([]byte, 10)
					r := f.(io.ReadSeeker)
					for _, at := range []int64{4090, 200_000, 20_000, 0} {
						if _, err := r.Seek(at, io.SeekStart); err != nil {
							t.Error(err)
						}
						n, _ := io.ReadFull(r, piece)
						if w := want[name][min(at, int64(len(want[name]))):]; string(piece[:n]) != w[:min(10, len(w))] {
							t.Errorf("%s at %d: %q", name, at, piece[:n])
						}
					}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(clipped(diff))
				}
				if f := told(src); len(f) > 0 {
					t.Errorf("findings: %v", f)
				}
			})
			src := openWith(t, save(t, "a.tar", content), nil)
			f, err := src.Open("blobs/sha256/end")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := iotest.TestReader(f, []byte(want["end"])); err != nil {
				t.Error(err)
			}
			for _, at := range []int{len(content) / 2, len(content) / 3, 3000} { // cut: no panic, and what is whole
				src, err := source.Open(context.Background(), save(t, "a.tar", content[:at]), nil)
				if err == nil {
					look(t, src, false)
					src.Close()
				}
			}
		})
	}
}

// TestAbsurdSparse: a file of holes without end is named, and not read.
func TestAbsurdSparse(t *testing.T) {
	records := []string{"GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=" + v2 + "blobs/sha256/absurd", "GNU.sparse.realsize=1000000000000000"}
	absurd := pax(append(block("GNUSparseFile.0/absurd", '0', 512, ""), pad("1\n999999999999999\n1\n")...), records...)
	damaged := pax(append(block("GNUSparseFile.0/damaged", '0', 512, ""), pad("x\n")...), records...)
	both(t, tape(file(tagV1, "x"), absurd, damaged, file(v2+"repositories/last", "end")), func(t *testing.T, src source.Source) {
		if got := read(src, "repositories/last"); got != "end" {
			t.Errorf("%q", got)
		}
		if f := told(src); len(f) != 2 || !strings.HasPrefix(f[0], "archive-member ") || !strings.HasPrefix(f[1], "archive-member ") {
			t.Errorf("%v", f)
		}
		if names := mustList(t, src, "."); len(names) != 1 {
			t.Errorf("%v", names)
		}
	})
}

// TestLikeArchiveTar: members are read as archive/tar reads them, in the odd
// archives that Go tests itself with.
func TestLikeArchiveTar(t *testing.T) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skip(err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "src/archive/tar/testdata/*.tar"))
	if err != nil || len(files) == 0 {
		t.Skip("Go's own tests are not here")
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			if filepath.Base(name) == "invalid-go17.tar" {
				t.Skip("it has a prefix where GNU tar has none; Go 1.7 wrote so")
			}
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			want, readable := byArchiveTar(content)
			got, _ := source.Members(content)
			if !readable {
				t.Skipf("archive/tar refuses it; %v", got)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(clipped(diff))
			}
		})
	}
}

// byArchiveTar reads members with archive/tar, as far as it can read them all.
func byArchiveTar(content []byte) (all []source.Member, readable bool) {
	r := tar.NewReader(bytes.NewReader(content))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return all, true
		}
		if err != nil {
			return all, false
		}
		m := source.Member{Name: h.Name, Target: h.Linkname, Seconds: h.ModTime.Unix()}
		switch h.Typeflag {
		case tar.TypeXGlobalHeader:
			continue
		case tar.TypeReg, tar.TypeRegA, tar.TypeGNUSparse, tar.TypeCont:
			b, err := io.ReadAll(io.LimitReader(r, 1<<20))
			if err != nil {
				return all, false
			}
			m.Content = string(b)
		}
		all = append(all, m)
	}
}
