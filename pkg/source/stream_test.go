package source_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

func fifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFIFO: what a shell's <(…) gives is read once, whatever it holds.
func TestFIFO(t *testing.T) {
	dir := tree(t, rich)
	want := look(t, open(t, dir), true)
	plain := members(t, dir, "./", tar.FormatGNU)
	for _, content := range [][]byte{plain, gzipped(t, plain), zstded(t, plain)} {
		path := fifo(t)
		if form, err := source.Probe(path); err != nil || !form.Stream || form.Bytes != -1 {
			t.Errorf("%v, %v", form, err)
		}
		wrote := make(chan error, 1)
		go func() { wrote <- os.WriteFile(path, content, 0) }()
		same(t, passed(want, false), openWith(t, path, &source.Options{Unpack: t.TempDir()}), true)
		if err := <-wrote; err != nil {
			t.Error(err)
		}
	}
}

// TestWaiting: the end of ctx ends a wait, for a writer and for what it writes.
func TestWaiting(t *testing.T) {
	begun := tape(file(tagV1, "x"))[:1024]
	for name, open := range map[string]func(ctx context.Context) error{
		"for a writer": func(ctx context.Context) error {
			_, err := source.Open(ctx, fifo(t), nil)
			return err
		},
		"for the rest": func(ctx context.Context) error {
			r, w := io.Pipe()
			defer w.Close()
			go w.Write(bytes.Join([][]byte{begun, make([]byte, 1<<20)}, nil)) // which is never read to its end
			_, err := source.Open(ctx, "-", &source.Options{Stdin: r})
			return err
		},
		"for the rest of zstd": func(ctx context.Context) error {
			r, w := io.Pipe()
			defer w.Close()
			all := zstded(t, tape(file(tagV1, "x"), file("blobs/x", string(noise(1<<20)))))
			go w.Write(all[:len(all)-1000])
			_, err := source.Open(ctx, "-", &source.Options{Stdin: r})
			return err
		},
		"for the first byte": func(ctx context.Context) error {
			r, w := io.Pipe()
			defer w.Close()
			_, err := source.Open(ctx, "-", &source.Options{Stdin: r})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- open(ctx) }()
			select {
			case err := <-done:
				t.Fatalf("it did not wait: %v", err)
			case <-time.After(20 * time.Millisecond):
			}
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
		})
	}
}

// noise is bytes that do not compress.
func noise(n int) []byte {
	b := make([]byte, n)
	x := uint64(88172645463325252)
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
	return b
}

// TestStdinRefused: no standard input, and devices.
func TestStdinRefused(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, open := range []func() (source.Source, error){
		func() (source.Source, error) { return source.Open(context.Background(), "-", nil) },
		func() (source.Source, error) {
			return source.Open(context.Background(), "-", &source.Options{Stdin: null})
		},
		func() (source.Source, error) { return source.Open(context.Background(), os.DevNull, nil) },
	} {
		if _, err := open(); err == nil || report.Advice(err) == "" {
			t.Errorf("%v", err)
		}
	}
	if _, err := source.Probe(os.DevNull); err == nil || !strings.Contains(report.Advice(err), "dd if=") {
		t.Errorf("%v", err)
	}
}

// TestProgress: it never goes back, and comes to its end where that is known.
func TestProgress(t *testing.T) {
	content := tape(file(tagV1, "x"), file(v2+"blobs/large", string(noise(9<<20))), file(v2+"blobs/large2", string(noise(9<<20))))
	for name, pack := range map[string][]byte{"plain": content, "zstd": zstded(t, content), "gzip": gzipped(t, content)} {
		var all []report.Progress
		opts := &source.Options{Progress: func(p report.Progress) { all = append(all, p) }}
		openWith(t, save(t, name, pack), opts)
		last := int64(-1)
		for _, p := range all {
			if p.Stage != "read" || p.Unit != "bytes" || p.Total != int64(len(pack)) || p.Done <= last || p.Done > p.Total {
				t.Errorf("%s: %v after %d", name, p, last)
			}
			last = p.Done
		}
		if len(all) < 3 || last != int64(len(pack)) {
			t.Errorf("%s: %d times, up to %d of %d", name, len(all), last, len(pack))
		}
	}
}

// TestWindow: a stream that takes too much memory is refused before it takes it.
func TestWindow(t *testing.T) {
	frame := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0, 0, 0}                    // a window of 2 GiB
	xzHeader := "\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x26\x00\x00\x00" // a dictionary of 2 GiB
	for name, content := range map[string]string{"zstd": string(frame) + strings.Repeat("x", 100), "xz": xzHeader + strings.Repeat("x", 100)} {
		_, err := source.Open(context.Background(), save(t, "a", []byte(content)), nil)
		if err == nil || !strings.Contains(err.Error(), "512 MiB") || !strings.Contains(report.Advice(err), "| drydock … -") {
			t.Errorf("%s: %v; %s", name, err, report.Advice(err))
		}
	}
}

// TestProbe: what can be told beforehand.
func TestProbe(t *testing.T) {
	dir := tree(t, sound)
	plain := tape(file(tagV1, "x"), file(v2+"repositories/zeros", strings.Repeat("0", 3_000_000)))
	size := int64(len(plain))
	for _, c := range []struct {
		name    string
		content []byte
		want    source.Form
	}{
		{"plain", plain, source.Form{Bytes: size, Unpacked: size, Exact: true}},
		{"gzip", gzipped(t, plain), source.Form{Stream: true, Unpacked: size}},
		{"xz", xzed(t, plain), source.Form{Stream: true, Unpacked: size, Exact: true}},
		{"xz of two streams, with padding", append(append(xzed(t, plain[:1000]), make([]byte, 8)...), xzed(t, plain[1000:])...), source.Form{Stream: true, Unpacked: size, Exact: true}},
		{"zstd with its size", zstdSized(t, plain), source.Form{Stream: true, Unpacked: size}},
		{"zstd without", zstded(t, plain), source.Form{Stream: true, Unpacked: int64(len(zstded(t, plain)))}},
		{"bzip2", []byte("BZh91AY&SY----------"), source.Form{Stream: true, Unpacked: 20}},
		{"gzip of noise", gzipped(t, noise(100_000)), source.Form{Stream: true, Unpacked: 100_000}},
		{"gzip that is cut", gzipped(t, noise(100_000))[:60_000], source.Form{Stream: true, Unpacked: -2}},
		{"xz that is cut", xzed(t, plain)[:200], source.Form{Stream: true, Unpacked: 200}},
	} {
		path := save(t, "a", c.content)
		c.want.Parts, c.want.Bytes = []string{path}, int64(len(c.content))
		got, err := source.Probe(path)
		if c.want.Unpacked == -2 && got.Unpacked >= 59_400 {
			got.Unpacked = -2 // rubbish, but not less than there is
		}
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %s%v", c.name, diff, err)
		}
	}
	for location, want := range map[string]source.Form{
		dir: {Directory: true, Bytes: -1, Unpacked: -1},
		"-": {Stream: true, Bytes: -1, Unpacked: -1},
	} {
		got, err := source.Probe(location)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
	}
	parts := t.TempDir()
	cut(t, parts, plain, "a.001", "a.002")
	want := source.Form{Bytes: size, Unpacked: size, Exact: true, Parts: []string{filepath.Join(parts, "a.001"), filepath.Join(parts, "a.002")}}
	got, err := source.Probe(filepath.Join(parts, "a.002"))
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for _, location := range []string{filepath.Join(dir, "absent"), save(t, "a.zip", []byte("PK\x03\x04")), save(t, "empty", nil)} {
		if _, err := source.Probe(location); err == nil || report.Advice(err) == "" {
			t.Errorf("%s: %v", location, err)
		}
	}
}

// TestFree: of a directory that is not there, and of one that is.
func TestFree(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "not/yet/there"), "."} {
		if free, err := source.Free(path); err != nil || free <= 0 {
			t.Errorf("%s: %d, %v", path, free, err)
		}
	}
	if _, err := source.Free(filepath.Join(save(t, "file", nil), "below")); err == nil {
		t.Error("below a file there is room")
	}
}
