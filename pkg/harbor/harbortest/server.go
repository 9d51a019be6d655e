package harbortest

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/distribution/distribution/v3/registry/handlers"
)

// What Harbor sets where the caller says nothing.
const (
	adminName            = "admin"
	defaultAdminPassword = "Harbor12345"
	defaultTokenLifetime = 30 * time.Minute
	defaultLeeway        = time.Minute
)

// Options say how a Server is set up. The zero value, like nil, is a Harbor as
// its installer leaves it, over plain HTTP with its storage in memory.
type Options struct {
	// Dir is the root directory of the registry's filesystem storage, the one
	// that holds docker/registry/v2. Empty means storage in memory.
	Dir string
	// AdminPassword is that of the user admin. Empty means Harbor12345.
	AdminPassword string
	// TokenLifetime is how long a bearer token says it lives. 0 means 30 minutes.
	TokenLifetime time.Duration
	// Leeway is for how long an expired token is still taken. 0 means Harbor's
	// 60 seconds, a negative one none.
	Leeway time.Duration
	// TLS serves https with a self-signed certificate; see Server.CertPEM.
	TLS bool
	// ExternalURL is what Location headers and the token realm say instead of
	// the address listened on, for a server behind a proxy.
	ExternalURL string
}

// Server is a running Harbor. Its methods may be called at any time and from
// several goroutines.
type Server struct {
	adminPassword string
	lifetime      time.Duration
	leeway        time.Duration
	external      string
	key           []byte // signs tokens

	http     *httptest.Server
	registry *handlers.App
	stop     context.CancelFunc
	db       *database
	uploads  uploads

	mu        sync.Mutex
	requests  []Request
	intercept func(http.ResponseWriter, *http.Request) bool
	faults    func(*http.Request) Fault
	hanging   chan struct{} // closed by release
	release   func()
}

// New starts a Harbor on a free port of 127.0.0.1. It has the user admin and,
// like a fresh Harbor, the public project library. A nil opts means the
// defaults. The error is that of a storage that cannot be used.
func New(opts *Options) (*Server, error) {
	if opts == nil {
		opts = &Options{}
	}
	s := &Server{
		adminPassword: cmp.Or(opts.AdminPassword, defaultAdminPassword),
		lifetime:      cmp.Or(opts.TokenLifetime, defaultTokenLifetime),
		leeway:        max(cmp.Or(opts.Leeway, defaultLeeway), 0),
		key:           []byte(rand.Text()),
		db:            newDatabase(),
		uploads:       uploads{stored: map[string]int64{}},
		hanging:       make(chan struct{}),
	}
	s.release = sync.OnceFunc(func() { close(s.hanging) })
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.http.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that do not like the certificate
	s.external = strings.TrimSuffix(cmp.Or(opts.ExternalURL, listenURL(s.http, opts.TLS)), "/")

	ctx, stop := context.WithCancel(context.Background())
	registry, err := newRegistry(ctx, opts.Dir, s.external, true)
	if err != nil {
		stop()
		_ = s.http.Listener.Close()
		return nil, fmt.Errorf("starting the registry: %w", err)
	}
	s.registry, s.stop = registry, stop
	s.start(opts.TLS)
	return s, nil
}

func (s *Server) start(tls bool) {
	if tls {
		s.http.StartTLS()
		return
	}
	s.http.Start()
}

// listenURL is needed before the server starts: the registry is configured
// with the address that it will be seen under.
func listenURL(s *httptest.Server, tls bool) string {
	scheme := "http://"
	if tls {
		scheme = "https://"
	}
	return scheme + s.Listener.Addr().String()
}

// URL returns the base URL that the server listens on, without a slash at its
// end.
func (s *Server) URL() string { return s.http.URL }

// Host returns the HOST:PORT that the server listens on, as it stands in an
// image reference.
func (s *Server) Host() string { return s.http.Listener.Addr().String() }

// CertPEM returns the certificate of a TLS server in PEM, to be put into a
// client's certificate directory, and nil for one without TLS.
func (s *Server) CertPEM() []byte {
	cert := s.http.Certificate()
	if cert == nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}

// Close stops the server. It waits for requests under way, and leaves
// Options.Dir as it is.
func (s *Server) Close() {
	s.release()
	s.http.Close()
	s.stop()
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	rec := s.record(w, r)
	defer rec.done()
	if f := s.interceptor(); f != nil && f(rec, r) {
		return
	}
	if r.Header.Get("Expect") != "" {
		w.WriteHeader(http.StatusContinue) // nginx takes every body before it asks Harbor
	}
	defer drain(r)
	s.fault(r).strike(s, rec, r)
}

// answer is Harbor's.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	if refuseTooLong(w, r) {
		return
	}
	s.setSession(w)
	if err := s.route(w, r); err != nil {
		writeError(w, err)
	}
}

// route answers as Harbor's core does, which refuses what carries a session
// cookie before it looks at anything else.
func (s *Server) route(w http.ResponseWriter, r *http.Request) error {
	if err := checkCSRF(r); err != nil {
		return err
	}
	switch {
	case r.URL.Path == "/service/token":
		return s.serveToken(w, r)
	case strings.HasPrefix(r.URL.Path, apiPrefix):
		return s.serveAPI(w, r)
	case r.URL.Path == "/v2" || strings.HasPrefix(r.URL.Path, "/v2/"):
		return s.serveV2(w, r)
	}
	return notFound("path %s was not found", r.URL.Path)
}
