package push

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
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
	// quickTimeout is how long it may think about anything but an upload.
	quickTimeout = time.Minute
	// firstTimeout is the same for the first contact, for which someone waits.
	firstTimeout = 20 * time.Second
	writeBuffer  = 128 << 10 // bytes; the default of 4 KiB makes a system call each
)

// newClient makes a client of so many connections. It has no cookie jar: Harbor takes a request
// that sends its session cookie back for one from a browser, and refuses it.
// HTTP/1.1 alone: uploads over one HTTP/2 connection share one window.
func newClient(config *tls.Config, jobs int) *http.Client {
	return &http.Client{CheckRedirect: checkRedirect, Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           connect,
		TLSClientConfig:       config,
		TLSHandshakeTimeout:   connectTimeout,
		ResponseHeaderTimeout: answerTimeout,
		ExpectContinueTimeout: expectTimeout,
		IdleConnTimeout:       90 * time.Second,
		MaxConnsPerHost:       jobs,
		MaxIdleConnsPerHost:   jobs,
		WriteBufferSize:       writeBuffer,
		DisableCompression:    true,
		Protocols:             http1(),
	}}
}

// connect makes a connection that bodies can send themselves into.
func connect(ctx context.Context, network, addr string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second}
	c, err := dialer.DialContext(ctx, network, addr)
	if tcp, ok := c.(*net.TCPConn); ok {
		return conn{tcp}, err
	}
	return c, err
}

// checkRedirect follows no redirect out of TLS, none that would turn a request
// into another, and gives credentials to no other server.
func checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) >= maxRedirects:
		return fmt.Errorf("%w: %d of them", errRedirect, len(via))
	case req.URL.Scheme != "https" && via[len(via)-1].URL.Scheme == "https":
		return fmt.Errorf("%w: to %s, without TLS", errRedirect, clean(req.URL.Host, 200))
	case req.Method != via[0].Method:
		return http.ErrUseLastResponse
	case !sameServer(via[0].URL, req.URL):
		req.Header.Del("Authorization")
	}
	return nil
}

const maxRedirects = 5

var errRedirect = errors.New("a redirect that is not followed")

// sameServer tells whether what may be told to one may be told to the other: it
// has the same host and port, and no less than the same protection.
func sameServer(a, b *url.URL) bool {
	if !strings.EqualFold(a.Hostname(), b.Hostname()) {
		return false
	}
	if a.Scheme == b.Scheme {
		return port(a) == port(b)
	}
	return b.Scheme == "https" && a.Port() == b.Port()
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
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

func isNoTLS(err error) bool {
	var header tls.RecordHeaderError
	return errors.As(err, &header) || (err != nil && strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"))
}

func isUntrusted(err error) bool {
	var verification *tls.CertificateVerificationError
	return errors.As(err, &verification)
}
