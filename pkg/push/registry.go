// Package push sends layouts to a registry, on containers/image's types for
// sources and destinations, over one HTTP client. Each blob travels once and is
// mounted elsewhere after that; manifests go up after what they name, tags last.
//
// Protocol: OCI distribution spec 1.1; tokens: distribution,
// docs/content/spec/auth/token.md.
package push

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// Options steer how a registry is reached; nil means defaults.
type Options struct {
	Username, Password string // win over the auth files
	AuthFile           string // instead of the usual auth files
	CertDir            string // CA and client certificates: *.crt, *.cert, *.key
	SkipTLSVerify      bool   // take any certificate, and plain HTTP if there is no TLS
	Jobs               int    // requests side by side; 0 means 4
	RetryTimes         int    // tries after the first; negative none, 0 means 5
	RetryDelay         time.Duration
	UserAgent          string
	// ProjectTokens asks for one token for a whole project, the repository's
	// first component, instead of one for each repository: as Harbor grants them.
	ProjectTokens bool
	// ReadOnly says that nothing will be sent: tokens are asked for with the
	// right to pull alone.
	ReadOnly bool
	// Notify is told of every try that failed and will be repeated, and of every
	// look whether a registry that is gone is back.
	Notify func(err error, wait time.Duration)
	// Throttled is told once, when fewer requests than Jobs go side by side for
	// the first time, since the registry has too much to do: how many, and what
	// showed it. More go again as it heals.
	Throttled func(requests int, err error)
}

// Registry is a registry that images are pushed to. It is safe for use by
// several goroutines.
type Registry struct {
	base    *url.URL // scheme and host
	client  *http.Client
	lookout *http.Client // of one connection, to see whether a registry that is gone is back
	opts    Options
	auth    *authorizer
	quick   time.Duration // how long an answer may take that costs the registry little

	limiter   *limiter // of requests under way
	throttled sync.Once
	outage    *outage

	neverContinues atomic.Bool // the server does not say when it wants a body

	blobs *blobMap
	tags  *tagLists
	tagBy func(ctx context.Context, repository, tag string, d digest.Digest) error // nil: as any other

	placeBy    Placer // nil: blobs are sent
	unseen     *set   // "repository@digest" that were placed and are not found
	tellUnseen func(repository string, d digest.Digest)

	manifests *set // "repository@digest" that the target is known to have
	verified  *set // those that a HEAD has found there
	absent    *set // images that Foresee found not to be there
	checks    *blobChecks
	locks     *locks
	stall     time.Duration // see stallTimeout
}

// Dial finds out how the registry at a destination wants to be spoken to, and
// whether it takes the credentials. It returns an error with a hint for a host
// that cannot be reached, is no registry, or refuses the credentials.
func Dial(ctx context.Context, to plan.Destination, opts *Options) (*Registry, error) {
	r := newRegistry(to, opts)
	if err := r.prepare(to); err != nil {
		return nil, err
	}
	r.quick = firstTimeout
	err := r.ping(ctx)
	if err != nil && r.opts.SkipTLSVerify && r.base.Scheme == "https" && isNoTLS(err) {
		r.base.Scheme = "http"
		err = r.ping(ctx)
	}
	if err != nil {
		return nil, r.explain(err)
	}
	r.quick = quickTimeout
	if r.opts.RetryTimes > 0 {
		r.outage.patience = outagePatience
	}
	return r, nil
}

func newRegistry(to plan.Destination, opts *Options) *Registry {
	r := &Registry{
		base:      &url.URL{Scheme: "https", Host: to.Host},
		manifests: newSet(),
		verified:  newSet(),
		absent:    newSet(),
		unseen:    newSet(),
		locks:     newLocks(),
		outage:    newOutage(),
		checks:    newBlobChecks(),
		stall:     stallTimeout,
	}
	if to.PlainHTTP {
		r.base.Scheme = "http"
	}
	if opts != nil {
		r.opts = *opts
	}
	if r.opts.Jobs <= 0 {
		r.opts.Jobs = 4
	}
	if r.opts.RetryTimes == 0 {
		r.opts.RetryTimes = 5
	}
	if r.opts.RetryDelay <= 0 {
		r.opts.RetryDelay = time.Second
	}
	r.limiter = newLimiter(r.opts.Jobs)
	r.blobs = newBlobMap()
	r.tags = newTagLists(r)
	return r
}

// prepare sets up certificates and credentials.
func (r *Registry) prepare(to plan.Destination) error {
	tls, err := tlsConfig(to.Host, r.opts.CertDir, r.opts.SkipTLSVerify)
	if err != nil {
		return err
	}
	r.client, r.lookout = newClient(tls, r.opts.Jobs), newClient(tls, 1)
	username, password, err := credentials(to.Host, &r.opts)
	if err != nil {
		return err
	}
	r.auth = newAuthorizer(r, username, password)
	return nil
}

// UseProjectTokens switches to one token for each project; see Options.
func (r *Registry) UseProjectTokens() { r.opts.ProjectTokens = true }

// TagBy has tags of schema 1 manifests set by another way than a PUT under the
// tag: Harbor 2.15 refuses those, but takes the manifest by its digest, and the
// tag by its own API.
func (r *Registry) TagBy(tag func(ctx context.Context, repository, tag string, d digest.Digest) error) {
	r.tagBy = tag
}

// Expect tells which images will be pushed, in their order. It is optional, and
// comes before the first Push: blobs that several repositories need are then
// placed the same way in every run, so that one that goes on where another was
// interrupted finds all that was sent.
func (r *Registry) Expect(images []plan.Image) { r.blobs.expect(images) }

// URL is the registry's scheme and host.
func (r *Registry) URL() *url.URL {
	u := *r.base
	return &u
}

// Username is who the registry is spoken to as; empty for nobody.
func (r *Registry) Username() string { return r.auth.username }

// ping asks for the base of the API and learns how to authenticate.
func (r *Registry) ping(ctx context.Context) error {
	resp, err := r.send(ctx, &request{method: http.MethodGet, path: "/v2/", anonymous: true, accept401: true, acceptPage: true})
	if err != nil {
		return err
	}
	drain(resp) // before anything else is asked: there may be no other connection
	if !looksLikeRegistry(resp) {
		return errNoRegistry
	}
	if err := r.follow(resp); err != nil {
		return err
	}
	return r.auth.learn(ctx, resp)
}

// follow goes on where an answer came from, if that is the same host with TLS: no
// password goes without then. Its port may be any: Harbor's own redirect names it,
// even where it is 443. No other host is given the password, so that one which
// wants it is of no use.
func (r *Registry) follow(resp *http.Response) error {
	at := resp.Request.URL
	switch {
	case r.base.Scheme == "http" && at.Scheme == "https" && strings.EqualFold(r.base.Hostname(), at.Hostname()):
		r.base.Scheme, r.base.Host = at.Scheme, strings.TrimSuffix(at.Host, ":443")
	case !sameServer(r.base, at) && resp.StatusCode == http.StatusUnauthorized:
		return report.WithHint(fmt.Errorf("it redirects to %s, which wants a password and gets none from there", clean(at.Host, 200)),
			"name "+clean(at.Host, 200)+" as the destination")
	}
	return nil
}

var errNoRegistry = errors.New("it does not answer as a registry does")

// looksLikeRegistry tells a registry's answer to GET /v2/: 200, or 401 with a
// challenge, and never a page for people.
func looksLikeRegistry(resp *http.Response) bool {
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		return false
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return true
	case http.StatusUnauthorized:
		return resp.Header.Get("Www-Authenticate") != ""
	}
	return false
}

// explain adds what to do to an error of Dial.
func (r *Registry) explain(err error) error {
	wrapped := fmt.Errorf("reaching registry %s: %w", r.base, err)
	var status *StatusError
	switch {
	case report.Advice(err) != "", errors.Is(err, context.Canceled):
		return wrapped
	case isNoTLS(err):
		return report.WithHint(wrapped, "it speaks plain HTTP: write http://"+r.base.Host+", if you trust the network in between")
	case isUntrusted(err):
		return report.WithHint(wrapped, "give the directory of its CA certificate with --cert-dir, or take any certificate with --tls-verify=false")
	case errors.As(err, &status) && status.Status == http.StatusBadRequest && r.base.Scheme == "http":
		return report.WithHint(wrapped, "it may speak HTTPS: leave out http://")
	case errors.Is(err, errNoRegistry), errors.As(err, &status) && status.Status == http.StatusNotFound:
		return report.WithHint(wrapped, "check host and port; GET "+r.base.String()+"/v2/ has to answer 200 or 401")
	case status == nil && isNetwork(err) && !errors.Is(err, errRedirect):
		return report.WithHint(wrapped, "check host name, port and network: nothing answers there")
	}
	return wrapped
}

// ErrNotFound is wrapped where the registry does not have what was asked for.
var ErrNotFound = errors.New("not found")

// Resolve gives the digest of what the registry has under a reference. It
// returns ErrNotFound where it has nothing. A HEAD: no registry counts it as a
// pull.
func (r *Registry) Resolve(ctx context.Context, ref plan.Reference) (digest.Digest, error) {
	name := ref.Tag
	if name == "" {
		name = ref.Digest.String()
	}
	return r.headManifest(ctx, ref.Repository, name)
}
