package source_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// scanned is what a scan says of a source: each tag with its digest, and every
// finding.
func scanned(t *testing.T, src source.Source) (all []string) {
	t.Helper()
	x, err := storage.Scan(context.Background(), src, &storage.ScanOptions{Thorough: true, ReadData: true})
	if err != nil {
		t.Fatal(err)
	}
	for r := range x.Repositories() {
		for _, tag := range r.Tags {
			all = append(all, fmt.Sprintf("%s:%s %s %s", r.Name, tag.Name, tag.Digest, tag.Updated.UTC()))
		}
	}
	for _, f := range x.Findings() {
		if f.Code == report.RepositoryLoop || f.Code == report.Unreadable {
			f.Detail = "" // which has the system's words in it
		}
		all = append(all, fmt.Sprint(f))
	}
	return all
}

// TestScan: a scan says the same of an archive as of the directory.
func TestScan(t *testing.T) {
	odd := tree(t, rich+`
		symlink repositories/round/and/about ..
		symlink repositories/library/self .
		symlink repositories/p/q ../q
		symlink repositories/q/p ../p
		corrupt blob:large
		write tag:a/b/c:latest
		mkfifo revision:library/app@other
		symlink blob:top nowhere
	`)
	for name, dir := range map[string]string{
		"odd": odd, "distribution 3": "../../testdata/distribution-3", "distribution 2.8": "../../testdata/distribution-2.8",
	} {
		t.Run(name, func(t *testing.T) {
			want := scanned(t, open(t, dir))
			for i := range want { // an archive's names have nothing before them
				want[i] = strings.ReplaceAll(want[i], filepath.Join(dir, v2)+"/", "")
			}
			if len(want) < 5 {
				t.Fatalf("only %v", want)
			}
			content := members(t, dir, "", tar.FormatPAX)
			for how, src := range map[string]source.Source{
				"in place":  openWith(t, save(t, "a.tar", content), nil),
				"unpacked":  openWith(t, save(t, "a.tgz", gzipped(t, content)), &source.Options{Unpack: t.TempDir()}),
				"looked at": openWith(t, save(t, "a.tar.zst", zstded(t, content)), nil),
			} {
				if diff := cmp.Diff(want, scanned(t, src)); diff != "" {
					t.Errorf("%s: %s", how, clipped(diff))
				}
			}
		})
	}
}

// TestGenuineArchive: the archive of a real registry's storage.
func TestGenuineArchive(t *testing.T) {
	want := scanned(t, open(t, "../../testdata/distribution-2.8"))
	got := scanned(t, openWith(t, "../../testdata/distribution-2.8.tar.gz", nil))
	untimed := func(all []string) (some []string) {
		for _, line := range all { // the archive has other times than a checkout
			if !strings.Contains(line, " sha256:") {
				some = append(some, line)
			}
		}
		return some
	}
	if diff := cmp.Diff(untimed(want), untimed(got)); diff != "" || len(want) != len(got) {
		t.Error(clipped(diff))
	}
}

// TestCommittedBzip2 reads a bzip2 file without the program.
func TestCommittedBzip2(t *testing.T) {
	src := openWith(t, "testdata/small.tar.bz2", nil)
	if got := read(src, "repositories/app/_manifests/tags/v1/current/link"); got != "sha256:"+hex {
		t.Errorf("%q", got)
	}
	if f := told(src); len(f) > 0 {
		t.Error(f)
	}
}

// TestMemory: a member of nothing takes few bytes, and so do names that are
// there before.
func TestMemory(t *testing.T) {
	const many = 250_000
	i := 0
	var pending []byte
	endless := readerFunc(func(p []byte) (n int, _ error) {
		for n < len(p) && i <= many {
			if len(pending) == 0 {
				pending = block(fmt.Sprintf("%srepositories/r%d/_layers/sha256/%064d/link", v2, i/100, i%1000), '0', 0, "")
				if i++; i > many {
					pending = append(pending, ending...)
				}
			}
			copied := copy(p[n:], pending)
			n, pending = n+copied, pending[copied:]
		}
		if n == 0 {
			n = copy(p, pending)
			pending = pending[n:]
		}
		if n == 0 {
			return 0, io.EOF
		}
		return n, nil
	})
	before := heap()
	src := openWith(t, "-", &source.Options{Stdin: endless})
	after := heap()
	if each := (after - before) / many; each > 130 { // two nodes each, and some names
		t.Errorf("%d bytes for each member", each)
	}
	if info, err := src.Stat(fmt.Sprintf("repositories/r0/_layers/sha256/%064d/link", 7)); err != nil || info.Size() != 0 {
		t.Errorf("%v, %v", info, err)
	}
	runtime.KeepAlive(src)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestClosed: after Close, files of an archive cannot be read any more, and
// nothing panics.
func TestClosed(t *testing.T) {
	content := tape(file(tagV1, "x"), file(v2+"repositories/large", strings.Repeat("y", 100_000)))
	for _, location := range []string{save(t, "a.tar", content), save(t, "a.tgz", gzipped(t, content))} {
		src, err := source.Open(context.Background(), location, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := src.Close(); err != nil {
			t.Error(err)
		}
		if got := read(src, "repositories/app/_manifests/tags/v1/current/link"); !strings.HasPrefix(got, "error") {
			t.Errorf("%s: %q", location, got)
		}
	}
}

// TestChanged: an archive that gets shorter while it is read is no file's end.
func TestChanged(t *testing.T) {
	content := tape(file(tagV1, "x"), file(v2+"repositories/large", strings.Repeat("y", 100_000)))
	path := save(t, "a.tar", content)
	src := openWith(t, path, nil)
	if err := os.Truncate(path, 5000); err != nil {
		t.Fatal(err)
	}
	if got := read(src, "repositories/large"); !strings.HasPrefix(got, "error") {
		t.Errorf("%d bytes", len(got))
	}
	parts := t.TempDir()
	cut(t, parts, content, "a.001", "a.002")
	src = openWith(t, filepath.Join(parts, "a.001"), nil)
	if err := os.Truncate(filepath.Join(parts, "a.001"), 5000); err != nil {
		t.Fatal(err)
	}
	if got := read(src, "repositories/large"); !strings.HasPrefix(got, "error") || bytes.Contains([]byte(got), []byte("file does not exist")) {
		t.Errorf("%.100q", got)
	}
}
