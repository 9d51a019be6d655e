package storage

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

// settleBlobs hashes blobs: all of them where that was asked for, else those
// that are kept under another digest, and those whose size is not the one that
// a descriptor states: there, only the hash can tell a truncated blob from a
// descriptor that is wrong.
func (s *scanner) settleBlobs(ctx context.Context) error {
	stated := s.statedSizes()
	var todo []digest.Digest
	var total int64
	for d, b := range s.blobs {
		_, differs := stated[d]
		odd := b.oddity()
		if odd.problem == "" && !b.hashed && odd.away == "" && (s.opts.ReadData || differs || b.doubted || odd.kept != "") {
			todo = append(todo, d)
			total += b.size
		}
	}
	var done atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(runtime.GOMAXPROCS(0), 2))
	for _, d := range todo {
		g.Go(func() error {
			err := s.hashBlob(ctx, d, stated[d], func(n int) {
				s.progress(report.Progress{Stage: "hash", Done: done.Add(int64(n)), Total: total, Unit: "bytes"})
			})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	s.findWrongSizes(stated)
	return nil
}

// statedSizes are the sizes in descriptors that differ from those of the blobs.
// Where descriptors differ among each other, the largest counts.
func (s *scanner) statedSizes() map[digest.Digest]int64 {
	differ := map[digest.Digest]int64{}
	for _, file := range s.manifests {
		for c := range file.names() {
			b := s.blobs[c.Digest]
			if b != nil && b.problem() == "" && c.Size >= 0 && c.Size != b.size {
				differ[c.Digest] = max(differ[c.Digest], c.Size)
			}
		}
	}
	return differ
}

// findWrongSizes notes descriptors that are wrong about sound blobs.
func (s *scanner) findWrongSizes(stated map[digest.Digest]int64) {
	for d, size := range stated {
		b := s.blobs[d]
		if b.problem() == "" {
			f := report.DescriptorSize.New(fmt.Sprintf("a descriptor says %d bytes, there are %d", size, b.size))
			f.Digest, f.Path = d.String(), s.pathOf(d)
			s.find(f)
		}
	}
}

// hashBlob condemns a blob whose bytes are not its digest's. Only the end of
// ctx is an error.
func (s *scanner) hashBlob(ctx context.Context, d digest.Digest, stated int64, read func(int)) error {
	if found, size, ok := s.knownDigest(d); ok {
		read(int(size))
		s.compare(d, found, size, stated)
		return nil
	}
	f, err := s.fsys.Open(s.pathOf(d))
	if err != nil {
		code := openProblem(err, report.BlobNotAFile)
		if code == absent {
			code = report.BlobMissing // it went away since the scan began
		}
		s.condemn(d, code, err.Error())
		return nil
	}
	defer f.Close()
	found, size, err := hash(ctx, f, d.Algorithm(), read)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		s.condemn(d, report.Unreadable, err.Error())
	default:
		s.compare(d, found, size, stated)
	}
	return nil
}

// compare holds what was found under a digest against it.
func (s *scanner) compare(d, found digest.Digest, size, stated int64) {
	switch {
	case found == d:
		s.markHashed(d)
	case stated != 0 && stated != size:
		s.condemn(d, report.BlobTruncated, fmt.Sprintf("%d bytes of %d", size, stated))
	default:
		s.condemn(d, report.BlobCorrupt, "its bytes have the digest "+found.String())
	}
}

// knownDigest is what a source knows that read the bytes already.
func (s *scanner) knownDigest(d digest.Digest) (found digest.Digest, size int64, ok bool) {
	known, ok := s.fsys.(source.DigestFS)
	if !ok {
		return "", 0, false
	}
	found, ok = known.Digest(s.pathOf(d), d.Algorithm())
	return found, s.blob(d).size, ok
}

// buffers are those that blobs are read into.
var buffers = sync.Pool{New: func() any { return new([1 << 20]byte) }}

// hash reads to the end and gives the digest and the number of bytes.
func hash(ctx context.Context, r io.Reader, algorithm digest.Algorithm, read func(int)) (digest.Digest, int64, error) {
	buf := buffers.Get().(*[1 << 20]byte)
	defer buffers.Put(buf)
	h, size := algorithm.Hash(), int64(0)
	for ctx.Err() == nil {
		n, err := r.Read(buf[:])
		h.Write(buf[:n])
		size += int64(n)
		read(n)
		if err == io.EOF {
			return digest.NewDigest(algorithm, h), size, nil
		}
		if err != nil {
			return "", size, err
		}
	}
	return "", size, ctx.Err()
}
