package push

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containers/image/v5/pkg/docker/config"
	"github.com/containers/image/v5/pkg/tlsclientconfig"
	"github.com/containers/image/v5/types"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

const (
	connectTimeout = 30 * time.Second
	// answerTimeout is how long a registry may think after the last byte of a
	// request: it hashes and moves a whole layer before it answers. Harbor's
	// own proxy waits as long.
	answerTimeout = 15 * time.Minute
	writeBuffer   = 128 << 10 // bytes; the default of 4 KiB makes a system call each
)

// newClient makes the one client. It has no cookie jar: Harbor takes a request
// that sends its session cookie back for one from a browser, and refuses it.
// HTTP/1.1 alone: uploads over one HTTP/2 connection share one window.
func newClient(config *tls.Config, jobs int) *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       config,
		TLSHandshakeTimeout:   connectTimeout,
		ResponseHeaderTimeout: answerTimeout,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   jobs,
		WriteBufferSize:       writeBuffer,
		DisableCompression:    true,
		Protocols:             http1(),
	}}
}

func http1() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	return p
}

// tlsConfig reads certificates from a directory, or from where docker and
// podman look for those of a host.
func tlsConfig(host, dir string, insecure bool) (*tls.Config, error) {
	conf := &tls.Config{InsecureSkipVerify: insecure, MinVersion: tls.VersionTLS12}
	dirs := []string{dir}
	if dir == "" {
		dirs = []string{filepath.Join("/etc/containers/certs.d", host), filepath.Join("/etc/docker/certs.d", host)}
	}
	for _, d := range dirs {
		if _, err := os.Stat(d); err != nil {
			if dir != "" {
				return nil, fmt.Errorf("reading certificates: %w", err)
			}
			continue
		}
		if err := tlsclientconfig.SetupCertificates(d, conf); err != nil {
			return nil, fmt.Errorf("reading certificates: %w", err)
		}
	}
	return conf, nil
}

// credentials gives those of the options, else those that the auth files and
// credential helpers of docker and podman have for the host.
func credentials(host string, opts *Options) (username, password string, err error) {
	if opts.Username != "" {
		return opts.Username, opts.Password, nil
	}
	auth, err := config.GetCredentials(&types.SystemContext{AuthFilePath: opts.AuthFile}, host)
	if err != nil {
		return "", "", fmt.Errorf("reading credentials for %s: %w", host, err)
	}
	if auth.IdentityToken != "" {
		return "", "", report.WithHint(fmt.Errorf("reading credentials for %s: an identity token, which is not supported", host),
			"give a user name and a password with --username and --password-stdin")
	}
	return auth.Username, auth.Password, nil
}

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
// It repeats what fails in passing. Answers of any status are no error.
func (r *Registry) Do(ctx context.Context, method, path string, query url.Values, header http.Header, body []byte) (*http.Response, error) {
	var answer *http.Response
	err := r.retry(ctx, func() error {
		req, err := r.newRequest(ctx, &request{method: method, path: path, query: query, header: header, size: int64(len(body)), body: bodyOf(body)})
		if err != nil {
			return err
		}
		if r.auth.username != "" {
			req.SetBasicAuth(r.auth.username, r.auth.password)
		}
		resp, err := r.roundTrip(req)
		if err != nil {
			return err
		}
		if isTransientStatus(resp.StatusCode) {
			return newStatusError(req, resp)
		}
		answer = resp
		return nil
	})
	return answer, err
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
	for fresh := false; ; fresh = true {
		req, err := r.newRequest(ctx, q)
		if err != nil {
			return nil, err
		}
		if !q.anonymous && req.URL.Host == r.base.Host {
			if err := r.auth.authorize(ctx, req, q.scopes, fresh); err != nil {
				return nil, err
			}
		}
		resp, err := r.roundTrip(req)
		switch {
		case err != nil:
			return nil, err
		case resp.StatusCode == http.StatusUnauthorized && !q.anonymous && !fresh && r.auth.canRenew(resp):
			drain(resp)
		case resp.StatusCode < 400,
			q.accept401 && resp.StatusCode == http.StatusUnauthorized,
			q.accept404 && resp.StatusCode == http.StatusNotFound:
			return resp, nil
		default:
			return nil, newStatusError(req, resp)
		}
	}
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
	if q.body != nil {
		if req.Body, err = q.body(); err != nil {
			return nil, err
		}
		req.GetBody, req.ContentLength = q.body, q.size
		if q.size == 0 {
			req.Body, req.GetBody = http.NoBody, nil
		}
	}
	return req, nil
}

// roundTrip waits for a slot, so that there are never more requests at once
// than jobs.
func (r *Registry) roundTrip(req *http.Request) (*http.Response, error) {
	select {
	case r.slots <- struct{}{}:
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	defer func() { <-r.slots }()
	return r.client.Do(req)
}

// drain reads a short answer to its end, so that the connection is kept.
func drain(resp *http.Response) {
	io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	resp.Body.Close()
}

func isNoTLS(err error) bool {
	var header tls.RecordHeaderError
	return errors.As(err, &header) || (err != nil && strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"))
}

func isUnknownAuthority(err error) bool {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	return errors.As(err, &unknown) || errors.As(err, &name)
}
