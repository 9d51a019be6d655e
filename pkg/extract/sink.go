package extract

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// sink is what files are written to: a tar, or a directory.
type sink interface {
	// write writes a file of a size in bytes.
	write(name string, size int64, from io.Reader) error
	// finish ends what is whole.
	finish() error
}

// tarSink writes the same tar for the same files: they have no time but the epoch.
type tarSink struct{ w *tar.Writer }

func newTarSink(w io.Writer) sink { return tarSink{tar.NewWriter(w)} }

func (t tarSink) write(name string, size int64, from io.Reader) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: time.Unix(0, 0)}
	if err := t.w.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.Copy(t.w, from)
	return err
}

func (t tarSink) finish() error { return t.w.Close() }

// dirSink writes below a directory.
type dirSink struct{ dir string }

func (d dirSink) write(name string, _ int64, from io.Reader) error {
	path := filepath.Join(d.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func (d dirSink) finish() error { return nil }

// copy writes a blob or a manifest, and holds it against its digest.
func (i *Image) copy(ctx context.Context, to sink, name string, d digest.Digest, size int64) error {
	f, err := i.src.Open(i.index.Path(d))
	if err != nil {
		return fmt.Errorf("reading %s: %w", d, err)
	}
	defer f.Close()
	from := &checked{ctx: ctx, from: f, left: size, verifier: d.Verifier(), digest: d}
	if err := to.write(name, size, from); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// checked reads so many bytes, no less and no more, and holds them against their
// digest before it gives the last of them.
type checked struct {
	ctx      context.Context
	from     io.Reader
	left     int64 // bytes
	verifier digest.Verifier
	digest   digest.Digest
}

// errDamaged is wrapped where bytes do not have their digest.
var errDamaged = errors.New("its bytes are not those of its digest")

func (c *checked) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	var n int
	var err error
	if c.left > 0 {
		n, err = c.from.Read(p[:min(int64(len(p)), c.left)])
		c.left -= int64(n)
		_, _ = c.verifier.Write(p[:n])
	}
	switch {
	case err != nil && err != io.EOF:
		return n, err
	case c.left > 0 && err == io.EOF:
		return n, fmt.Errorf("%s: %w: it ends too early", c.digest, errDamaged)
	case c.left > 0:
		return n, nil
	case !c.verifier.Verified():
		return 0, fmt.Errorf("%s: %w", c.digest, errDamaged) // what was read last goes nowhere, so that a pipe gets no whole file either
	}
	return n, io.EOF
}

// content reads a manifest into memory.
func (i *Image) content(d digest.Digest, size int64) ([]byte, error) {
	f, err := i.src.Open(i.index.Path(d))
	if err != nil {
		return nil, fmt.Errorf("reading manifest %s: %w", d, err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, size+1))
	if err != nil {
		return nil, fmt.Errorf("reading manifest %s: %w", d, err)
	}
	if !storage.HasDigest(content, d) {
		return nil, fmt.Errorf("reading manifest %s: %w", d, errDamaged)
	}
	return content, nil
}
