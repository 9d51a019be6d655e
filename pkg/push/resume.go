package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
)

// An upload that broke is gone on with where the registry says how far it got
// (OCI distribution spec 1.1, "Pushing a blob in chunks"): GET of the upload, PATCH
// of the rest, and a PUT without a body to close it.
//
// distribution 3.1 keeps the bytes of a PUT or a PATCH that broke, and says so.
// distribution 2.8, which is in Harbor 2.x, keeps them too, but has in the
// upload's Location how much there was before; it holds that against what there
// is, and drops the upload where they differ: 404 from then on. Chunks would not
// help there, since a chunk that breaks has that effect as well. So a blob goes in
// one PUT, as long as nothing breaks, and it costs one request to find out.
//
// The rest is not sent with the closing PUT, which would spare a request: Harbor
// takes such a PUT's Content-Length for the size of the whole blob, and what the
// last PATCH was answered where the PUT has no body.

// resumeFrom is how many bytes must have been sent before it is worth a request
// to ask what became of them.
const resumeFrom = 1 << 20

// errNotResumed says that an upload has to begin again.
var errNotResumed = errors.New("the upload cannot be gone on with")

// resume goes on with an upload that broke. It returns errNotResumed where the
// registry does not offer it, or answers oddly; nothing it did counts then.
func (u *upload) resume(ctx context.Context) error {
	received, err := u.received(ctx)
	if err == nil && received < u.size {
		err = u.sendRest(ctx, received)
	}
	if err == nil {
		err = u.finish(ctx)
	}
	if isOdd(err) {
		u.whole = true
		return errNotResumed
	}
	return err
}

// isOdd tells errors that the resuming may be to blame for, and not the blob,
// the account or the project.
func isOdd(err error) bool {
	var status *StatusError
	if errors.Is(err, errOdd) {
		return true
	}
	if !errors.As(err, &status) {
		return false
	}
	switch status.Status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusConflict, http.StatusGone,
		http.StatusLengthRequired, http.StatusRequestedRangeNotSatisfiable, http.StatusNotImplemented:
		return true
	}
	return false
}

// errOdd is wrapped where the registry's answer about an upload makes no sense.
var errOdd = errors.New("an odd answer about an upload")

// received asks how many bytes of the blob the registry has.
func (u *upload) received(ctx context.Context) (int64, error) {
	resp, err := u.r.try(ctx, &request{method: http.MethodGet, url: u.location, scopes: u.r.pushScopes(u.claim.repository, "")})
	var status *StatusError
	switch {
	case errors.As(err, &status) && !isTransient(err): // an account may have no right to ask
		return 0, fmt.Errorf("%w: %w", errOdd, err)
	case err != nil:
		return 0, err
	}
	drain(resp)
	n, ok := parseReceived(resp.Header.Get("Range"))
	switch {
	case resp.Header.Get("Range") == "0-0":
		return 0, errNotResumed // nothing got there, which a proxy that reads all first explains
	case resp.StatusCode != http.StatusNoContent:
		return 0, fmt.Errorf("%w: %w", errOdd, errUnexpected(resp))
	case !ok, n > u.sent.bytes(), n == u.size && !u.patched:
		return 0, fmt.Errorf("%w: Range %q", errOdd, clean(resp.Header.Get("Range"), 100))
	}
	return n, u.moveTo(resp)
}

// parseReceived reads "0-N", of which both ends are counted. It is false for 0-0,
// which distribution says of one byte and of none.
func parseReceived(header string) (bytes int64, ok bool) {
	end, ok := strings.CutPrefix(strings.TrimPrefix(header, "bytes="), "0-")
	n, err := strconv.ParseUint(end, 10, 62)
	if !ok || err != nil || n == 0 {
		return 0, false
	}
	return int64(n) + 1, true
}

// moveTo takes the Location of an answer for the next request. It has to be on the
// server that has the bytes.
func (u *upload) moveTo(resp *http.Response) error {
	if resp.Header.Get("Location") == "" {
		return nil
	}
	location, err := u.r.location(resp)
	if err != nil || !sameServer(u.location, location) {
		return fmt.Errorf("%w: another Location", errOdd)
	}
	u.location = location
	return nil
}

// sendRest sends what the registry does not have.
func (u *upload) sendRest(ctx context.Context, from int64) error {
	resp, sent, err := u.send(ctx, &request{
		method: http.MethodPatch,
		header: http.Header{"Content-Range": {fmt.Sprintf("%d-%d", from, u.size-1)}},
	}, from)
	u.sent = sent
	u.sent.reached(from)
	u.patched = sent.bytes() == u.size
	if err != nil {
		return err
	}
	n, ok := parseReceived(resp.Header.Get("Range"))
	if resp.StatusCode != http.StatusAccepted || (ok && n != u.size) {
		return fmt.Errorf("%w: %w, Range %q", errOdd, errUnexpected(resp), clean(resp.Header.Get("Range"), 100))
	}
	return u.moveTo(resp)
}

// finish closes an upload whose bytes are all there.
func (u *upload) finish(ctx context.Context) error {
	resp, err := u.r.try(ctx, &request{
		method:   http.MethodPut,
		url:      u.location,
		query:    url.Values{"digest": {u.claim.digest.String()}},
		header:   http.Header{"Content-Type": {"application/octet-stream"}},
		scopes:   u.r.pushScopes(u.claim.repository, ""),
		patience: u.thinking(),
	})
	if err != nil {
		return err
	}
	drain(resp)
	if err := u.taken(resp); err != nil {
		return fmt.Errorf("%w: %w", errOdd, err)
	}
	return nil
}

// reach is how far into a blob a request got. net/http may go on reading while
// the request has ended.
type reach struct{ at atomic.Int64 }

func (r *reach) bytes() int64 { return r.at.Load() }

func (r *reach) reached(at int64) {
	for old := r.at.Load(); at > old && !r.at.CompareAndSwap(old, at); {
		old = r.at.Load()
	}
}

// openAt opens a blob and goes to an offset in it: in one step where it can be
// wound, else by reading what comes before.
func openAt(ctx context.Context, open opener, offset int64) (io.ReadCloser, error) {
	f, err := open()
	if err != nil || offset == 0 {
		return f, err
	}
	err = errors.ErrUnsupported
	if s, ok := f.(io.Seeker); ok {
		_, err = s.Seek(offset, io.SeekStart)
	}
	if errors.Is(err, errors.ErrUnsupported) {
		_, err = io.CopyN(io.Discard, untilEnd{ctx, f}, offset)
	}
	if err != nil {
		f.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: going to byte %d: %w", errLocal, offset, err)
	}
	return f, nil
}

// untilEnd reads until ctx ends.
type untilEnd struct {
	ctx context.Context
	io.Reader
}

func (u untilEnd) Read(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, u.ctx.Err()
	}
	return u.Reader.Read(p)
}
