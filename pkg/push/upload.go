package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// stallTimeout is how long an upload may stand still before it is given up and
// tried again.
const stallTimeout = 5 * time.Minute

// startUpload asks to mount a blob from another repository, or from the
// repository itself, which answers whether it is there already, in the one
// request that has to be made anyway. It gives the place to upload to where the
// registry does not have the blob, and nil where it has.
func (r *Registry) startUpload(ctx context.Context, c *claim) (*url.URL, error) {
	if mountable(c.digest) {
		mount := url.Values{"mount": {c.digest.String()}, "from": {c.from}}
		location, err := r.postUpload(ctx, c, r.pushScopes(c.repository, c.from), mount)
		if !isMountRefused(err) {
			return location, err
		}
		// The account may not read there, or the registry knows no mounts: plainly, then.
	}
	if there, err := r.hasBlob(ctx, c.repository, c.digest); err != nil || there {
		return nil, err
	}
	return r.postUpload(ctx, c, r.pushScopes(c.repository, ""), nil)
}

func isMountRefused(err error) bool {
	var status *StatusError
	if !errors.As(err, &status) {
		return false
	}
	switch status.Status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusNotFound, http.StatusMethodNotAllowed:
		return true
	case http.StatusForbidden:
		return !status.overQuota() && !status.readOnly()
	}
	return false
}

func (r *Registry) postUpload(ctx context.Context, c *claim, scopes []scope, query url.Values) (*url.URL, error) {
	resp, err := r.send(ctx, &request{
		method: http.MethodPost,
		path:   "/v2/" + c.repository + "/blobs/uploads/",
		query:  query,
		scopes: scopes,
	})
	if err != nil {
		return nil, err
	}
	defer drain(resp)
	switch {
	case resp.StatusCode == http.StatusCreated && query != nil:
		return nil, sameDigest(resp, c.digest)
	case resp.StatusCode == http.StatusAccepted:
		return r.location(resp)
	}
	return nil, fmt.Errorf("starting upload to %s: unexpected answer %s", c.repository, resp.Status)
}

// location is where an upload goes on. It may be relative. A registry behind a
// proxy may name its own host without TLS: nothing is sent there in the clear.
func (r *Registry) location(resp *http.Response) (*url.URL, error) {
	u, err := resp.Request.URL.Parse(resp.Header.Get("Location"))
	if err != nil || resp.Header.Get("Location") == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("starting upload: the registry names no place for it: %q", clean(resp.Header.Get("Location"), 200))
	}
	if u.Scheme == "http" && r.base.Scheme == "https" {
		if !strings.EqualFold(u.Hostname(), r.base.Hostname()) {
			return nil, fmt.Errorf("starting upload: the registry names a place without TLS for it: %s", clean(u.Host, 200))
		}
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
	watch := time.AfterFunc(r.stall, func() { cancel(errStalled) })
	watch.Stop() // until it is this upload's turn
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
			watch.Reset(r.stall)
			return &watched{ReadCloser: f, watch: watch, stall: r.stall, left: size}, nil
		},
	})
	switch {
	case err != nil && context.Cause(ctx) == errStalled:
		return errStalled
	case err != nil:
		return r.atHome(err, location)
	}
	drain(resp)
	if resp.StatusCode != http.StatusCreated && resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("unexpected answer %s", resp.Status)
	}
	return sameDigest(resp, c.digest)
}

// atHome adds to a refusal that the registry named another host, which gets no
// credentials.
func (r *Registry) atHome(err error, location *url.URL) error {
	var status *StatusError
	if sameServer(r.base, location) || !errors.As(err, &status) || (status.Status != http.StatusUnauthorized && status.Status != http.StatusForbidden) {
		return err
	}
	return report.WithHint(fmt.Errorf("%s names %s for uploads, which gets no password: %w", r.base.Host, clean(location.Host, 200), err),
		"name that host as the destination or, in Harbor, set external_url to the one that you named")
}

// errStalled counts as a broken connection.
var errStalled = &url.Error{Op: "Put", URL: "upload", Err: errors.New("nothing moved")}

// watched winds the watch up at each read, and lets it go when all is read:
// then the registry may think as long as answerTimeout. A reader has one user.
type watched struct {
	io.ReadCloser
	watch *time.Timer
	stall time.Duration
	left  int64 // bytes
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	w.left -= int64(n)
	if w.left <= 0 {
		w.watch.Reset(answerTimeout + w.stall)
	} else {
		w.watch.Reset(w.stall)
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
