package source

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// openLocation opens what a location names, by what it is.
func openLocation(ctx context.Context, location string, opts *Options) (Source, error) {
	if location == "-" {
		in, err := openStdin(ctx, opts.Stdin)
		if err != nil {
			return nil, err
		}
		return openStream(ctx, location, in, opts)
	}
	info, err := os.Stat(location)
	switch {
	case err == nil && info.IsDir():
		return openDir(location)
	case err == nil && info.Mode()&fs.ModeNamedPipe != 0:
		in, err := openFIFO(ctx, location)
		if err != nil {
			return nil, err
		}
		return openStream(ctx, location, in, opts)
	}
	files, err := openLocated(location, info, err)
	if err != nil {
		return nil, err
	}
	return openFiles(ctx, location, files, opts)
}

func noLocation(err error) error {
	return report.WithHint(fmt.Errorf("opening source: %w", err),
		"give the registry's storage directory, often /var/lib/registry, or a tar of it; - is standard input")
}

func notAFile(location string, mode fs.FileMode) error {
	if mode&fs.ModeDevice != 0 {
		return report.WithHint(fmt.Errorf("opening source %s: a device is not read", location),
			"if it holds a tar: dd if="+location+" bs=1M | drydock … -; if it holds a file system, mount it and give the directory")
	}
	return report.WithHint(fmt.Errorf("opening source %s: it is neither a file nor a directory", location),
		"give the registry's storage directory, often /var/lib/registry, or a tar of it")
}

// openFiles reads an archive in one file, or in several parts. A plain tar is
// read in place, and keeps the files open.
func openFiles(ctx context.Context, location string, files *parts, opts *Options) (Source, error) {
	first, err := files.first()
	if err != nil {
		return nil, errors.Join(err, files.Close())
	}
	if sniff(first) == tarFormat {
		a, err := readPlain(ctx, location, files, opts)
		if err != nil {
			return nil, errors.Join(err, files.Close())
		}
		return a, nil
	}
	return openStream(ctx, location, newInput(ctx, io.NewSectionReader(files, 0, files.size), files.size, files), opts)
}

// readPlain reads what is in a tar without reading its files.
func readPlain(ctx context.Context, location string, files *parts, opts *Options) (*archive, error) {
	tape := newPlainTape(readerAtFunc(func(p []byte, at int64) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return files.ReadAt(p, at)
	}), files.size)
	tell := telling(opts, tape, func() int64 { return tape.at }, files.size)
	r := &reader{tape: tape, tree: newTree(), take: leaver{files}, told: &told{}}
	if err := r.run(ctx); err != nil {
		return nil, reading(location, err)
	}
	tell()
	a := &archive{tree: r.tree, plain: files, closers: []io.Closer{files}}
	if err := a.settle(location, r.told); err != nil {
		return nil, err
	}
	return a, nil
}

type readerAtFunc func([]byte, int64) (int, error)

func (f readerAtFunc) ReadAt(p []byte, at int64) (int, error) { return f(p, at) }

// telling lets the tape tell how far the reading of a file has come. What it
// gives tells once more.
func telling(opts *Options, t *tape, done func() int64, total int64) func() {
	if opts.Progress == nil {
		return func() {}
	}
	last := int64(-1)
	t.tell = func() {
		if now := done(); now > last {
			last = now
			opts.Progress(report.Progress{Stage: "read", Done: now, Total: total, Unit: "bytes"})
		}
	}
	return t.tell
}

// openStream reads an archive from front to end, once.
func openStream(ctx context.Context, location string, in *input, opts *Options) (Source, error) {
	defer in.close()
	first, err := in.first(sniffed)
	if err != nil {
		return nil, reading(location, err)
	}
	format := sniff(first)
	if format == unknownFormat {
		return nil, notAnArchive(location, first)
	}
	if format == tarFormat {
		return readStream(ctx, location, in.r, in, opts)
	}
	in.ahead = format == zstdFormat
	r, err := decompress(format, in.r)
	if err != nil {
		return nil, undecompressed(location, format, err)
	}
	defer func() {
		in.stop() // so that a goroutine that waits for input ends
		r.Close()
	}()
	plain := bufio.NewReaderSize(r, chunkSize)
	first, err = plain.Peek(sniffed)
	switch {
	case err != nil && err != io.EOF && len(first) < blockSize:
		return nil, undecompressed(location, format, err)
	case sniff(first) == tarFormat:
		return readStream(ctx, location, plain, in, opts)
	case sniff(first) != unknownFormat:
		return nil, report.WithHint(fmt.Errorf("opening source %s: it is compressed twice, with %s and %s", location, format, sniff(first)),
			"decompress it once, and give that, or pipe it: … | drydock … -")
	default:
		return nil, notAnArchive(fmt.Sprintf("%s, decompressed with %s", location, format), first)
	}
}

func undecompressed(location string, f format, err error) error {
	err = reading(location, fmt.Errorf("decompressing %s: %w", f, unexpected(err)))
	if report.Advice(err) != "" {
		return err
	}
	return report.WithHint(err, "its beginning is damaged, or it ends there: copy or make the archive again")
}

func reading(location string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	err = fmt.Errorf("reading archive %s: %w", location, err)
	if errors.Is(err, errTooMany) {
		err = report.WithHint(err, "is it an archive of a registry's storage? unpack what is meant of it, and give that directory")
	}
	return err
}

// readStream reads a tar that comes by once.
func readStream(ctx context.Context, location string, r io.Reader, in *input, opts *Options) (_ Source, err error) {
	store, err := newStore(opts.Unpack, opts.Keep)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, store.Close())
		}
	}()
	told := &told{}
	if r != in.r {
		told.position = in.position
	}
	tape := newTape(r)
	tell := telling(opts, tape, in.done.Load, in.total)
	read := &reader{tape: tape, tree: newTree(), take: store, told: told, keepRaw: true}
	if err := read.run(ctx); err != nil {
		return nil, reading(location, err)
	}
	tell()
	if err := store.finish(); err != nil {
		return nil, reading(location, err)
	}
	a := &archive{tree: read.tree, store: store, closers: []io.Closer{store}}
	if err := a.settle(location, told); err != nil {
		return nil, err
	}
	return a, nil
}
