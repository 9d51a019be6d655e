package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/opencontainers/go-digest"
)

// stallTimeout is how long an upload may stand still before it is given up and
// tried again.
const stallTimeout = 5 * time.Minute

// startUpload asks to mount a blob from another repository, or from the
// repository itself, which answers whether it is there already, in the one
// request that has to be made anyway. It gives the place to upload to where the
// registry does not have the blob, and nil where it has.
func (r *Registry) startUpload(ctx context.Context, c *claim) (*url.URL, error) {
	if !mountable(c.digest) {
		if there, err := r.hasBlob(ctx, c.repository, c.digest); err != nil || there {
			return nil, err
		}
		return r.postUpload(ctx, c.repository, r.pushScopes(c.repository, ""), nil)
	}
	mount := url.Values{"mount": {c.digest.String()}, "from": {c.from}}
	location, err := r.postUpload(ctx, c.repository, r.pushScopes(c.repository, c.from), mount)
	var status *StatusError
	if errors.As(err, &status) && mountRefused(status.Status) {
		// The account may not read there, or the registry knows no mounts: plainly, then.
		return r.postUpload(ctx, c.repository, r.pushScopes(c.repository, ""), nil)
	}
	return location, err
}

func mountRefused(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusNotFound, http.StatusMethodNotAllowed:
		return true
	}
	return false
}

func (r *Registry) postUpload(ctx context.Context, repository string, scopes []scope, query url.Values) (*url.URL, error) {
	resp, err := r.send(ctx, &request{
		method: http.MethodPost,
		path:   "/v2/" + repository + "/blobs/uploads/",
		query:  query,
		scopes: scopes,
		body:   bodyOf([]byte{}),
	})
	if err != nil {
		return nil, err
	}
	defer drain(resp)
	switch resp.StatusCode {
	case http.StatusCreated:
		return nil, nil
	case http.StatusAccepted:
		return r.location(resp)
	}
	return nil, fmt.Errorf("starting upload to %s: unexpected answer %s", repository, resp.Status)
}

// location is where an upload goes on. It may be relative. A registry behind a
// proxy may name its own host without TLS: nothing is sent there in the clear.
func (r *Registry) location(resp *http.Response) (*url.URL, error) {
	u, err := resp.Request.URL.Parse(resp.Header.Get("Location"))
	if err != nil || resp.Header.Get("Location") == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("starting upload: the registry names no place for it: %q", clean(resp.Header.Get("Location"), 200))
	}
	if u.Scheme == "http" && r.base.Scheme == "https" && u.Hostname() == r.base.Hostname() {
		u.Scheme, u.Host = r.base.Scheme, r.base.Host
	}
	return u, nil
}

// opener gives a blob's bytes from the start, as often as it is asked.
type opener func() (io.ReadCloser, error)

// upload sends a blob to where startUpload said, in one PUT. Where that fails
// in passing, it starts again.
func (r *Registry) upload(ctx context.Context, c *claim, location *url.URL, size int64, open opener) error {
	return r.retry(ctx, func() error {
		if location == nil {
			var err error
			location, err = r.startUpload(ctx, c)
			if err != nil || location == nil {
				return backoff.Permanent(err) // it was repeated enough
			}
		}
		err := r.putBlob(ctx, c, location, size, open)
		if err == nil {
			return nil
		}
		location = nil // an upload that failed is not gone on with
		var status *StatusError
		if errors.As(err, &status) && status.Status == http.StatusNotFound {
			return errUploadGone
		}
		return err
	})
}

// errUploadGone is a registry's loss of memory, as after a restart.
var errUploadGone = &StatusError{Method: http.MethodPut, Path: "upload", Status: http.StatusServiceUnavailable,
	Details: []ErrorDetail{{Code: "BLOB_UPLOAD_UNKNOWN", Message: "the registry no longer knows the upload"}}}

func (r *Registry) putBlob(ctx context.Context, c *claim, location *url.URL, size int64, open opener) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(stallTimeout, func() { cancel(errStalled) })
	defer watch.Stop()
	resp, err := r.try(ctx, &request{
		method: http.MethodPut,
		url:    location,
		query:  url.Values{"digest": {c.digest.String()}},
		header: http.Header{"Content-Type": {"application/octet-stream"}},
		scopes: r.pushScopes(c.repository, ""),
		size:   size,
		body: func() (io.ReadCloser, error) {
			f, err := open()
			if err != nil {
				return nil, err
			}
			watch.Reset(stallTimeout)
			return &watched{f, watch, new(atomic.Int64), size}, nil
		},
	})
	if cause := context.Cause(ctx); err != nil && cause == errStalled {
		return errStalled
	}
	if err != nil {
		return err
	}
	drain(resp)
	if resp.StatusCode != http.StatusCreated && resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("uploading %s: unexpected answer %s", c.digest, resp.Status)
	}
	return nil
}

// errStalled counts as a broken connection.
var errStalled = &url.Error{Op: "Put", URL: "upload", Err: fmt.Errorf("nothing moved for %s", stallTimeout)}

// watched winds the watch up at each read, and lets it go when all is read:
// then the registry may think as long as answerTimeout.
type watched struct {
	io.ReadCloser
	watch *time.Timer
	read  *atomic.Int64
	size  int64
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if w.read.Add(int64(n)) >= w.size {
		w.watch.Reset(answerTimeout + stallTimeout)
	} else {
		w.watch.Reset(stallTimeout)
	}
	return n, err
}

// hasBlob asks whether a repository has a blob.
func (r *Registry) hasBlob(ctx context.Context, repository string, d digest.Digest) (bool, error) {
	resp, err := r.send(ctx, &request{
		method:    http.MethodHead,
		path:      "/v2/" + repository + "/blobs/" + d.String(),
		scopes:    r.pushScopes(repository, ""),
		accept404: true,
	})
	if err != nil {
		return false, err
	}
	drain(resp)
	return resp.StatusCode == http.StatusOK, nil
}
