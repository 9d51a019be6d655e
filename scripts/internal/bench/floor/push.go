package floor

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
)

// Send sends the requests to an empty registry at host:port, so many side by side,
// and says how long that took. No worker ever waits for what another has to do
// first, but between uploads, mounts, and manifests with what they name.
func (r *Requests) Send(ctx context.Context, host string, jobs int) (time.Duration, error) {
	s := &sender{host: host, client: &http.Client{Transport: &http.Transport{
		MaxConnsPerHost: jobs, MaxIdleConnsPerHost: jobs, DisableCompression: true, WriteBufferSize: 64 << 10,
	}}}
	start := time.Now()
	for _, stage := range []struct {
		count int
		one   func(context.Context, int) error
	}{
		{len(r.uploads), func(ctx context.Context, n int) error { return s.upload(ctx, r.uploads[n]) }},
		{len(r.mounts), func(ctx context.Context, n int) error { return s.mount(ctx, r.mounts[n]) }},
		{len(r.children), func(ctx context.Context, n int) error { return s.put(ctx, r.children[n]) }},
		{len(r.tops), func(ctx context.Context, n int) error { return s.put(ctx, r.tops[n]) }},
	} {
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(jobs)
		for n := range stage.count {
			g.Go(func() error {
				if err := ctx.Err(); err != nil {
					return err
				}
				return stage.one(ctx, n)
			})
		}
		if err := g.Wait(); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

type sender struct {
	host   string
	client *http.Client
}

func (s *sender) upload(ctx context.Context, u upload) error {
	resp, err := s.do(ctx, http.MethodPost, s.at(u.repository, "blobs/uploads/"), nil, 0, "", http.StatusAccepted)
	if err != nil {
		return err
	}
	location, err := resp.Location()
	if err != nil {
		return err
	}
	query := location.Query()
	query.Set("digest", u.digest.String())
	location.RawQuery = query.Encode()
	body, err := u.open()
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = s.do(ctx, http.MethodPut, location.String(), body, u.size, "application/octet-stream", http.StatusCreated)
	return err
}

// inMemory is how many bytes are read before they are sent, in one system call
// with the request's head. More goes by sendfile, which takes one for the head.
const inMemory = 64 << 10

func (u upload) open() (io.ReadCloser, error) {
	if u.size > inMemory {
		return os.Open(u.path)
	}
	content, err := os.ReadFile(u.path)
	return io.NopCloser(bytes.NewReader(content)), err
}

func (s *sender) mount(ctx context.Context, m mount) error {
	query := url.Values{"mount": {m.digest.String()}, "from": {m.from}}
	_, err := s.do(ctx, http.MethodPost, s.at(m.repository, "blobs/uploads/?"+query.Encode()), nil, 0, "", http.StatusCreated)
	return err
}

func (s *sender) put(ctx context.Context, p put) error {
	body := io.NopCloser(bytes.NewReader(p.content))
	_, err := s.do(ctx, http.MethodPut, s.at(p.repository, "manifests/"+p.name), body, int64(len(p.content)), p.mediaType, http.StatusCreated)
	return err
}

func (s *sender) at(repository, path string) string {
	return "http://" + s.host + "/v2/" + repository + "/" + path
}

// do sends one request. Its answer has to be as expected.
func (s *sender) do(ctx context.Context, method, to string, body io.ReadCloser, size int64, mediaType string, want int) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, to, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.ContentLength = size
		req.Header.Set("Content-Type", mediaType)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err == nil && resp.StatusCode != want {
		err = fmt.Errorf("%s %s: %s: %s", method, to, resp.Status, said)
	}
	return resp, err
}
