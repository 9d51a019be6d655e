package source_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

// damages gives what is said of damage.
func damages(src source.Source) (all []report.Finding) {
	for _, f := range src.(source.FindingsFS).Findings() {
		if f.Code == report.ArchiveDamaged {
			all = append(all, f)
		}
	}
	return all
}

// cutTape is a small tar whose members' places are known.
func cutTape() (content []byte, ends map[string]int) {
	ends = map[string]int{}
	add := func(name string, member []byte) {
		content = append(content, member...)
		ends[name] = len(content)
	}
	add("", dirEntry(v2+"repositories/"))
	add("repositories/a", file(v2+"repositories/a", "the first"))
	long := strings.Repeat("long/", 30) + "name"
	add("repositories/"+long, pax(file("short", "a name of its own"), "path="+v2+"repositories/"+long))
	add("blobs/sha256/x", file(v2+"blobs/sha256/x", strings.Repeat("blob ", 300)))
	add("repositories/soft", symlink(v2+"repositories/soft", "a"))
	add("repositories/hard", link(v2+"repositories/hard", v2+"repositories/a"))
	add("repositories/last", file(v2+"repositories/last", strings.Repeat("z", 512)))
	return append(content, ending...), ends
}

// TestTruncated: a tar that ends at any block has what is whole, and says where
// it ends.
func TestTruncated(t *testing.T) {
	content, ends := cutTape()
	whole := openWith(t, save(t, "a.tar", content), nil)
	for at := 512; at < len(content); at += 512 {
		for _, more := range []int{0, 1, 300} {
			piece := content[:min(at+more, len(content))]
			for name, src := range map[string]source.Source{
				"in place": openWith(t, save(t, "a.tar", piece), nil),
				"gzip":     openWith(t, save(t, "a.tgz", gzipped(t, piece)), &source.Options{Unpack: t.TempDir()}),
			} {
				where := fmt.Sprintf("%s, cut at %d", name, len(piece))
				for file, end := range ends {
					if file == "" {
						continue
					}
					got, want := read(src, file), read(whole, file)
					if end <= len(piece) && got != want {
						t.Errorf("%s: %s: %q", where, file, got)
					}
					if info, err := src.Stat(file); err == nil && end > len(piece) && (!strings.HasPrefix(want, got) || info.Size() != int64(len(got))) {
						t.Errorf("%s: %s: %q, size %d", where, file, got, info.Size())
					}
				}
				intact := len(piece) >= len(content)-1024+512 // one block of the mark is enough
				f := damages(src)
				if intact != (len(f) == 0) || len(f) > 1 {
					t.Errorf("%s: %v", where, f)
				}
				if len(f) == 1 && (f[0].Level != report.Skip || !strings.Contains(f[0].Detail, fmt.Sprintf("at byte %d of the tar", len(piece)))) {
					t.Errorf("%s: %v", where, f)
				}
			}
		}
	}
}

// TestCutSizes: the member that an archive ends in has the bytes that are there.
func TestCutSizes(t *testing.T) {
	body := string(noise(1_000_000))
	content := tape(file(tagV1, "x"), file(v2+"blobs/sha256/x", body))
	for _, there := range []int{0, 1, 511, 4096, 70_000, 999_999} {
		piece := content[:1024+512+there]
		plain := openWith(t, save(t, "a.tar", piece), nil)
		if info, err := plain.Stat("blobs/sha256/x"); err != nil || info.Size() != int64(there) {
			t.Errorf("%d: %v, %v", there, info, err)
		}
		unpacked := openWith(t, save(t, "a.tgz", gzipped(t, piece)), &source.Options{Unpack: t.TempDir()})
		if got := read(unpacked, "blobs/sha256/x"); got != body[:there] {
			t.Errorf("%d: %d bytes", there, len(got))
		}
		looked := openWith(t, save(t, "a.tgz", gzipped(t, piece)), nil)
		d, ok := looked.(source.DigestFS).Digest("blobs/sha256/x", digest.SHA256)
		if !ok || d != digest.FromString(body[:there]) {
			t.Errorf("%d: %s", there, d)
		}
		for _, src := range []source.Source{plain, unpacked, looked} {
			f := damages(src)
			if len(f) != 1 || f[0].Path != "blobs/sha256/x" || !strings.Contains(f[0].Detail, "in this member") || !strings.Contains(f[0].Detail, "2 members were read") {
				t.Errorf("%d: %v", there, f)
			}
		}
	}
}

// TestTruncatedStreams: a compressed archive that ends anywhere, or is damaged
// anywhere, opens with what came before, or says why it cannot.
func TestTruncatedStreams(t *testing.T) {
	content := tape(file(tagV1, "x"), file(v2+"blobs/sha256/noise", string(noise(100_000))), file(v2+"repositories/text", strings.Repeat("text ", 20_000)), file(v2+"repositories/last", "end"))
	whole := openWith(t, save(t, "a.tar", content), nil)
	r := rand.New(rand.NewPCG(3, 4))
	for name, pack := range map[string][]byte{
		"gzip": gzipped(t, content), "zstd": zstded(t, content), "xz": xzed(t, content), "gzip twice": gzippedTwice(t, content)[:len(gzippedTwice(t, content))-1024],
	} {
		for range 6 {
			at := r.IntN(len(pack)-100) + 50
			cut := pack[:at]
			flipped := bytes.Clone(pack)
			flipped[at] ^= 0x10
			for kind, piece := range map[string][]byte{"cut": cut, "flipped": flipped} {
				src, err := source.Open(context.Background(), save(t, "a", piece), &source.Options{Unpack: t.TempDir()})
				if err != nil {
					continue // damaged before the registry begins
				}
				where := fmt.Sprintf("%s, %s at %d", name, kind, at)
				sound := true
				for _, file := range []string{"repositories/app/_manifests/tags/v1/current/link", "blobs/sha256/noise", "repositories/text", "repositories/last"} {
					got, want := read(src, file), read(whole, file)
					sound = sound && got == want
				}
				f := damages(src)
				if !sound && kind == "cut" && len(f) == 0 {
					t.Errorf("%s: nothing is said", where)
				}
				if len(f) > 0 && !strings.Contains(f[0].Detail, "of the file") {
					t.Errorf("%s: %v", where, f)
				}
				src.Close()
			}
		}
	}
}

// TestTrailing: what follows a whole archive, packed, is no damage; a part of the
// compression's own end that is missing is.
func TestTrailing(t *testing.T) {
	content := tape(file(tagV1, "x"), file(v2+"repositories/noise", string(noise(300_000))))
	for name, pack := range map[string]func(*testing.T, []byte) []byte{
		"gzip": gzipped, "zstd": zstded, "xz": xzed, "bzip2": func(t *testing.T, b []byte) []byte { return program(t, b, "bzip2", "-c") },
	} {
		t.Run(name, func(t *testing.T) {
			packed := pack(t, content)
			src := openWith(t, save(t, "a", append(bytes.Clone(packed), "signature of something"...)), nil)
			if f := told(src); len(f) > 0 || read(src, "repositories/app/_manifests/tags/v1/current/link") != "x" {
				t.Errorf("%v", f)
			}
			cut := packed[:len(packed)-4]
			if f := told(openWith(t, save(t, "a", cut), nil)); len(f) != 1 {
				t.Errorf("cut: %v", f)
			}
			// Where the tar is not at its end, what follows is not passed over.
			begun := pack(t, content[:1024])
			f := damages(openWith(t, save(t, "a", append(begun, "rubbish instead of the rest"...)), nil))
			if len(f) != 1 || !strings.Contains(f[0].Detail, "something else follows") {
				t.Errorf("rubbish: %v", f)
			}
		})
	}
}

// TestDamagedHeaders: behind a header that cannot be read, the rest is found.
func TestDamagedHeaders(t *testing.T) {
	first, last := file(tagV1, "x"), file(v2+"repositories/last", "end")
	broken := file(v2+"repositories/broken", "lost")
	broken[0] ^= 1
	inner := tape(file("etc/passwd", "root"), file("docker/registry/v2/nothing", "meant"), file("usr/share/version", "1"))
	layer := append(block(v2+"blobs/sha256/layer", '0', int64(len(inner)), ""), inner...)
	layer[5] ^= 1
	size := block(v2+"repositories/size", '0', 0, "")
	copy(size[124:], "12z45")
	for _, c := range []struct {
		name  string
		tape  []byte
		about string // the member before
		at    int
		lost  string
		extra string // what the damage brings up
	}{
		{"one", tape(first, broken, last), tagV1, len(first), "repositories/broken", ""},
		{"several in a row", tape(first, broken, broken, broken, last), tagV1, len(first), "repositories/broken", ""},
		{"before a layer that is a tar", tape(first, layer, last), tagV1, len(first), "blobs/sha256/layer", "usr"},
		{"a size that is none", tape(first, sealed(size), last), tagV1, len(first), "repositories/size", ""},
		{"a pax header", tape(first, append(append(block("x", 'x', 20, ""), pad("99999 path=nonsense\n")...), file("repositories/short", "?")...), last), tagV1, len(first) + 512, "repositories/short", ""},
		{"a pax header without end", tape(first, append(append(block("x", 'x', 7, ""), pad("7 a=bc\n")...), ending...), last), tagV1, len(first) + 1024, "", ""},
		{"zeros in the middle, and rubbish", tape(first, ending, bytes.Repeat([]byte("lost "), 512), last), tagV1, len(first) + 1024 + 512, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			both(t, c.tape, func(t *testing.T, src source.Source) {
				if read(src, "repositories/last") != "end" || read(src, "repositories/app/_manifests/tags/v1/current/link") != "x" {
					t.Error("what is whole is not there")
				}
				if _, err := src.Stat(c.lost); c.lost != "" && err == nil {
					t.Errorf("%s is there", c.lost)
				}
				f := damages(src)
				if len(f) == 0 || f[0].Path != strings.TrimPrefix(c.about, v2) || !strings.Contains(f[0].Detail, fmt.Sprintf("at byte %d of the tar", c.at)) {
					t.Errorf("%v", f)
				}
				for _, e := range mustList(t, src, ".") {
					if e != "repositories" && e != "blobs" && e != "nothing" {
						t.Errorf("%s came up", e)
					}
				}
			})
		})
	}
}

func mustList(t *testing.T, src source.Source, name string) (names []string) {
	t.Helper()
	entries, err := src.ReadDir(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestDamagedNoRoot: where nothing of a registry is left, the damage is said.
func TestDamagedNoRoot(t *testing.T) {
	content := append(file("a", "b"), make([]byte, 100)...)
	_, err := source.Open(context.Background(), save(t, "a.tar", content[:600]), nil)
	if err == nil || !strings.Contains(err.Error(), "damaged") || report.Advice(err) == "" {
		t.Errorf("%v; %s", err, report.Advice(err))
	}
}

// TestEveryByte: no single byte that is changed makes a tar unreadable, or hides
// what is not near it.
func TestEveryByte(t *testing.T) {
	content, _ := cutTape()
	content = bytes.TrimRight(content, "\x00")
	content = append(content, ending...)
	for at := 0; at < len(content)-1024; at += 7 {
		changed := bytes.Clone(content)
		changed[at] ^= 0x41
		src, err := source.Open(context.Background(), save(t, "a.tar", changed), nil)
		if err != nil {
			if at < 512 {
				continue // its first bytes tell that it is a tar
			}
			t.Fatalf("at %d: %v", at, err)
		}
		missing := 0
		for _, name := range []string{"repositories/a", "blobs/sha256/x", "repositories/last"} {
			if _, err := src.Stat(name); err != nil {
				missing++
			}
		}
		if missing > 1 || (missing == 1 && len(damages(src)) == 0) {
			t.Errorf("at %d: %d are missing, %v", at, missing, told(src))
		}
		src.Close()
	}
}

// TestWholeTree: a tree that is cut has a part of the whole one, and nothing else.
func TestWholeTree(t *testing.T) {
	dir := tree(t, rich)
	want := look(t, open(t, dir), true)
	content := members(t, dir, "", tar.FormatPAX)
	r := rand.New(rand.NewPCG(5, 6))
	for range 20 {
		at := r.IntN(len(content)-3000) + 3000
		src, err := source.Open(context.Background(), save(t, "a.tar", content[:at]), nil)
		if err != nil {
			continue
		}
		for name, got := range look(t, src, true) {
			if w := want[name]; cmp.Diff(w, got) != "" && !strings.HasPrefix(w.Content, got.Content) && w.Type&fs.ModeSymlink == 0 {
				t.Errorf("cut at %d: %s: %v", at, name, got)
			}
		}
		src.Close()
	}
}

// TestReadError: an error of the reading is damage of what follows, and named;
// before anything is read, it is an error.
func TestReadError(t *testing.T) {
	content := tape(file(tagV1, "x"), file(v2+"blobs/sha256/x", string(noise(500_000))), file(v2+"repositories/last", "end"))
	trouble := &fs.PathError{Op: "read", Path: "tape", Err: syscall.EIO}
	for name, pack := range map[string][]byte{"plain": content, "gzip": gzipped(t, content), "zstd": zstded(t, content)} {
		half := io.MultiReader(bytes.NewReader(pack[:400_000]), iotest.ErrReader(trouble))
		src := openWith(t, "-", &source.Options{Stdin: half})
		f := damages(src)
		if len(f) != 1 || !strings.Contains(f[0].Detail, "input/output error") || f[0].Path != "blobs/sha256/x" {
			t.Errorf("%s: %v", name, f)
		}
		if got := read(src, "repositories/app/_manifests/tags/v1/current/link"); got != "x" {
			t.Errorf("%s: %q", name, got)
		}
		_, err := source.Open(context.Background(), "-", &source.Options{Stdin: iotest.ErrReader(trouble)})
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOddHeaders: extended headers without measure.
func TestOddHeaders(t *testing.T) {
	endless := block(v2+"blobs/sha256/x", 'S', 0, "")
	copy(endless[257:], "ustar  \x00")
	endless[482] = 1
	more := make([]byte, 512)
	more[504] = 1
	for name, bad := range map[string][]byte{
		"a name of megabytes": append(append(block("x", 'L', 3<<20, ""), make([]byte, 3<<20)...), file("short", "?")...),
		"a pax size":          pax(file("short", "?"), "size=-5"),
		"a pax header cut":    append(append(block("x", 'x', 10, ""), pad("10 path=ab")...), file("short", "?")...),
		"a map without end":   append(sealed(endless), bytes.Repeat(more, 3000)...),
	} {
		t.Run(name, func(t *testing.T) {
			both(t, tape(file(tagV1, "x"), bad, file(v2+"repositories/last", "end")), func(t *testing.T, src source.Source) {
				if len(damages(src)) == 0 || read(src, "repositories/last") != "end" {
					t.Errorf("%v, %s", told(src), read(src, "repositories/last"))
				}
				if names := mustList(t, src, "."); len(names) != 1 {
					t.Errorf("%v", names)
				}
			})
		})
	}
}
