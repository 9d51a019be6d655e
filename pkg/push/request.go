package push

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math"
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

	// patience is how long the registry may leave it without an answer, or stand
	// still in the middle of one; 0 is for what costs the registry little.
	patience time.Duration

	anonymous  bool // without credentials
	accept401  bool // an answer 401 is no error
	accept404  bool // nor is 404
	acceptPage bool // nor is a page for people
}

// watchedElsewhere is the patience with a request that whoever sends it watches.
const watchedElsewhere time.Duration = math.MaxInt64

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
	return r.inTurn(ctx, func() (*http.Response, error) {
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
		switch {
		case isTransientStatus(resp.StatusCode):
			return nil, r.auth.conceal(newStatusError(req, resp))
		case isPage(resp) && r.opts.ProjectTokens: // Harbor's API has none
			return nil, newPageError(req, resp)
		}
		return resp, r.keep(req, resp)
	})
}

// maxKept is how many bytes of an answer Do gives; more than anyone wants of it.
const maxKept = 8 << 20

// keep reads an answer while it can still be asked for again: one that is cut short
// is a broken connection. What a refusal says back of the password is taken out.
func (r *Registry) keep(req *http.Request, resp *http.Response) error {
	var content []byte
	var err error
	if resp.StatusCode >= 400 {
		refusal := r.auth.conceal(newStatusError(req, resp))
		content, err = json.Marshal(map[string][]ErrorDetail{"errors": refusal.Details})
	} else {
		content, err = io.ReadAll(io.LimitReader(resp.Body, maxKept))
		resp.Body.Close()
	}
	resp.Body = io.NopCloser(bytes.NewReader(content))
	return err
}

// inTurn runs one request when there is a slot for it. How it ends says how many
// slots there are from then on. It waits before anything else: what comes after,
// such as a token, is then as young as can be.
func (r *Registry) inTurn(ctx context.Context, run func() (*http.Response, error)) (*http.Response, error) {
	era, err := r.limiter.take(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := run()
	end := strainOf(err)
	if fewer := r.limiter.give(era, end); fewer > 0 {
		r.throttled.Do(func() {
			if r.opts.Throttled != nil {
				r.opts.Throttled(fewer, err)
			}
		})
	}
	if end == eased {
		r.outage.over()
	}
	return resp, err
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
// registry no longer takes the old ones.
func (r *Registry) try(ctx context.Context, q *request) (*http.Response, error) {
	return r.inTurn(ctx, func() (*http.Response, error) {
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
			if err != nil {
				return nil, err
			}
			if resp.StatusCode == http.StatusUnauthorized && authorized && !again && r.auth.canRenew(resp) {
				refused = req.Header.Get("Authorization")
				drain(resp)
				continue
			}
			return r.judge(req, resp, q)
		}
	})
}

// judge tells answers from refusals, and a registry's from a proxy's.
func (r *Registry) judge(req *http.Request, resp *http.Response, q *request) (*http.Response, error) {
	switch {
	case isPage(resp) && !q.acceptPage:
		return nil, newPageError(req, resp)
	case resp.StatusCode < 400,
		resp.StatusCode == http.StatusNotFound && q.accept404,
		resp.StatusCode == http.StatusUnauthorized && q.accept401:
		return resp, nil
	}
	return nil, r.refusal(req, resp, q)
}

// refusal reads an answer that is an error. Whoever gave no credentials is told
// that some may be wanted.
func (r *Registry) refusal(req *http.Request, resp *http.Response, q *request) error {
	err := r.auth.conceal(newStatusError(req, resp))
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
	if q.patience == 0 {
		return r.do(req, r.quick)
	}
	return r.do(req, q.patience)
}
