package bundle

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// TestCompress: what comes out depends on the bytes alone.
func TestCompress(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var content []byte
	for len(content) < 9<<20 {
		if random.IntN(2) == 0 {
			content = append(content, strings.Repeat(fmt.Sprint(random.Uint64()), random.IntN(5000))...)
			continue
		}
		for range random.IntN(50_000) {
			content = append(content, byte(random.Uint32()))
		}
	}
	write := func(z io.WriteCloser, err error, piece func() int) {
		for rest := content; err == nil && len(rest) > 0; {
			n := min(piece(), len(rest))
			_, err = z.Write(rest[:n])
			rest = rest[n:]
		}
		if err == nil {
			err = z.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	whole := func() int { return len(content) }
	var want bytes.Buffer
	z, err := compress(&want)
	write(z, err, whole)
	for name, piece := range map[string]func() int{"whole": whole, "pieces": func() int { return 1 + random.IntN(1<<18) }} {
		for _, cores := range []int{1, 2, 8} {
			var got bytes.Buffer
			z, err := zstd.NewWriter(&got, zstd.WithEncoderConcurrency(cores))
			write(z, err, piece)
			if !bytes.Equal(want.Bytes(), got.Bytes()) {
				t.Errorf("%s with %d cores gives other bytes", name, cores)
			}
		}
	}
	r, err := zstd.NewReader(&want)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if back, err := io.ReadAll(r); err != nil || !bytes.Equal(content, back) {
		t.Errorf("it does not come back, error %v", err)
	}
}

// TestHeader: what is foreseen of a header's length is right, and a reader finds
// in it what was meant.
func TestHeader(t *testing.T) {
	long := strings.Repeat("long/", 30) + strings.Repeat("x", 120)
	for _, e := range []entry{
		{name: "a", kind: tar.TypeReg},
		{name: strings.Repeat("a", 100), kind: tar.TypeReg, size: 1<<33 - 1},
		{name: strings.Repeat("a", 101), kind: tar.TypeReg, size: 1},
		{name: "a", kind: tar.TypeReg, size: 1 << 33},
		{name: "a", kind: tar.TypeReg, size: 1 << 60},
		{name: strings.Repeat("dir/", 30) + "a", kind: tar.TypeReg},
		{name: long, kind: tar.TypeReg},
		{name: long, kind: tar.TypeLink, link: long + "y"},
		{name: "a", kind: tar.TypeLink, link: strings.Repeat("a", 101)},
		{name: "a", kind: tar.TypeLink, link: strings.Repeat("a", 100)},
		{name: "a:b/", kind: tar.TypeDir, time: time.Unix(1<<33-1, 0)},
		{name: "a:b/", kind: tar.TypeDir, time: time.Unix(1<<33, 0)},
		{name: "a:b/", kind: tar.TypeDir, time: time.Unix(-1, 0)},
	} {
		header, err := e.header()
		if err != nil {
			t.Fatal(err)
		}
		if want := int64(len(header)) + e.size + padding(e.size); e.length() != want || want%block != 0 {
			t.Errorf("%.20s…: %d bytes, foreseen were %d", e.name, want, e.length())
		}
		h, err := tar.NewReader(bytes.NewReader(header)).Next()
		if err != nil || h.Name != e.name || h.Linkname != e.link || h.Size != e.size || h.Typeflag != e.kind || (!e.time.IsZero() && !h.ModTime.Equal(e.time)) {
			t.Errorf("%+v is read as %+v, error %v", e, h, err)
		}
		if plain := len(header) == block; e.isPlain() && !plain {
			t.Errorf("%.20s…: a block is not enough", e.name)
		}
	}
}

// TestForm: numbers have as many digits as the last of them needs.
func TestForm(t *testing.T) {
	for _, tt := range []struct {
		name        string
		volume      int64
		size        int64
		first, last string
		count       int64
	}{
		{"b.tar", 1 << 20, 1 << 20, "b.tar.001", "b.tar.001", 1},
		{"b.tar", 1 << 20, 1<<20 + 1, "b.tar.001", "b.tar.002", 2},
		{"b.tar", 1 << 20, 999 << 20, "b.tar.001", "b.tar.999", 999},
		{"b.tar", 1 << 20, 999<<20 + 1, "b.tar.0001", "b.tar.1000", 1000},
		{"b.tar", 1 << 20, 1 << 40, "b.tar.0000001", "b.tar.1048576", 1 << 20},
		{"b.tar.zst", 1 << 20, 900 << 20, "b.tar.zst.001", "", 0},
		{"b.tar.zst", 1 << 20, 999 << 20, "b.tar.zst.0001", "", 0}, // it might get longer
		{"b.tar", 1 << 62, 1 << 40, "b.tar.001", "b.tar.001", 1},
	} {
		b := &Bundle{opts: Options{VolumeSize: tt.volume}, size: tt.size}
		f, err := b.formOf(tt.name)
		if err != nil {
			t.Fatal(err)
		}
		if f.count != tt.count || f.file(1) != tt.first || (tt.last != "" && f.file(int(tt.count)) != tt.last) {
			t.Errorf("%+v: %+v, %s", tt, f, f.file(1))
		}
	}
}

// TestFullDisk: a volume on a full disk says what helps.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	v := &volumes{most: 1 << 20, current: &volume{file: full, hash: discard{}}}
	_, err = v.Write(make([]byte, 10))
	if !strings.Contains(report.Advice(err), "make room") {
		t.Errorf("%v; %q", err, report.Advice(err))
	}
	if advice := report.Advice(advise(&os.PathError{Op: "write", Path: "x", Err: syscall.EFBIG})); !strings.Contains(advice, "--volume-size") {
		t.Errorf("too large a file: %q", advice)
	}
}

// discard is a hash that nobody asks.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Sum(b []byte) []byte         { return b }
func (discard) Reset()                      {}
func (discard) Size() int                   { return 0 }
func (discard) BlockSize() int              { return 1 }
