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
)

// do sends a request, and gives up where nothing comes back for as long as there
// is patience: no answer, or no more of one. There is no sense in waiting for
// what costs the registry little as for a layer.
func (r *Registry) do(req *http.Request, patience time.Duration) (*http.Response, error) {
	return doBy(r.client, req, patience)
}

func doBy(client *http.Client, req *http.Request, patience time.Duration) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	watch := time.AfterFunc(patience, func() { cancel(errNoAnswer) })
	resp, err := client.Do(req.WithContext(ctx))
	if err != nil {
		watch.Stop()
		err = whyEnded(ctx, withoutQuery(err))
		cancel(nil)
		return nil, err
	}
	resp.Body = &watchedAnswer{resp.Body, ctx, cancel, watch, patience}
	return resp, nil
}

// Both count as broken connections.
var (
	errNoAnswer = &url.Error{Op: "Ask", URL: "registry", Err: errors.New("connected, but there is no answer")}
	errStalled  = &url.Error{Op: "Put", URL: "upload", Err: errors.New("nothing moved")}
)

// whyEnded gives the error of a request, and where its ctx ended, only that it
// did. net/http has the ctx's cause there, which may be the failure of another
// blob: as the answer to this request it would be taken for its own.
func whyEnded(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	if cause := context.Cause(ctx); cause == errNoAnswer || cause == errStalled {
		return cause
	}
	return ctx.Err()
}

// withoutQuery takes off what the URL of a failed request has beside its path: an
// upload's state and signatures are like passwords for as long as they hold.
func withoutQuery(err error) error {
	var failed *url.Error
	if !errors.As(err, &failed) {
		return err
	}
	if u, bad := url.Parse(failed.URL); bad == nil {
		u.RawQuery, u.User = "", nil
		failed.URL = u.String()
	}
	return err
}

// watchedAnswer is the body of an answer. It frees its request's context when it
// is read.
type watchedAnswer struct {
	io.ReadCloser
	ctx      context.Context // of the request, for the cause of its end
	cancel   context.CancelCauseFunc
	watch    *time.Timer
	patience time.Duration
}

func (a *watchedAnswer) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	switch err {
	case nil:
		a.watch.Reset(a.patience)
	case io.EOF:
	default:
		err = whyEnded(a.ctx, err)
	}
	return n, err
}

func (a *watchedAnswer) Close() error {
	a.watch.Stop()
	a.cancel(nil)
	return a.ReadCloser.Close()
}

// drain reads a short answer to its end, so that the connection is kept.
func drain(resp *http.Response) {
	io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	resp.Body.Close()
}

// errUnexpected is an answer that is no refusal, and not what was asked for.
func errUnexpected(resp *http.Response) error {
	return fmt.Errorf("unexpected answer %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
}

// errPage is wrapped where a proxy answered in the registry's place, or a login.
// It may be gone the next time, as after a restart.
var errPage = errors.New("a page for people came in place of a registry's answer")

// isPage tells such a page: nothing that is asked for here is of its type. Of
// refusals only 404 is doubted, which is no absence then.
func isPage(resp *http.Response) bool {
	return strings.HasPrefix(strings.ToLower(resp.Header.Get("Content-Type")), "text/html") &&
		(resp.StatusCode < 400 || resp.StatusCode == http.StatusNotFound)
}

func newPageError(req *http.Request, resp *http.Response) error {
	drain(resp)
	return fmt.Errorf("%s %s: %d: %w", req.Method, clean(req.URL.Path, 400), resp.StatusCode, errPage)
}
