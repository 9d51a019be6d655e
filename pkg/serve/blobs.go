package serve

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

func (r *Registry) serveBlob(w http.ResponseWriter, req *http.Request, repo *repository, asked request) *problem {
	d, p := asked.digest()
	if p != nil {
		return p
	}
	size, ok := repo.blobs[d]
	if !ok {
		return blobUnknown.with("no blob " + d.String())
	}
	f, as, err := r.open(d, size)
	if err != nil {
		return r.lost(err, blobUnknown, repo, d.String())
	}
	defer f.Close()
	if strings.Contains(req.Header.Get("Range"), ",") {
		req.Header.Del("Range") // parts in a row are no registry's answer: this is all of it, as RFC 9110, 14.2 allows
	}
	state := r.known(d, as)
	if state == unknown && req.Method == http.MethodGet && partial(req) {
		if state, err = r.settled(req.Context(), f, d, as); err != nil {
			return r.lost(err, blobUnknown, repo, d.String())
		}
	}
	if state == damaged {
		return r.lost(errDamaged, blobUnknown, repo, d.String())
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Docker-Content-Digest", d.String())
	h.Set("ETag", etag(d.String()))
	h.Set("Cache-Control", "max-age=31536000, immutable")
	if state == sound || req.Method == http.MethodHead {
		last := &withheld{ResponseWriter: w, same: func() error { return r.same(f, as) }, lost: func(err error) {
			r.lost(err, blobUnknown, repo, d.String())
		}}
		http.ServeContent(last, req, "", time.Time{}, f) // which calls sendfile for an *os.File
		return nil
	}
	return r.sendHashed(w, f, repo, d, as)
}

// partial tells of requests for a part, or for nothing if nothing changed. A part
// can only be known to be right when the whole is.
func partial(req *http.Request) bool {
	for _, name := range []string{"Range", "If-None-Match", "If-Match", "If-Range"} {
		if req.Header.Get(name) != "" {
			return true
		}
	}
	return false
}

// content is a file of a source that can be read from any place on.
type content interface {
	fs.File
	io.Seeker
}

// open opens a blob of a size in bytes, as a file of the local file system where
// it lies in one.
func (r *Registry) open(d digest.Digest, size int64) (_ content, _ sight, err error) {
	f, err := r.openFile(r.index.Path(d))
	if err != nil {
		return nil, sight{}, err
	}
	as, err := r.look(f)
	if err == nil && as.size != size {
		err = fmt.Errorf("%w: it has %d bytes, and had %d", errDamaged, as.size, size)
	}
	if err != nil {
		return nil, sight{}, errors.Join(err, f.Close())
	}
	return f, as, nil
}

// look says what a file looks like now.
func (r *Registry) look(f content) (sight, error) {
	info, err := f.Stat()
	if err != nil {
		return sight{}, err
	}
	as := sight{size: info.Size(), written: info.ModTime().UnixNano()}
	if _, own := f.(*os.File); own {
		as.file = info
		return as, nil
	}
	if archive, ok := r.src.(source.WrittenFS); ok {
		written, err := archive.Written()
		if err != nil {
			return sight{}, err
		}
		if !written.IsZero() {
			as.written = written.UnixNano()
		}
	}
	return as, nil
}

// same holds that a file has not changed since it was looked at.
func (r *Registry) same(f content, as sight) error {
	now, err := r.look(f)
	if err == nil && !now.is(as) {
		err = errChanged
	}
	return err
}

func (r *Registry) openFile(name string) (content, error) {
	f, err := r.src.Open(name)
	if err != nil {
		return nil, err
	}
	if own, ok := f.(*os.File); ok {
		return own, nil
	}
	if local, ok := r.src.(source.LocalFS); ok {
		if path, ok := local.LocalPath(name); ok {
			// What was unpacked is a regular file; O_NONBLOCK, should somebody change that.
			own, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
			return own, errors.Join(err, f.Close())
		}
	}
	c, ok := f.(content)
	if !ok {
		return nil, errors.Join(fmt.Errorf("opening %s: it cannot be read from any place on", name), f.Close())
	}
	return c, nil
}
