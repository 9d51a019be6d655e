package source

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/klauspost/compress/zstd"
)

// Form is what can be told of a location without reading much of it.
type Form struct {
	Directory bool
	// Stream says that it can only be read from front to end: it is compressed,
	// or comes from standard input or a FIFO.
	Stream bool
	// Parts are the files that it lies in, in their order; none for a directory
	// and for what has no files.
	Parts []string
	// Bytes is the size of these files, or -1 where that cannot be told.
	Bytes int64
	// Unpacked is the least size of the tar that is in them, bytes, or -1 where
	// nothing can be told of it. Of a gzip file with several members it is a guess.
	Unpacked int64
	// Exact says that Unpacked is the size, no less and no more.
	Exact bool
}

// Probe tells what a location is, from the first and last bytes of its files. It
// reads nothing from standard input or a FIFO. Its errors are those of Open.
func Probe(location string) (Form, error) {
	stream := Form{Stream: true, Bytes: -1, Unpacked: -1}
	if location == "-" {
		return stream, nil
	}
	info, err := os.Stat(location)
	switch {
	case err == nil && info.IsDir():
		return Form{Directory: true, Bytes: -1, Unpacked: -1}, nil
	case err == nil && info.Mode()&fs.ModeNamedPipe != 0:
		return stream, nil
	}
	files, err := openLocated(location, info, err)
	if err != nil {
		return Form{}, err
	}
	f, err := files.probe(location)
	return f, errors.Join(err, files.Close())
}

// openLocated opens the files of what is no directory and no FIFO. What is known
// of it, or the error of finding out, comes from os.Stat.
func openLocated(location string, info fs.FileInfo, err error) (*parts, error) {
	switch {
	case err == nil && !info.Mode().IsRegular():
		return nil, notAFile(location, info.Mode())
	case err != nil && !absent(err):
		return nil, noLocation(err)
	}
	names, partsErr := findParts(location)
	switch {
	case partsErr != nil:
		return nil, partsErr
	case len(names) == 0:
		return nil, noLocation(err)
	}
	return openParts(names)
}

func (p *parts) probe(location string) (Form, error) {
	first, err := p.first()
	if err != nil {
		return Form{}, err
	}
	format := sniff(first)
	if format == unknownFormat {
		return Form{}, notAnArchive(location, first)
	}
	f := Form{Stream: format != tarFormat, Bytes: p.size, Unpacked: p.size}
	for _, file := range p.files {
		f.Parts = append(f.Parts, file.Name())
	}
	switch format {
	case tarFormat:
		f.Exact = true
	case gzipFormat:
		f.Unpacked = gzipUnpacked(p, p.size)
	case zstdFormat:
		f.Unpacked = max(p.size, zstdUnpacked(first))
	case xzFormat:
		if size, exact := xzUnpacked(p, p.size); size > 0 {
			f.Unpacked, f.Exact = size, exact
		}
	}
	return f, nil
}

// first reads as much as is needed to tell what the files are.
func (p *parts) first() ([]byte, error) {
	first := make([]byte, sniffed)
	n, err := p.ReadAt(first, 0)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("opening source: %w", err)
	}
	return first[:n], nil
}

// gzipUnpacked goes by the last four bytes of a gzip file: what its last member
// unpacks to, modulo 4 GiB (RFC 1952, 2.3.1). Compression makes nothing longer
// by more than a hundredth.
func gzipUnpacked(r io.ReaderAt, size int64) int64 {
	var last [4]byte
	if _, err := r.ReadAt(last[:], max(size-4, 0)); err != nil {
		return size
	}
	unpacked := int64(binary.LittleEndian.Uint32(last[:]))
	for unpacked < size-size/100 {
		unpacked += 1 << 32
	}
	return unpacked
}

// zstdUnpacked is what the first frame of a zstd file says that it unpacks to.
func zstdUnpacked(first []byte) int64 {
	var h zstd.Header
	if err := h.Decode(first); err != nil || !h.HasFCS || h.FrameContentSize > 1<<62 {
		return 0
	}
	return int64(h.FrameContentSize)
}

const (
	xzEnds      = 12       // bytes of a stream's header, and of its footer
	maxXzIndex  = 64 << 20 // bytes
	maxXzStream = 1000     // streams that are looked at
)

// xzUnpacked adds up what the indexes of a xz file say, from its last stream
// back to the first: "The .xz File Format", 2.1.2 and 4. It is exact if they
// could all be read.
func xzUnpacked(r io.ReaderAt, end int64) (unpacked int64, exact bool) {
	for range maxXzStream {
		if end == 0 {
			return unpacked, true
		}
		var footer [xzEnds]byte
		if end < 2*xzEnds {
			break
		}
		if _, err := r.ReadAt(footer[:], end-xzEnds); err != nil {
			break
		}
		if isZero(footer[xzEnds-4:]) { // padding between streams
			end -= 4
			continue
		}
		index := (int64(binary.LittleEndian.Uint32(footer[4:])) + 1) * 4
		if string(footer[10:]) != "YZ" || index > maxXzIndex || index > end-2*xzEnds {
			break
		}
		b := make([]byte, index)
		if _, err := r.ReadAt(b, end-xzEnds-index); err != nil {
			break
		}
		blocks, size, ok := xzIndex(b)
		end -= xzEnds + index + blocks + xzEnds
		if !ok || end < 0 || size > 1<<62-unpacked {
			break
		}
		unpacked += size
	}
	return unpacked, false
}

// xzIndex adds up the blocks of a stream: what they take, and what they unpack to.
func xzIndex(b []byte) (blocks, unpacked int64, ok bool) {
	if b[0] != 0 {
		return 0, 0, false
	}
	b = b[1:]
	number := func() int64 {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > 1<<62 {
			ok = false
			return 0
		}
		b = b[size:]
		return int64(n)
	}
	ok = true
	for count := number(); ok && count > 0; count-- {
		blocks += (number() + 3) &^ 3
		unpacked += number()
		if blocks < 0 || unpacked < 0 {
			return 0, 0, false
		}
	}
	return blocks, unpacked, ok
}
