package bundle

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// smallContent is what is read whole and checked before any of it is written,
// bytes: where it is wrong, the archive has zeros and nothing else.
const smallContent = 1 << 20

// content writes the bytes of a blob or a manifest. It always writes as many as
// were foreseen; where the source has none, or others, that is noted. Errors are
// those of writing, and of ctx.
func (r *run) content(ctx context.Context, c *content) error {
	if c.sum != "" || r.sumless {
		if passed, err := r.out.pass(c.size); passed || err != nil {
			return err
		}
	}
	if c.bytes != nil {
		_, err := r.out.Write(c.bytes)
		return err
	}
	f, err := r.open(c)
	if err != nil {
		return r.fill(ctx, c, c.size, err)
	}
	defer f.Close()
	if c.size <= smallContent || c.manifest {
		return r.whole(ctx, c, f)
	}
	return r.stream(ctx, c, f)
}

// errNotRegular is what a directory in a blob's place is.
var errNotRegular = errors.New("not a regular file")

func (r *run) open(c *content) (fs.File, error) {
	f, err := r.src.Open(r.path(c))
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: r.path(c), Err: errNotRegular}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// path is where a content's bytes lie in the source.
func (r *run) path(c *content) string { return r.b.opts.Path(c.digests[0]) }

// whole writes what fits into memory.
func (r *run) whole(ctx context.Context, c *content, f fs.File) error {
	all := make([]byte, c.size)
	n, err := io.ReadFull(f, all)
	if err != nil {
		return r.fill(ctx, c, c.size, shorter(c, int64(n), err))
	}
	for _, d := range c.digests {
		if is := d.Algorithm().FromBytes(all); is != d && !(c.manifest && storage.HasDigest(all, d)) {
			r.damage(c, d, otherBytes(is))
		}
	}
	if r.isDamaged(c) {
		return r.zeros(ctx, c.size)
	}
	if c.sum == "" {
		r.sums[c] = digest.FromBytes(all).Encoded()
	}
	_, err = r.out.Write(all)
	return err
}

// stream writes what does not, and hashes it on its way.
func (r *run) stream(ctx context.Context, c *content, f fs.File) error {
	hashes := c.hashes()
	for left := c.size; left > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		some := r.buffer[:min(left, int64(len(r.buffer)))]
		n, failed := io.ReadFull(f, some)
		if err := writeBoth(some[:n], r.out, hashes); err != nil {
			return err
		}
		left -= int64(n)
		if failed != nil {
			return r.fill(ctx, c, left, shorter(c, c.size-left, failed))
		}
		r.progress()
	}
	for _, d := range c.digests {
		if is := digest.NewDigest(d.Algorithm(), hashes[d.Algorithm()]); is != d {
			r.damage(c, d, otherBytes(is))
		}
	}
	if c.sum == "" && !r.isDamaged(c) {
		r.sums[c] = digest.NewDigest(digest.Canonical, hashes[digest.Canonical]).Encoded()
	}
	return nil
}

// writeBoth writes and hashes side by side. Only writing can fail.
func writeBoth(p []byte, w io.Writer, hashes map[digest.Algorithm]hash.Hash) error {
	var hashing sync.WaitGroup
	for _, h := range hashes {
		hashing.Go(func() { h.Write(p) })
	}
	defer hashing.Wait()
	_, err := w.Write(p)
	return err
}

// hashes are those that tell whether the bytes are the right ones, and that
// SHA256SUMS needs.
func (c *content) hashes() map[digest.Algorithm]hash.Hash {
	hashes := map[digest.Algorithm]hash.Hash{}
	for _, d := range c.digests {
		hashes[d.Algorithm()] = d.Algorithm().Hash()
	}
	if c.sum == "" {
		hashes[digest.Canonical] = digest.Canonical.Hash()
	}
	return hashes
}

// fill notes why the source does not have a content's bytes, and writes zeros in
// the place of those that are left, so that the archive goes on as foreseen.
func (r *run) fill(ctx context.Context, c *content, left int64, why error) error {
	for _, d := range c.digests {
		r.damage(c, d, why)
	}
	return r.zeros(ctx, left)
}

// wrong is an error that says that bytes were read, and are not the right ones.
type wrong struct {
	code  report.Code
	means string
}

func (w *wrong) Error() string { return w.means }

func otherBytes(is digest.Digest) error {
	return &wrong{report.BlobCorrupt, "its bytes have the digest " + is.String()}
}

// shorter tells a file that ends too soon from one that cannot be read on.
func shorter(c *content, n int64, err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return &wrong{report.BlobTruncated, fmt.Sprintf("it has %d bytes, %d were expected", n, c.size)}
	}
	return err
}

// damage notes what is wrong with a digest's bytes.
func (r *run) damage(c *content, d digest.Digest, why error) {
	code := report.Unreadable
	is, read := errors.AsType[*wrong](why)
	switch {
	case read && c.manifest:
		code = report.ManifestDamaged
	case read:
		code = is.code
	case errors.Is(why, fs.ErrNotExist) && c.manifest:
		code = report.ManifestMissing
	case errors.Is(why, fs.ErrNotExist):
		code = report.BlobMissing
	case errors.Is(why, errNotRegular):
		code = report.BlobNotAFile
	}
	f := code.New(why.Error())
	f.Digest, f.Path = d.String(), r.path(c)
	r.found = append(r.found, f)
	r.damaged[d] = fmt.Errorf("%s: %s: %w", code.Kind().Means, d, why)
}

func (r *run) isDamaged(c *content) bool {
	for _, d := range c.digests {
		if r.damaged[d] != nil {
			return true
		}
	}
	return false
}
