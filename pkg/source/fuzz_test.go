package source_test

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

func seeds(t testing.TB) (all [][]byte) {
	content, _ := cutTape()
	name := strings.Repeat("n", 120)
	all = [][]byte{
		content, content[:len(content)-1500], tape(), nil,
		tape(symlink("v2/blobs", "../x"), symlink("x", "v2"), link("a", "b"), link("b", "a"), dirEntry("v2/blobs/sha256"), file("v2/repositories/a", "x")),
		tape(pax(file("x", "pax"), "path=docker/registry/v2/"+name, "mtime=1.5", "size=3"), gnuLong('L', v2+name, file("x", "gnu")), gnuLong('K', name, link(v2+"l", "x"))),
		tape(pax(append(block("GNUSparseFile.0/x", '0', 512, ""), pad("1\n5\n3\nabc")...), "GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=v2/blobs/sha256/x", "GNU.sparse.realsize=9")),
		tape(block(v2+"blobs/sha256/x", '0', 1<<62, "")), tape(file("manifest.json", "[]")), tape(file("app:v1/manifest.json", "{}"), file("app:v1/version", "1"), file("app:v1/"+hex, "x")),
		[]byte("PK\x03\x04"), []byte("text"), []byte("\x1f\x8b\x08\x00"),
	}
	old := block(v2+"blobs/sha256/x", 'S', 3, "")
	copy(old[386:], "00000000005\x0000000000003\x00")
	copy(old[483:], "00000000011\x00")
	copy(old[257:], "ustar  \x00")
	return append(all, tape(sealed(old), pad("abc")))
}

// FuzzTar: whatever the bytes, nothing panics, and what opens can be walked and
// read, in place and as a stream; where archive/tar reads all of it, both read
// the same.
func FuzzTar(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		if len(content) > 64<<10 {
			return
		}
		file := filepath.Join(t.TempDir(), "a")
		if err := os.WriteFile(file, content, 0o644); err != nil {
			t.Fatal(err)
		}
		for _, opts := range []*source.Options{nil, {Unpack: t.TempDir()}} {
			if src, err := source.Open(context.Background(), file, opts); err == nil {
				walk(t, src)
			}
			opts := source.Options{Stdin: bytes.NewReader(content)}
			if src, err := source.Open(context.Background(), "-", &opts); err == nil {
				walk(t, src)
			}
		}
		_, _ = source.Probe(file)
		likeArchiveTar(t, content)
	})
}

// walk reads everything of a source, and expects no more than there is.
func walk(t *testing.T, src source.Source) {
	defer src.Close()
	files := 0
	err := fs.WalkDir(src, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			if e == nil || !fs.ValidPath(name) {
				return nil
			}
			return err
		}
		files++
		info, err := src.Stat(name)
		if err != nil || !info.Mode().IsRegular() {
			return nil
		}
		f, err := src.Open(name)
		if err != nil {
			return nil
		}
		defer f.Close()
		if info.Size() > 1<<30 {
			return nil // holes
		}
		n, err := io.Copy(io.Discard, f)
		if n != info.Size() && err == nil {
			t.Errorf("%s: %d bytes, its size is %d", name, n, info.Size())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for _, f := range src.(source.FindingsFS).Findings() {
		if f.Code == "" || f.Level == "" {
			t.Errorf("%v", f)
		}
	}
}

// likeArchiveTar holds what is read against what archive/tar reads, where that
// is all of it and nothing in it is read otherwise on purpose.
func likeArchiveTar(t *testing.T, content []byte) {
	want, readable := byArchiveTar(content)
	if !readable || len(want) == 0 {
		return
	}
	r := tar.NewReader(bytes.NewReader(content))
	for {
		h, err := r.Next()
		if err != nil {
			break
		}
		switch {
		case h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir && h.Typeflag != tar.TypeSymlink && h.Typeflag != tar.TypeLink:
			return
		case h.Size > 0 && h.Typeflag != tar.TypeReg, h.Size > 1<<20, len(h.PAXRecords) > 0, h.Format == tar.FormatGNU, h.Format == tar.FormatUnknown:
			return
		}
	}
	got, damages := source.Members(content)
	if damages > 0 {
		return // archive/tar stops at the first end; behind it there may be anything
	}
	if len(got) > len(want) {
		got = got[:len(want)]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// FuzzPacked: whatever a compressed stream holds, its reading ends.
func FuzzPacked(f *testing.F) {
	content, _ := cutTape()
	t := &testing.T{}
	for _, pack := range [][]byte{gzipped(t, content), gzippedTwice(t, content), zstded(t, content), zstdedTwice(t, content), xzed(t, content)} {
		f.Add(pack)
		f.Add(pack[:len(pack)/2])
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		if len(content) > 16<<10 {
			return
		}
		stdin := &source.Options{Stdin: bytes.NewReader(content)}
		if src, err := source.Open(context.Background(), "-", stdin); err == nil {
			walk(t, src)
		}
		file := filepath.Join(t.TempDir(), "a")
		if err := os.WriteFile(file, content, 0o644); err != nil {
			t.Fatal(err)
		}
		_, _ = source.Probe(file)
	})
}
