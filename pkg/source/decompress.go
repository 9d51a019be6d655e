package source

import (
	"bufio"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// maxWindow bounds how far back a compressed stream may refer, bytes: so much
// memory its decompression takes.
const maxWindow = 512 << 20

// errTrailing is something behind the end of what was compressed. It is of no
// interest if the tar is at its end too.
var errTrailing = errors.New("what was compressed ends, and something else follows")

// errWindow is a stream that refers too far back.
var errWindow = fmt.Errorf("its decompression takes more than %d MiB of memory", maxWindow>>20)

// decompress reads what was compressed by a format. It fails where the stream
// cannot even be begun.
func decompress(f format, r *bufio.Reader) (io.ReadCloser, error) {
	switch f {
	case gzipFormat:
		return newGunzip(r)
	case zstdFormat:
		return newUnzstd(r)
	case xzFormat:
		return newUnxz(r)
	case bzip2Format:
		return io.NopCloser(&lasting{r: bzip2.NewReader(r), trailing: "bzip2 data invalid: bad magic value in continuation file"}), nil
	default:
		return io.NopCloser(r), nil
	}
}

// gunzip reads the members of a gzip file, and passes over the zeros that tapes
// and disks leave behind the last.
type gunzip struct {
	from *bufio.Reader
	r    *gzip.Reader
}

func newGunzip(from *bufio.Reader) (io.ReadCloser, error) {
	r, err := gzip.NewReader(from)
	if err != nil {
		return nil, unexpected(err)
	}
	r.Multistream(false)
	return &gunzip{from, r}, nil
}

func (g *gunzip) Close() error { return g.r.Close() }

func (g *gunzip) Read(p []byte) (int, error) {
	n, err := g.r.Read(p)
	if err == io.EOF {
		err = g.next()
	}
	return n, err
}

// next goes on to the next member, if there is one.
func (g *gunzip) next() error {
	for {
		b, err := g.from.Peek(1)
		if err != nil {
			return err
		}
		if b[0] != 0 {
			break
		}
		if _, err := g.from.Discard(1); err != nil {
			return err
		}
	}
	if b, _ := g.from.Peek(3); sniffCompression(b) != gzipFormat {
		return errTrailing
	}
	if err := g.r.Reset(g.from); err != nil {
		return unexpected(err)
	}
	g.r.Multistream(false)
	return nil
}

// unzstd reads the frames of a zstd file.
type unzstd struct{ *zstd.Decoder }

func newUnzstd(from io.Reader) (io.ReadCloser, error) {
	d, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, zstdError(err)
	}
	return unzstd{d}, nil
}

func (u unzstd) Close() error {
	u.Decoder.Close()
	return nil
}

func (u unzstd) Read(p []byte) (int, error) {
	n, err := u.Decoder.Read(p)
	return n, zstdError(err)
}

func zstdError(err error) error {
	switch {
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return report.WithHint(errWindow, "zstd -dc --long=31 FILE | drydock … - leaves that to zstd")
	case errors.Is(err, zstd.ErrMagicMismatch):
		return errTrailing
	default:
		return err
	}
}

func newUnxz(from *bufio.Reader) (io.ReadCloser, error) {
	b, _ := from.Peek(xzFirst)
	if xzWindow(b) > maxWindow {
		return nil, report.WithHint(errWindow, "xz -dc FILE | drydock … - leaves that to xz")
	}
	r, err := xz.NewReader(from)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(&lasting{r: r, trailing: "xz: invalid header magic bytes"}), nil
}

const xzFirst = 64 // bytes, at the least, of a stream with a block in it

// xzWindow is the size of the dictionary that the first block of a xz stream
// states, and 0 where it is not found: "The .xz File Format", 3.1 and 5.3.1.
func xzWindow(b []byte) int64 {
	const header, lzma2 = 12, 0x21
	if len(b) < header+3 {
		return 0
	}
	at := header + 2
	for _, flag := range []byte{0x40, 0x80} { // the sizes of the block, if stated
		for stated := b[header+1]&flag != 0; stated && at < len(b); at++ {
			stated = b[at]&0x80 != 0
		}
	}
	if at+3 > len(b) || b[at] != lzma2 || b[at+1] != 1 || b[at+2] > 40 {
		return 0
	}
	bits := int64(b[at+2])
	return (2 | bits&1) << (bits/2 + 11)
}

// lasting keeps to the first error of a decompressor: some would read on behind
// it, and take the rest for something else. What follows a stream it tells from
// damage within it, by the words that the decompressor has for it.
type lasting struct {
	r        io.Reader
	trailing string
	err      error
}

func (l *lasting) Read(p []byte) (n int, err error) {
	if l.err != nil {
		return 0, l.err
	}
	n, l.err = l.r.Read(p)
	if l.err != nil && l.err.Error() == l.trailing {
		l.err = errTrailing
	}
	return n, l.err
}
