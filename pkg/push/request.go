package push

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// request is one request to the registry, made anew for each try.
type request struct {
	method string
	path   string     // below the registry's URL, or
	url    *url.URL   // elsewhere: where an upload goes
	query  url.Values // added to what the URL has
	header http.Header
	body   func() (io.ReadCloser, error) // nil for none
	size   int64                         // of the body, bytes
	scopes []scope                       // what a token for it has to allow

	anonymous bool // without credentials
	accept401 bool // an answer 401 is no error
	accept404 bool // nor is 404
}

// Do sends a request to the registry's host as a whole, with basic
// authentication where there are credentials: for an API beside the registry's.
// It repeats what fails in passing, and returns a *StatusError where that does
// not go away. Answers of any other status are no error.
func (r *Registry) Do(ctx context.Context, method, path string, query url.Values, header http.Header, body []byte) (*http.Response, error) {
	q := &request{method: method, path: path, query: query, header: header, size: int64(len(body)), body: bodyOf(body)}
	var answer *http.Response
	err := r.retry(ctx, func() error {
		resp, err := r.tryBasic(ctx, q)
		answer = resp
		return err
	})
	return answer, err
}

func (r *Registry) tryBasic(ctx context.Context, q *request) (*http.Response, error) {
	release, err := r.slot(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	req, err := r.newRequest(ctx, q)
	if err != nil {
		return nil, err
	}
	if r.auth.username != "" {
		req.SetBasicAuth(r.auth.username, r.auth.password)
	}
	resp, err := r.roundTrip(req, q)
	if err != nil {
		return nil, err
	}
	if isTransientStatus(resp.StatusCode) {
		return nil, newStatusError(req, resp)
	}
	return resp, nil
}

func bodyOf(content []byte) func() (io.ReadCloser, error) {
	if content == nil {
		return nil
	}
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
}

// send sends a request with what authentication it needs, and repeats it where
// it fails in passing. An answer of 400 and above is a *StatusError.
func (r *Registry) send(ctx context.Context, q *request) (*http.Response, error) {
	var answer *http.Response
	err := r.retry(ctx, func() error {
		resp, err := r.try(ctx, q)
		answer = resp
		return err
	})
	return answer, err
}

// try sends a request once, and once more with new credentials where the
// registry no longer takes the old ones. It waits for a slot first: what comes
// after, such as a token, is then as young as can be.
func (r *Registry) try(ctx context.Context, q *request) (*http.Response, error) {
	release, err := r.slot(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	refused := "" // the credentials that were
	for again := false; ; again = true {
		req, err := r.newRequest(ctx, q)
		if err != nil {
			return nil, err
		}
		authorized := !q.anonymous && sameServer(r.base, req.URL)
		if authorized {
			if err := r.auth.authorize(ctx, req, q.scopes, refused); err != nil {
				return nil, err
			}
		}
		resp, err := r.roundTrip(req, q)
		switch {
		case err != nil:
			return nil, err
		case resp.StatusCode == http.StatusUnauthorized && authorized && !again && r.auth.canRenew(resp):
			refused = req.Header.Get("Authorization")
			drain(resp)
		case resp.StatusCode < 400,
			q.accept401 && resp.StatusCode == http.StatusUnauthorized,
			q.accept404 && resp.StatusCode == http.StatusNotFound:
			return resp, nil
		default:
			return nil, r.refusal(req, resp, q)
		}
	}
}

// refusal reads an answer that is an error. Whoever gave no credentials is told
// that some may be wanted.
func (r *Registry) refusal(req *http.Request, resp *http.Response, q *request) error {
	err := newStatusError(req, resp)
	if err.Status == http.StatusUnauthorized && r.auth.username == "" && !q.anonymous {
		return report.WithHint(err, "no user name was given: set HARBOR_USERNAME and HARBOR_PASSWORD, use --username, or log in with docker or podman first")
	}
	return err
}

func (r *Registry) newRequest(ctx context.Context, q *request) (*http.Request, error) {
	u := r.base.JoinPath(q.path)
	if q.url != nil {
		c := *q.url
		u = &c
	} else if strings.HasSuffix(q.path, "/") && !strings.HasSuffix(u.Path, "/") {
		u.Path += "/"
	}
	if len(q.query) > 0 {
		values := u.Query()
		for key, value := range q.query {
			values[key] = value
		}
		u.RawQuery = values.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, q.method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	for key, values := range q.header {
		req.Header[key] = values
	}
	if r.opts.UserAgent != "" {
		req.Header.Set("User-Agent", r.opts.UserAgent)
	}
	return req, nil
}

// roundTrip sends a request with its body. The caller holds a slot, so that no
// file is open, and no watch runs, for a request that waits its turn.
func (r *Registry) roundTrip(req *http.Request, q *request) (*http.Response, error) {
	if q.body != nil {
		body, err := q.body()
		if err != nil {
			return nil, err
		}
		req.Body, req.GetBody, req.ContentLength = body, q.body, q.size
		if q.size == 0 { // else it would go as a stream of unknown length
			body.Close()
			req.Body, req.GetBody = http.NoBody, nil
		}
	}
	if q.method == http.MethodPut {
		return r.client.Do(req) // it may think long about what it got
	}
	return r.doQuick(req)
}

// doQuick gives up where a request that costs the registry little is not
// answered for long: there is no sense in waiting for it as for a layer.
func (r *Registry) doQuick(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	watch := time.AfterFunc(r.quick, func() { cancel(errNoAnswer) })
	resp, err := r.client.Do(req.WithContext(ctx))
	watch.Stop()
	if err != nil {
		if context.Cause(ctx) == errNoAnswer {
			err = errNoAnswer
		}
		cancel(nil)
		return nil, err
	}
	resp.Body = &cancelBody{resp.Body, cancel}
	return resp, nil
}

// errNoAnswer counts as a broken connection.
var errNoAnswer = &url.Error{Op: "Ask", URL: "registry", Err: errors.New("connected, but there is no answer")}

// cancelBody frees a request's context when its answer is read.
type cancelBody struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

func (b *cancelBody) Close() error {
	b.cancel(nil)
	return b.ReadCloser.Close()
}

// slot waits until a request may be sent: there are never more at once than jobs.
func (r *Registry) slot(ctx context.Context) (release func(), err error) {
	select {
	case r.slots <- struct{}{}:
		return func() { <-r.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// drain reads a short answer to its end, so that the connection is kept.
func drain(resp *http.Response) {
	io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	resp.Body.Close()
}
