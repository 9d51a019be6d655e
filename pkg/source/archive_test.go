package source_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"github.com/ulikunitz/xz"
	"golang.org/x/sync/errgroup"

	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

// rich is a tree with something of all that a tar can say.
const rich = `
	image app amd64 base top
	image other arm64 base
	index multi app other
	random large 20000
	random huge 12000
	tag library/app v1 app
	tag library/app v2 other
	tag a/b/c latest multi
	symlink repositories/library/alias app
	symlink repositories/library/app/_manifests/tags/moving v1
	symlink repositories/dangling nowhere/at/all
	symlink repositories/around around
	mkdir repositories/library/empty
	write repositories/library/zero
	mkfifo repositories/library/pipe
	truncate blob:huge 9000
	write repositories/sent/_uploads/6e0c/data "half of it"
	write ../../../scheduler-state.json {}
	touch tag:library/app:v1 2024-02-29T12:00:00Z
`

// members writes a directory's files as a tar, each under a prefix.
func members(t *testing.T, dir, prefix string, format tar.Format) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		target := ""
		if e.Type()&fs.ModeSymlink != 0 {
			if target, err = os.Readlink(path); err != nil {
				return err
			}
		}
		h, err := tar.FileInfoHeader(info, target)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if h.Name = prefix + filepath.ToSlash(rel); e.IsDir() {
			h.Name += "/"
		}
		h.Format, h.Uname, h.Gname = format, "", ""
		if format != tar.FormatPAX {
			h.ModTime = h.ModTime.Truncate(time.Second)
		}
		h.AccessTime, h.ChangeTime = time.Time{}, time.Time{}
		if err := w.WriteHeader(h); err != nil || !e.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err == nil {
			_, err = w.Write(content)
		}
		return err
	})
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func save(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// The ways to compress.

func gzipped(t *testing.T, b []byte) []byte {
	return compressed(t, b, func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, 1) })
}

func gzippedTwice(t *testing.T, b []byte) []byte {
	half := len(b)/2 + 77
	return append(append(gzipped(t, b[:half]), gzipped(t, b[half:])...), make([]byte, 1024)...)
}

func zstded(t *testing.T, b []byte) []byte {
	return compressed(t, b, func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) })
}

func zstdSized(t *testing.T, b []byte) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(b, nil)
}

func zstdedTwice(t *testing.T, b []byte) []byte {
	half := len(b)/3 + 77
	skip := "\x5a\x2a\x4d\x18\x05\x00\x00\x00hello" // a frame that is skipped
	return bytes.Join([][]byte{[]byte(skip), zstded(t, b[:half]), []byte(skip), zstded(t, b[half:])}, nil)
}

func xzed(t *testing.T, b []byte) []byte {
	return compressed(t, b, func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) })
}

func compressed(t *testing.T, b []byte, open func(io.Writer) (io.WriteCloser, error)) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := open(&out)
	if err == nil {
		_, err = w.Write(b)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// program pipes bytes through a program, or skips the test where it is not there.
func program(t *testing.T, stdin []byte, name string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skip(err)
	}
	cmd := exec.Command(name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", name, err, stderr.String())
	}
	return out
}

// openWith opens a location, and closes it with the test.
func openWith(t *testing.T, location string, opts *source.Options) source.Source {
	t.Helper()
	src, err := source.Open(context.Background(), location, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	})
	return src
}

// seen is what is to be known of one file of a source.
type seen struct {
	Type     fs.FileMode // of the name
	Mode     fs.FileMode // of what it leads to
	Size     int64
	Modified int64 // Unix time, of what it leads to
	Content  string
	Error    string
}

// look walks a whole source. Content that was not kept is given by its digest
// where that is known.
func look(t *testing.T, src source.Source, withTimes bool) map[string]seen {
	t.Helper()
	all := map[string]seen{}
	err := fs.WalkDir(src, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		s := seen{Type: e.Type()}
		info, err := src.Stat(name)
		if err != nil {
			s.Error = kindOf(err)
			all[name] = s
			return nil
		}
		s.Mode = info.Mode()
		if withTimes && !info.IsDir() {
			s.Modified = info.ModTime().Unix()
		}
		if info.Mode().IsRegular() {
			s.Size = info.Size()
		}
		s.Content, s.Error = contentOf(t, src, name)
		all[name] = s
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func kindOf(err error) string {
	for _, known := range []error{fs.ErrNotExist, syscall.ELOOP, syscall.ENOTDIR, source.ErrNotRegular, source.ErrNotKept} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return err.Error()
}

func contentOf(t *testing.T, src source.Source, name string) (content, problem string) {
	t.Helper()
	f, err := src.Open(name)
	if err != nil {
		return "", kindOf(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if info.IsDir() {
		return "", ""
	}
	b, err := io.ReadAll(f)
	if err != nil {
		return "", err.Error()
	}
	return string(b), ""
}

// same holds what is in an archive against the directory that it was made of.
func same(t *testing.T, want map[string]seen, src source.Source, withTimes bool) {
	t.Helper()
	if diff := cmp.Diff(want, look(t, src, withTimes)); diff != "" {
		t.Error(clipped(diff))
	}
	if f := src.(source.FindingsFS).Findings(); len(f) > 0 {
		t.Errorf("findings: %v", f)
	}
}

func clipped(s string) string { return s[:min(len(s), 4000)] }

// packings are all the ways to pack a tar that can be made here.
var packings = []struct {
	name string
	pack func(*testing.T, []byte) []byte
}{
	{"plain", func(_ *testing.T, b []byte) []byte { return b }},
	{"gzip", gzipped},
	{"gzip with members and padding", gzippedTwice},
	{"zstd", zstded},
	{"zstd with frames", zstdedTwice},
	{"xz", xzed},
	{"bzip2", func(t *testing.T, b []byte) []byte { return program(t, b, "bzip2", "-c") }},
	{"bzip2 twice", func(t *testing.T, b []byte) []byte {
		return append(program(t, b[:1000], "bzip2", "-c"), program(t, b[1000:], "bzip2", "-c")...)
	}},
	{"xz by the program", func(t *testing.T, b []byte) []byte { return program(t, b, "xz", "-0", "-T2", "--block-size=100000") }},
	{"zstd by the program", func(t *testing.T, b []byte) []byte { return program(t, b, "zstd", "-c", "--long=27") }},
}

// passed is what remains of a tree in an archive that came by: what uploads left
// is not there, and where nothing is unpacked, no bytes of blobs.
func passed(want map[string]seen, looked bool) map[string]seen {
	left := map[string]seen{}
	for name, s := range want {
		big := looked && len(s.Content) > 4096 && !strings.HasPrefix(strings.TrimLeft(s.Content, " \t\r\n"), "{")
		if (big || strings.Contains(name, "_uploads")) && s.Content != "" {
			s.Content, s.Error = "", source.ErrNotKept.Error()
		}
		left[name] = s
	}
	return left
}

// TestKinds: the same tree, packed in any way, is the same in any way to read it.
func TestKinds(t *testing.T) {
	dir := tree(t, rich)
	want := look(t, open(t, dir), true)
	plain := members(t, dir, "./", tar.FormatGNU)
	for _, c := range packings {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			packed := c.pack(t, plain)
			file := save(t, "backup", packed)
			unpacked, looked := passed(want, false), passed(want, true)
			if c.name == "plain" {
				same(t, want, openWith(t, file, nil), true)
			} else {
				same(t, looked, openWith(t, file, nil), true)
				same(t, unpacked, openWith(t, file, &source.Options{Unpack: t.TempDir()}), true)
			}
			stdin := func(unpack string) *source.Options {
				return &source.Options{Stdin: iotest.HalfReader(bytes.NewReader(packed)), Unpack: unpack}
			}
			same(t, looked, openWith(t, "-", stdin("")), true)
			same(t, unpacked, openWith(t, "-", stdin(t.TempDir())), true)
		})
	}
}

// TestLarge: files larger than what is handed on at once come through whole.
func TestLarge(t *testing.T) {
	dir := tree(t, "image app amd64 base\ntag library/app v1 app\nrandom large 3000000\nrandom exact 524288\nrandom more 1048577")
	want := look(t, open(t, dir), true)
	for _, format := range []tar.Format{tar.FormatGNU, tar.FormatPAX} {
		file := save(t, "a.tar.zst", zstded(t, members(t, dir, "", format)))
		same(t, want, openWith(t, file, &source.Options{Unpack: t.TempDir()}), true)
		src := openWith(t, file, nil)
		same(t, passed(want, true), src, true)
		for name, s := range want {
			if d, ok := src.(source.DigestFS).Digest(name, digest.SHA512); s.Mode.IsRegular() && (!ok || d != digest.SHA512.FromString(s.Content)) {
				t.Errorf("%s: %s", name, d)
			}
		}
	}
}

// TestDigests: what came by has the digests of its bytes, kept or not.
func TestDigests(t *testing.T) {
	dir := tree(t, rich)
	files := look(t, open(t, dir), false)
	file := save(t, "backup.tgz", gzipped(t, members(t, dir, "", tar.FormatPAX)))
	for _, unpack := range []string{"", t.TempDir()} {
		src := openWith(t, file, &source.Options{Unpack: unpack})
		known := src.(source.DigestFS)
		for name, s := range files {
			d, ok := known.Digest(name, digest.SHA256)
			regular := s.Mode.IsRegular() && s.Error == "" && !strings.Contains(name, "_uploads")
			if ok != regular {
				t.Errorf("%s: %v, %v", name, d, ok)
			}
			if ok && d != digest.FromString(s.Content) {
				t.Errorf("%s: %s", name, d)
			}
			long, ok := known.Digest(name, digest.SHA512)
			if ok != (regular && (unpack == "" || len(s.Content) <= 4096 && !strings.Contains(name, "blobs/"))) {
				t.Errorf("%s: %v, %v", name, long, ok)
			}
			if ok && long != digest.SHA512.FromString(s.Content) {
				t.Errorf("%s: %s", name, long)
			}
		}
		if d, ok := known.Digest("blobs", digest.SHA256); ok {
			t.Errorf("a directory has %s", d)
		}
	}
	if d, ok := openWith(t, save(t, "backup.tar", members(t, dir, "", tar.FormatPAX)), nil).(source.DigestFS).Digest("repositories/library/zero", digest.SHA256); ok {
		t.Errorf("nothing was read, and there is %s", d)
	}
}

// TestFilesRead: what is opened can be read in any order, and by many at once.
func TestFilesRead(t *testing.T) {
	dir := tree(t, rich)
	plain := members(t, dir, "var/lib/registry/", tar.FormatPAX)
	for name, file := range map[string]string{"in place": save(t, "a.tar", plain), "unpacked": save(t, "a.tar.zst", zstded(t, plain))} {
		src := openWith(t, file, &source.Options{Unpack: t.TempDir()})
		var g errgroup.Group
		for path, s := range look(t, src, false) {
			if s.Error != "" || !s.Mode.IsRegular() {
				continue
			}
			g.Go(func() error {
				f, err := src.Open(path)
				if err != nil {
					return err
				}
				defer f.Close()
				return iotest.TestReader(f, []byte(s.Content))
			})
		}
		if err := g.Wait(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLocalPath: what is unpacked lies under its digest, readable and once.
func TestLocalPath(t *testing.T) {
	dir := tree(t, rich)
	plain := members(t, dir, "docker-was-here/", tar.FormatPAX)
	unpack := t.TempDir()
	src := openWith(t, save(t, "a.tar.gz", gzipped(t, plain)), &source.Options{Unpack: unpack})
	paths := map[string]bool{}
	for name, s := range look(t, src, false) {
		path, ok := src.(source.LocalFS).LocalPath(name)
		blob := strings.HasPrefix(name, "blobs/") && s.Mode.IsRegular()
		if ok != blob {
			t.Errorf("%s: %q, %v", name, path, ok)
		}
		if !ok {
			continue
		}
		paths[path] = true
		content, err := os.ReadFile(path)
		if err != nil || string(content) != s.Content {
			t.Errorf("%s at %s: %d bytes, %v", name, path, len(content), err)
		}
		hex := digest.FromString(s.Content).Encoded()
		if want := filepath.Join(unpack, "sha256", hex[:2], hex); path != want {
			t.Errorf("%s at %s", name, path)
		}
	}
	if diff := cmp.Diff(paths, filesBelow(t, unpack)); diff != "" {
		t.Error(diff)
	}
	for _, name := range []string{"..", "/etc/passwd", "absent", "."} {
		if path, ok := src.(source.LocalFS).LocalPath(name); ok {
			t.Errorf("%s at %s", name, path)
		}
	}
	plainSrc := openWith(t, save(t, "a.tar", plain), &source.Options{Unpack: unpack})
	if path, ok := plainSrc.(source.LocalFS).LocalPath("repositories/library/zero"); ok {
		t.Errorf("in a plain tar, it lies at %s", path)
	}
	if err := source.RemoveUnpacked(unpack); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(unpack); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after removal: %v", err)
	}
}

func filesBelow(t *testing.T, dir string) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			all[path] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestAsFS holds an archive against the rules of io/fs.
func TestAsFS(t *testing.T) {
	plain := members(t, tree(t, sound+"random large 20000"), "x/", tar.FormatPAX)
	for _, file := range []string{save(t, "a.tar", plain), save(t, "a.tgz", gzipped(t, plain))} {
		src := openWith(t, file, &source.Options{Unpack: t.TempDir()})
		if f, err := src.Open("blobs"); err != nil {
			t.Error(err)
		} else if _, err := f.Read(make([]byte, 1)); !errors.Is(err, syscall.EISDIR) {
			t.Errorf("reading a directory: %v", err)
		}
		if err := fstest.TestFS(src, "blobs/sha256", "repositories/library/app/_manifests/tags/v1/current/link"); err != nil {
			t.Error(err)
		}
	}
}

// TestOrder: names are listed by their bytes, digests among them.
func TestOrder(t *testing.T) {
	names := []string{hex, hex[:63], hex + "0", hex[:63] + "e", strings.ToUpper(hex), "g", "0", "01", "zz", hex[1:] + "0", "_x", "é"}
	all := [][]byte{file(tagV1, "x")}
	for _, name := range names {
		all = append(all, pax(file("x", name), "path="+v2+"repositories/"+name))
	}
	src := openWith(t, save(t, "a.tar", tape(all...)), nil)
	want := slices.Sorted(slices.Values(append(names, "app")))
	if diff := cmp.Diff(want, mustList(t, src, "repositories")); diff != "" {
		t.Error(diff)
	}
	for _, name := range names {
		if got := read(src, "repositories/"+name); got != name {
			t.Errorf("%s: %s", name, got)
		}
	}
}
