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
	return nil, fmt.Errorf("starting upload to %s: %w", c.repository, errUnexpected(resp))
}

// location is where an upload goes on. It may be relative. A registry behind a
// proxy may name its own host without TLS: nothing is sent there in the clear.
func (r *Registry) location(resp *http.Response) (*url.URL, error) {
	u, err := resp.Request.URL.Parse(resp.Header.Get("Location"))
	if err != nil || resp.Header.Get("Location") == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("starting upload: the registry names no place for it: %q", clean(r.auth.secrets().Replace(resp.Header.Get("Location")), 200))
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

// upload is one blob on its way, over as many requests as that takes.
type upload struct {
	r     *Registry
	claim *claim
	size  int64 // bytes
	open  opener

	location *url.URL // where it goes on; nil where it has to be begun
	sent     *reach   // of the request before, where that broke and can be gone on with; else nil
	patched  bool     // what was missing at location was sent with a PATCH
	whole    bool     // nothing is gone on with, since that went wrong once
}

// upload sends a blob to where startUpload said, in one PUT. Where that fails in
// passing, it goes on or begins again.
func (r *Registry) upload(ctx context.Context, c *claim, location *url.URL, size int64, open opener) error {
	u := &upload{r: r, claim: c, location: location, size: size, open: open}
	return r.retry(ctx, func() error { return u.try(ctx) })
}

func (u *upload) try(ctx context.Context) error {
	if u.sent != nil {
		if err := u.resume(ctx); !errors.Is(err, errNotResumed) {
			return err
		}
		u.location, u.sent = nil, nil
	}
	if u.location == nil {
		location, err := u.r.startUpload(ctx, u.claim)
		if err != nil || location == nil {
			return settled(err)
		}
		u.location, u.patched = location, false
	}
	return u.begin(ctx)
}

// begin sends all of it.
func (u *upload) begin(ctx context.Context) error {
	resp, sent, err := u.send(ctx, &request{
		method: http.MethodPut,
		query:  url.Values{"digest": {u.claim.digest.String()}},
	}, 0)
	if err == nil {
		return u.taken(resp)
	}
	err = u.r.atHome(err, u.location)
	if u.whole || !isTransient(err) || sent.bytes() < resumeFrom || !sameServer(u.r.base, u.location) {
		u.location = nil
	} else {
		u.sent = sent
	}
	var status *StatusError
	if errors.As(err, &status) && status.Status == http.StatusNotFound {
		return errUploadGone
	}
	return err
}

// errUploadGone is a registry's loss of memory, as after a restart.
var errUploadGone = errors.New("the registry no longer knows the upload")

// taken reads the answer to a closing PUT.
func (u *upload) taken(resp *http.Response) error {
	if resp.StatusCode != http.StatusCreated && resp.StatusCode != http.StatusNoContent {
		return errUnexpected(resp)
	}
	return sameDigest(resp, u.claim.digest)
}

// send sends a request with the blob's bytes from an offset on to where the
// upload is, and tells how far it got. It gives up where nothing moves for long.
// The answer's body is read.
func (u *upload) send(ctx context.Context, q *request, from int64) (*http.Response, *reach, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(u.r.stall, func() { cancel(errStalled) })
	watch.Stop() // until it is this upload's turn
	defer watch.Stop()
	sent := &reach{}
	q.url, q.scopes = u.location, u.r.pushScopes(u.claim.repository, "")
	q.patience = watchedElsewhere
	if q.header == nil {
		q.header = http.Header{}
	}
	q.header.Set("Content-Type", "application/octet-stream")
	q.size = u.size - from
	q.body = func() (io.ReadCloser, error) {
		f, err := openAt(ctx, u.open, from)
		if err != nil {
			return nil, err
		}
		if l, ok := f.(*localReader); ok && from == 0 && u.size <= inMemory {
			watch.Reset(u.thinking())
			return l.readAhead(u.size)
		}
		watch.Reset(u.r.stall)
		return &watched{f, watch, u.r.stall, u.thinking(), from, u.size, sent}, nil
	}
	resp, err := u.r.trySized(ctx, q)
	if err != nil {
		return nil, sent, err
	}
	drain(resp)
	return resp, sent, nil
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

// thinking is how long the registry may take to hash and move a blob when it has
// all of it: long, but not for what is small.
func (u *upload) thinking() time.Duration {
	const aSecond = 8 << 20 // bytes, of even a slow registry
	return u.r.stall + min(answerTimeout, time.Duration(u.size/aSecond)*time.Second)
}
