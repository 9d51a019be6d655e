package bundle

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// Result is what became of writing a bundle.
type Result struct {
	// Outcomes has one of each image of the plan, in its order: done where the
	// bundle has it, skipped where the base has it, failed where its bytes were
	// not to be had. The target is the path of its layout. Where one volume was
	// made again, only the bytes in it were looked at.
	Outcomes []report.Outcome
	// Findings are about bytes that could not be read, or are not those of their
	// digest. The archive has zeros in the place of what is missing.
	Findings []report.Finding
	// Inventory is that of the bundle without the images that failed.
	Inventory *Inventory
	// Files are the names of those that were written, with their directory: the
	// archive or its volumes, their checksums and the inventory.
	Files []string
	// Bytes is the length of the archive or, where one volume was made again, of
	// that volume.
	Bytes int64
}

// Write writes the archive as a plain tar, such as to standard output. The
// source is a file system in which the options' Path leads to blobs. What cannot
// be read of it is in the result; errors are those of writing, and of ctx.
func (b *Bundle) Write(ctx context.Context, src fs.FS, w io.Writer) (*Result, error) {
	if b.opts.VolumeSize != 0 || b.opts.Only != 0 {
		return nil, report.WithHint(errors.New("writing bundle: a stream is not cut into volumes"), "name a file, or cut the stream with split")
	}
	res, err := b.write(ctx, src, &output{w: buffered(w)})
	if err != nil {
		return nil, fmt.Errorf("writing bundle: %w", err)
	}
	return res, nil
}

// write writes the archive and says what became of each image.
func (b *Bundle) write(ctx context.Context, src fs.FS, out *output) (*Result, error) {
	r := &run{
		b: b, src: src, out: out,
		buffer: make([]byte, 1<<20), sums: map[*content]string{}, damaged: map[digest.Digest]error{},
	}
	// Where only a part is wanted, what is not known of the checksums need not be
	// found out unless they are in it.
	r.sumless = out.passes != nil && out.passes(b.size-int64(len(trailer))-b.sums-padding(b.sums), b.size)
	if err := r.archive(ctx); err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return r.result()
}

// output is where the archive goes. It counts.
type output struct {
	w   *bufio.Writer
	pos int64
	// passes tells whether nothing of the archive from one place to another is
	// wanted, so that skip need be told of it alone; nil: all is wanted.
	passes func(from, to int64) bool
	skip   func(n int64)
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	o.pos += int64(n)
	return n, err
}

// pass skips the next bytes, if they are not wanted.
func (o *output) pass(n int64) (passed bool, err error) {
	if o.passes == nil || !o.passes(o.pos, o.pos+n) {
		return false, nil
	}
	if err := o.w.Flush(); err != nil {
		return false, err
	}
	o.skip(n)
	o.pos += n
	return true, nil
}

// buffered gathers headers and small blobs.
func buffered(w io.Writer) *bufio.Writer { return bufio.NewWriterSize(w, 1<<20) }

// run is the writing of one archive.
type run struct {
	b       *Bundle
	src     fs.FS
	out     *output
	buffer  []byte
	told    int64               // where the archive was when progress was last told
	sumless bool                // nobody asks for SHA256SUMS
	sums    map[*content]string // what was not known beforehand, hexadecimal
	damaged map[digest.Digest]error
	found   []report.Finding
}

func (r *run) archive(ctx context.Context) error {
	for e := range r.b.entries() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.entry(ctx, e); err != nil {
			return err
		}
		r.progress()
	}
	_, err := r.out.Write(trailer)
	if err == nil {
		err = r.out.w.Flush()
	}
	if err == nil && r.out.pos != r.b.size {
		err = fmt.Errorf("the archive has %d bytes, foreseen were %d", r.out.pos, r.b.size)
	}
	return err
}

// progress is told every now and then.
func (r *run) progress() {
	if r.b.opts.Progress != nil && r.out.pos >= r.told+1<<20 {
		r.told = r.out.pos
		r.b.opts.Progress(report.Progress{Stage: "bundle", Done: r.out.pos, Total: r.b.size, Unit: "bytes"})
	}
}

// entry writes a member: header, bytes, padding.
func (r *run) entry(ctx context.Context, e entry) error {
	header, err := e.header()
	if err != nil {
		return err
	}
	if _, err := r.out.Write(header); err != nil {
		return err
	}
	if e.kind != tar.TypeReg {
		return nil
	}
	start := r.out.pos
	if err := r.bytes(ctx, e); err != nil {
		return err
	}
	if n := r.out.pos - start; n != e.size {
		return fmt.Errorf("writing %s: %d bytes, foreseen were %d", e.name, n, e.size)
	}
	return r.zeros(ctx, padding(e.size))
}

func (r *run) bytes(ctx context.Context, e entry) error {
	switch {
	case e.content != nil:
		return r.content(ctx, e.content)
	case e.name == InventoryName:
		_, err := r.b.inventory.WriteTo(r.out)
		return err
	case e.name == sumsName:
		return r.writeSums()
	}
	_, err := io.WriteString(r.out, e.text)
	return err
}

var zeros [64 << 10]byte

// zeros writes so many of them.
func (r *run) zeros(ctx context.Context, n int64) error {
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		some, err := r.out.Write(zeros[:min(n, int64(len(zeros)))])
		if err != nil {
			return err
		}
		n -= int64(some)
	}
	return nil
}

// result says what became of each image.
func (r *run) result() (*Result, error) {
	res := &Result{Bytes: r.out.pos, Findings: r.found}
	report.SortFindings(res.Findings)
	failed := map[string]bool{}
	for n := range r.b.images {
		i := &r.b.images[n]
		o := report.Outcome{Source: i.Source.String(), Target: i.LayoutPath(), Digest: i.Manifest.Digest.String(), Status: report.Done}
		if is, _ := r.b.inventory.Image(i.Source.Repository, i.Source.Tag, i.Manifest.Digest); is.LeftOut {
			o.Status = report.Skipped
		} else if err := r.whyNot(i); err != nil {
			o.Status, o.Error = report.Failed, withAdvice(err)
			failed[o.Target] = true
		}
		res.Outcomes = append(res.Outcomes, o)
	}
	res.Inventory = r.b.inventory
	if len(r.damaged) == 0 {
		return res, nil
	}
	var err error
	res.Inventory, err = r.b.inventory.without(failed)
	return res, err
}

func withAdvice(err error) string {
	if advice := report.Advice(err); advice != "" {
		return err.Error() + " (" + advice + ")"
	}
	return err.Error()
}

// whyNot is what keeps an image from being carried.
func (r *run) whyNot(i *plan.Image) error {
	if err := r.b.refused[i.LayoutPath()]; err != nil {
		return err
	}
	for _, d := range i.Manifests {
		if err := r.damaged[d.Digest]; err != nil {
			return err
		}
	}
	for _, d := range i.Blobs {
		if err := r.damaged[d.Digest]; err != nil {
			return err
		}
	}
	return nil
}
