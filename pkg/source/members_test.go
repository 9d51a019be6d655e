package source_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

// block writes a header as it is asked for, true or not, with a right checksum.
func block(name string, flag byte, size int64, target string) []byte {
	b := make([]byte, 512)
	if len(name) > 100 {
		at := len(name) - 101 + strings.IndexByte(name[len(name)-101:], '/')
		copy(b[345:500], name[:at])
		name = name[at+1:]
	}
	copy(b, name)
	copy(b[100:], "0000644\x00")
	copy(b[108:], "0000000\x00")
	copy(b[116:], "0000000\x00")
	if size >= 0 && size < 1<<33 {
		copy(b[124:], fmt.Sprintf("%011o\x00", size))
	} else {
		b[124] = 0x80
		for i := range 8 {
			b[135-i] = byte(uint64(size) >> (8 * i))
		}
	}
	copy(b[136:], "14531371500\x00") // 2024-02-29, about
	b[156] = flag
	copy(b[157:], target)
	copy(b[257:], "ustar\x0000")
	return sealed(b)
}

// sealed puts the checksum right.
func sealed(b []byte) []byte {
	copy(b[148:], "        ")
	sum := 0
	for _, c := range b[:512] {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

// file is a member with its content.
func file(name, content string) []byte {
	return append(block(name, '0', int64(len(content)), ""), pad(content)...)
}

func pad(content string) []byte {
	return append([]byte(content), make([]byte, -len(content)&511)...)
}

func link(name, target string) []byte    { return block(name, '1', 0, target) }
func symlink(name, target string) []byte { return block(name, '2', 0, target) }
func dirEntry(name string) []byte        { return block(name, '5', 0, "") }

// pax is a member with an extended header.
func pax(member []byte, records ...string) []byte {
	text := ""
	for _, r := range records {
		n := len(r) + 3
		for len(fmt.Sprintf("%d %s\n", n, r)) != n {
			n++
		}
		text += fmt.Sprintf("%d %s\n", n, r)
	}
	return append(append(block("././@PaxHeader", 'x', int64(len(text)), ""), pad(text)...), member...)
}

// gnuLong is a member with a long name, as GNU tar writes it.
func gnuLong(flag byte, text string, member []byte) []byte {
	return append(append(block("././@LongLink", flag, int64(len(text)+1), ""), pad(text+"\x00")...), member...)
}

var ending = make([]byte, 1024)

// tape puts members together, with the mark that ends a tar.
func tape(members ...[]byte) []byte {
	return append(bytes.Join(members, nil), ending...)
}

const (
	v2    = "docker/registry/v2/"
	hex   = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	tagV1 = v2 + "repositories/app/_manifests/tags/v1/current/link"
)

// both opens a tar in place and as a stream.
func both(t *testing.T, content []byte, do func(t *testing.T, src source.Source)) {
	t.Helper()
	t.Run("in place", func(t *testing.T) { do(t, openWith(t, save(t, "a.tar", content), nil)) })
	t.Run("unpacked", func(t *testing.T) {
		do(t, openWith(t, save(t, "a.tar.zst", zstded(t, content)), &source.Options{Unpack: t.TempDir()}))
	})
}

// read gives what a file has, or what kept it from being read.
func read(src source.Source, name string) string {
	content, err := fs.ReadFile(src, name)
	if err != nil {
		if inner := errors.Unwrap(err); inner != nil {
			err = inner
		}
		return "error: " + kindOf(err)
	}
	return string(content)
}

// told gives findings by code and path.
func told(src source.Source) (all []string) {
	for _, f := range src.(source.FindingsFS).Findings() {
		all = append(all, string(f.Code)+" "+f.Path)
	}
	return all
}

// TestMembers: what single members become.
func TestMembers(t *testing.T) {
	long := strings.Repeat("long/", 50) + "name"
	for _, c := range []struct {
		name  string
		tape  []byte
		files map[string]string // by path below docker/registry/v2
		told  []string
	}{
		{
			name:  "the last of a name wins",
			tape:  tape(file(tagV1, "old"), file(tagV1, "newer")),
			files: map[string]string{"repositories/app/_manifests/tags/v1/current/link": "newer"},
		},
		{
			name: "a file where a directory was, and the other way round",
			tape: tape(file(v2+"repositories/a/link", "1"), file(v2+"repositories/a", "2"), file(v2+"repositories/b", "3"), file(v2+"repositories/b/link", "4")),
			files: map[string]string{
				"repositories/a": "2", "repositories/a/link": "error: not a directory", "repositories/b/link": "4",
			},
		},
		{
			name: "a symbolic link where a directory was",
			tape: tape(file(v2+"repositories/a/link", "1"), file(v2+"repositories/b/link", "2"), symlink(v2+"repositories/a", "b"), dirEntry(v2+"repositories/b")),
			files: map[string]string{
				"repositories/a/link": "2", "repositories/b/link": "2",
			},
		},
		{
			name: "hard links, before and after their target, and to one another",
			tape: tape(
				link(v2+"repositories/before", v2+"repositories/file"), link(v2+"repositories/again", v2+"repositories/before"),
				file(v2+"repositories/file", "content"), link(v2+"repositories/after", "./"+v2+"repositories/file"), link(v2+"repositories/last", "/"+v2+"repositories/after"),
			),
			files: map[string]string{
				"repositories/before": "content", "repositories/again": "content", "repositories/after": "content", "repositories/last": "content",
			},
		},
		{
			name: "a hard link keeps what its target was",
			tape: tape(file(v2+"repositories/file", "old"), link(v2+"repositories/link", v2+"repositories/file"), file(v2+"repositories/file", "new")),
			files: map[string]string{
				"repositories/link": "old", "repositories/file": "new",
			},
		},
		{
			name: "hard links to nothing",
			tape: tape(
				dirEntry(v2+"repositories/dir"), link(v2+"repositories/a", v2+"repositories/absent"), link(v2+"repositories/b", v2+"repositories/c"),
				link(v2+"repositories/c", v2+"repositories/b"), link(v2+"repositories/d", v2+"repositories/dir"), link(v2+"repositories/e", v2+"../../../../etc/passwd"),
				link(v2+"repositories/self", v2+"repositories/self"), link(v2+"repositories/none", ""), link("outside", "nothing"),
			),
			files: map[string]string{
				"repositories/a":    "error: a hard link to a file that the archive does not hold, or that was not kept",
				"repositories/b":    "error: a hard link to a file that the archive does not hold, or that was not kept",
				"repositories/d":    "error: a hard link to a file that the archive does not hold, or that was not kept",
				"repositories/e":    "error: a hard link to a file that the archive does not hold, or that was not kept",
				"repositories/self": "error: a hard link to a file that the archive does not hold, or that was not kept",
			},
			told: []string{
				"archive-member repositories/e",
				"archive-member repositories/a", "archive-member repositories/b", "archive-member repositories/c",
				"archive-member repositories/d", "archive-member repositories/e", "archive-member repositories/self", "archive-member repositories/none",
			},
		},
		{
			name: "a hard link to a symbolic link",
			tape: tape(file(v2+"repositories/x/file", "1"), file(v2+"repositories/file", "2"), symlink(v2+"repositories/x/soft", "file"), link(v2+"repositories/hard", v2+"repositories/x/soft")),
			files: map[string]string{
				"repositories/x/soft": "1", "repositories/hard": "2",
			},
		},
		{
			name: "symbolic links within",
			tape: tape(
				file("data/blobs/file", "outside docker"), file(v2+"repositories/a/link", "a"), symlink(v2+"repositories/b", "a"), symlink(v2+"repositories/c", "./b/../b//"),
				symlink(v2+"repositories/up", "../../../../data/blobs/file"), symlink(v2+"repositories/dangling", "nothing"), symlink(v2+"repositories/through", "a/link/more"),
			),
			files: map[string]string{
				"repositories/b/link": "a", "repositories/c/link": "a", "repositories/up": "outside docker",
				"repositories/dangling": "error: file does not exist", "repositories/through": "error: not a directory",
			},
		},
		{
			name: "symbolic links that go round",
			tape: tape(
				file(v2+"repositories/a/link", "a"), symlink(v2+"repositories/self", "self"), symlink(v2+"repositories/x", "y"), symlink(v2+"repositories/y", "x"),
				symlink(v2+"repositories/a/parent", ".."), symlink(v2+"repositories/a/here", "."), symlink(v2+"repositories/p/to-q", "../q"), symlink(v2+"repositories/q/to-p", "../p"),
				symlink(v2+"repositories/home", "../../../.."), dirEntry(v2+"repositories/p"),
			),
			files: map[string]string{
				"repositories/self": "error: too many levels of symbolic links", "repositories/x": "error: too many levels of symbolic links",
				"repositories/a/parent": "error: too many levels of symbolic links", "repositories/a/here/link": "error: too many levels of symbolic links",
				"repositories/p/to-q/to-p": "error: too many levels of symbolic links", "repositories/home": "error: too many levels of symbolic links",
			},
		},
		{
			name: "symbolic links out",
			tape: tape(
				file(tagV1, "x"), symlink(v2+"blobs", "/mnt/blobs"), symlink(v2+"repositories/out", "../../../../../etc/passwd"), symlink("elsewhere", "/etc"),
				symlink(v2+"repositories/back", "../../../../../docker"), symlink(v2+"repositories/chain", "out"),
			),
			files: map[string]string{
				"blobs": "error: a symbolic link that leads out of the archive, which is not followed", "blobs/sha256": "error: a symbolic link that leads out of the archive, which is not followed",
				"repositories/out":   "error: a symbolic link that leads out of the archive, which is not followed",
				"repositories/back":  "error: a symbolic link that leads out of the archive, which is not followed",
				"repositories/chain": "error: a symbolic link that leads out of the archive, which is not followed",
			},
			told: []string{"archive-member blobs", "archive-member repositories/out", "archive-member repositories/back", "archive-member repositories/chain"},
		},
		{
			name: "names that lead out",
			tape: tape(file(tagV1, "x"), file("../etc/passwd", "root"), file(v2+"repositories/../../../../x", "y"), file("a/..", "z"), symlink("../link", "x"), dirEntry("..")),
			files: map[string]string{
				"repositories/x": "error: file does not exist",
			},
			told: []string{"archive-member ../etc/passwd", "archive-member docker/registry/v2/repositories/../../../../x", "archive-member a/..", "archive-member ../link", "archive-member .."},
		},
		{
			name:  "absolute names",
			tape:  tape(file("/"+tagV1, "x"), file("//"+v2+"repositories//./b", "y")),
			files: map[string]string{"repositories/app/_manifests/tags/v1/current/link": "x", "repositories/b": "y"},
		},
		{
			name: "devices and FIFOs",
			tape: tape(file(tagV1, "x"), block(v2+"repositories/fifo", '6', 0, ""), block(v2+"repositories/char", '3', 0, ""), block(v2+"repositories/block", '4', 0, "")),
			files: map[string]string{
				"repositories/fifo": "error: neither a regular file nor a directory", "repositories/char": "error: neither a regular file nor a directory",
				"repositories/block": "error: neither a regular file nor a directory",
			},
		},
		{
			name: "long names",
			tape: tape(file(tagV1, "x"), pax(file("short", "pax"), "path="+v2+"repositories/"+long), gnuLong('L', v2+"repositories/gnu/"+long, file("short", "gnu")),
				gnuLong('K', v2+"repositories/gnu/"+long, link(v2+"repositories/link", "short")), pax(symlink(v2+"repositories/soft", ""), "linkpath=gnu/"+long)),
			files: map[string]string{"repositories/" + long: "pax", "repositories/gnu/" + long: "gnu", "repositories/link": "gnu", "repositories/soft": "gnu"},
		},
		{
			name: "pax sizes and what is not understood",
			tape: tape(file(tagV1, "x"), pax(append(block(v2+"repositories/a", '0', 0, ""), pad("12345")...), "size=5", "SCHILY.xattr.user.x=\x00\n\xff", "comment="),
				append(block("pax_global_header", 'g', 11, ""), pad("11 path=ab\n")...), file(v2+"repositories/b", "after")),
			files: map[string]string{"repositories/a": "12345", "repositories/b": "after"},
		},
		{
			name: "names too long",
			tape: tape(file(tagV1, "x"), pax(file("short", "deep"), "path="+v2+strings.Repeat("d/", 256)), pax(file("short", "long"), "path="+v2+strings.Repeat("n", 17000)),
				pax(file("short", "NUL"), "path="+v2+"a\x00b"), pax(symlink(v2+"repositories/s", ""), "linkpath="+strings.Repeat("t", 5000))),
			files: map[string]string{"repositories/app/_manifests/tags/v1/current/link": "x"},
			told: []string{
				"archive-member " + (v2 + strings.Repeat("d/", 256))[len(v2):len(v2)+511], "archive-member " + strings.Repeat("n", 1024-len(v2)) + "…",
				"archive-member a\x00b", "archive-member repositories/s",
			},
		},
		{
			name: "sizes where there are no bytes",
			tape: tape(block(v2+"repositories/dir", '5', 4096, ""), file(v2+"repositories/file", "1"), block(v2+"repositories/link", '1', 1, v2+"repositories/file"), file(tagV1, "x")),
			files: map[string]string{
				"repositories/link": "1", "repositories/app/_manifests/tags/v1/current/link": "x",
			},
		},
		{
			name:  "a hard link with bytes of its own, as cpio writes them",
			tape:  tape(file(v2+"repositories/file", "1"), append(block(v2+"repositories/link", '1', 1, v2+"repositories/file"), pad("1")...), file(tagV1, "x")),
			files: map[string]string{"repositories/link": "1", "repositories/app/_manifests/tags/v1/current/link": "x"},
		},
		{
			name:  "an old directory, and a marker of S3",
			tape:  tape(block(v2+"repositories/old/", 0, 0, ""), block(v2+"repositories/marker/", '0', 0, ""), file(tagV1, "x")),
			files: map[string]string{"repositories/old/x": "error: file does not exist", "repositories/marker/x": "error: file does not exist"},
		},
		{
			name:  "kinds that mean nothing here",
			tape:  tape(block("volume", 'V', 0, ""), file(tagV1, "x"), append(block(v2+"rest", 'M', 3, ""), pad("abc")...), append(block("acl", 'A', 3, ""), pad("abc")...), append(block(v2+"contiguous", '7', 3, ""), pad("abc")...)),
			files: map[string]string{"contiguous": "abc", "rest": "error: file does not exist"},
			told:  []string{"archive-member rest"},
		},
		{
			name:  "two archives, one behind the other",
			tape:  append(append(tape(file(tagV1, "x")), make([]byte, 7*512)...), tape(file(v2+"repositories/b", "y"))...),
			files: map[string]string{"repositories/app/_manifests/tags/v1/current/link": "x", "repositories/b": "y"},
		},
		{
			name:  "something behind the end",
			tape:  append(tape(file(tagV1, "x")), bytes.Repeat([]byte("rubbish "), 300)...),
			files: map[string]string{"repositories/app/_manifests/tags/v1/current/link": "x"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			both(t, c.tape, func(t *testing.T, src source.Source) {
				for name, want := range c.files {
					if got := read(src, name); got != want {
						t.Errorf("%s: %q, not %q", name, got, want)
					}
				}
				if diff := cmp.Diff(c.told, told(src)); diff != "" {
					t.Error(diff)
				}
				look(t, src, true) // which ends
			})
		})
	}
}

// TestOddSizes: sizes that no field of eleven digits holds, and that no disk does.
func TestOddSizes(t *testing.T) {
	for _, size := range []int64{1 << 33, 1<<63 - 1, 1 << 62, -1} {
		content := append(tape(file(tagV1, "x"))[:1024], block(v2+"repositories/huge", '0', size, "")...)
		content = append(content, "the rest"...)
		src := openWith(t, save(t, "a.tar", content), nil)
		if got := read(src, "repositories/app/_manifests/tags/v1/current/link"); got != "x" {
			t.Errorf("%d: %q", size, got)
		}
		want := "archive-damaged repositories/huge"
		if size < 0 {
			want = "archive-damaged repositories/app/_manifests/tags/v1/current/link"
		} else if got := read(src, "repositories/huge"); got != "the rest" {
			t.Errorf("%d: %q", size, got)
		}
		if diff := cmp.Diff([]string{want}, told(src)); diff != "" {
			t.Errorf("%d: %s", size, diff)
		}
	}
}

// TestManyFindings: a hostile archive gives reason for any number of findings.
func TestManyFindings(t *testing.T) {
	all := [][]byte{file(tagV1, "x")}
	for i := range 1000 {
		all = append(all, file(fmt.Sprintf("../%d", i), "x"))
	}
	f := openWith(t, save(t, "a.tar", tape(all...)), nil).(source.FindingsFS).Findings()
	if last := f[len(f)-1]; len(f) != 201 || last.Code != report.ArchiveMember || last.Detail != "800 more of this kind" {
		t.Errorf("%d findings, the last: %v", len(f), last)
	}
}

// TestNothingOutside: an archive that leads anywhere changes nothing but the
// directory that it is unpacked to.
func TestNothingOutside(t *testing.T) {
	outer := t.TempDir()
	unpack := filepath.Join(outer, "a/b/unpack")
	if err := os.MkdirAll(filepath.Join(outer, "a/b/beside"), 0o755); err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("x", 5000)
	content := tape(
		file(v2+"blobs/sha256/01/"+hex+"/data", big), file("../../blobs/x", big), file("/"+outer+"/blobs/y", big), symlink(v2+"blobs/sha256/away", outer),
		file(v2+"blobs/sha256/away/data", big+"2"), link(v2+"blobs/sha256/hard", outer+"/a"), file(v2+"blobs/../../../../../../blobs/z", big),
		file("partial/0", big), file("sha256/blobs/"+hex, big+"3"),
	)
	openWith(t, save(t, "a.tar.gz", gzipped(t, content)), &source.Options{Unpack: unpack})
	for path := range filesBelow(t, outer) {
		if !strings.HasPrefix(path, unpack+"/sha256/") || filepath.Base(filepath.Dir(path)) != filepath.Base(path)[:2] {
			t.Errorf("%s was written", path)
		}
	}
	if n := len(filesBelow(t, unpack)); n != 3 {
		t.Errorf("%d files were unpacked", n)
	}
}

// TestErrorsAreNoAbsence: what cannot be followed is not taken for what is not there.
func TestErrorsAreNoAbsence(t *testing.T) {
	src := openWith(t, save(t, "a.tar", tape(file(tagV1, "x"), symlink(v2+"repositories/out", "/etc/passwd"), link(v2+"repositories/hard", "absent"))), nil)
	for _, name := range []string{"repositories/out", "repositories/hard"} {
		_, stat := src.Stat(name)
		_, open := src.Open(name)
		for _, err := range []error{stat, open} {
			if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	entries, err := src.ReadDir("repositories")
	if err != nil || len(entries) != 3 || entries[2].Type() != fs.ModeSymlink {
		t.Errorf("%v, %v", entries, err)
	}
	for _, name := range []string{"..", "/etc", "", "repositories/", "a//b"} {
		if _, err := src.Open(name); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestTooMany: what no registry can have is refused before it takes all memory.
func TestTooMany(t *testing.T) {
	source.LimitNodes(t, 1000)
	all := [][]byte{file(tagV1, "x")}
	for i := range 1000 {
		all = append(all, block(fmt.Sprintf("%sblobs/%d", v2, i), '0', 0, ""))
	}
	_, err := source.Open(context.Background(), save(t, "a.tar", tape(all...)), nil)
	if err == nil || !strings.Contains(err.Error(), "too many") || report.Advice(err) == "" {
		t.Errorf("%v", err)
	}
}

// TestPaxAndGNU: a long name, and times with fractions, survive every format.
func TestPaxAndGNU(t *testing.T) {
	dir := tree(t, rich+"tag "+strings.Repeat("component/", 12)+"end v1 app\n")
	want := look(t, open(t, dir), true)
	for _, format := range []tar.Format{tar.FormatGNU, tar.FormatPAX} {
		content := members(t, dir, strings.Repeat("deep/", 30), format)
		same(t, want, openWith(t, save(t, "a.tar", content), nil), true)
		same(t, passed(want, false), openWith(t, save(t, "a.tgz", gzipped(t, content)), &source.Options{Unpack: t.TempDir()}), true)
	}
}
