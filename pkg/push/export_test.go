package push

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
)

// What tests see of the inside.

func ParseChallenge(headers []string) (scheme string, params map[string]string) {
	c := parseChallenge(headers)
	return c.scheme, c.params
}

func ParseParams(s string) map[string]string { return parseParams(s) }

func Links(header string) (targets []string) {
	for _, l := range links(header) {
		targets = append(targets, l.target+" "+l.params["rel"])
	}
	return targets
}

func RetryAfter(header http.Header) time.Duration { return retryAfter(header) }

func NewStatusError(req *http.Request, resp *http.Response) *StatusError {
	return newStatusError(req, resp)
}

func IsTransient(err error) bool { return isTransient(err) }

// SetStall changes how long an upload may stand still.
func (r *Registry) SetStall(d time.Duration) { r.stall = d }

// SetQuick changes how long an answer may take that costs the registry little.
func (r *Registry) SetQuick(d time.Duration) { r.quick = d }

// SetPatience changes how long a registry may be gone.
func (r *Registry) SetPatience(d time.Duration) { r.outage.patience = d }

// SetExpectTimeout changes how long a large body waits for the server's word.
func (r *Registry) SetExpectTimeout(d time.Duration) {
	r.client.Transport.(*http.Transport).ExpectContinueTimeout = d
}

// SetDial changes how connections are made, and ends those there are.
func (r *Registry) SetDial(dial func(ctx context.Context, network, addr string) (net.Conn, error)) {
	for _, c := range []*http.Client{r.client, r.lookout} {
		transport := c.Transport.(*http.Transport)
		transport.CloseIdleConnections()
		transport.DialContext = dial
	}
}

// Connect makes a connection as clients do.
var Connect = connect

// DialBy is Dial over other connections.
func DialBy(ctx context.Context, to plan.Destination, opts *Options, dial func(ctx context.Context, network, addr string) (net.Conn, error)) (*Registry, error) {
	r := newRegistry(to, opts)
	if err := r.prepare(to); err != nil {
		return nil, err
	}
	r.SetDial(dial)
	r.quick = firstTimeout
	return r, r.ping(ctx)
}

// InMemory is how large a blob is that goes with its request's head.
const InMemory = inMemory

var ErrLocal = errLocal

// SendsFile tells a body that is sent from its file.
func SendsFile(body io.Reader) bool {
	if e, ok := body.(*expected); ok {
		body = e.ReadCloser
	}
	w, ok := body.(*watched)
	return ok && w.file() != nil
}

// SendFile sends a file as the body of an upload.
func SendFile(t testing.TB, c *net.TCPConn, path string, size int64) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	watch := time.AfterFunc(time.Hour, func() {})
	defer watch.Stop()
	w := &watched{&localReader{f}, watch, time.Hour, time.Hour, 0, size, &reach{}}
	return conn{c}.ReadFrom(&io.LimitedReader{R: w, N: size})
}

// An Outage is what is known of a registry that is gone.
type Outage struct{ o *outage }

func NewOutage(patience time.Duration) Outage {
	o := newOutage()
	o.patience = patience
	return Outage{o}
}

func (o Outage) Failed(at time.Time) bool { return o.o.failed(at) }
func (o Outage) Over()                    { o.o.over() }
func (o Outage) Lasts() bool              { return o.o.lasts() }

func IsOutage(err error) bool { return isOutage(err) }

// A Limiter hands out slots.
type Limiter struct{ l *limiter }

// The ends of a request.
const (
	Unclear  = unclear
	Eased    = eased
	Strained = strained
)

type Strain = strain

func NewLimiter(most int) Limiter { return Limiter{newLimiter(most)} }

func (l Limiter) Take(ctx context.Context) (era int, err error) { return l.l.take(ctx) }
func (l Limiter) Give(era int, end Strain) (fewer int)          { return l.l.give(era, end) }

// State gives how many slots there are, how many are taken, and how many wait.
func (l Limiter) State() (now, busy, waiting int) {
	l.l.mu.Lock()
	defer l.l.mu.Unlock()
	return l.l.width.now, l.l.busy, len(l.l.waiting)
}

func StrainOf(err error) Strain { return strainOf(err) }

func ParseReceived(header string) (int64, bool) { return parseReceived(header) }

// OpenAt opens at an offset.
func OpenAt(ctx context.Context, open func() (io.ReadCloser, error), offset int64) (io.ReadCloser, error) {
	return openAt(ctx, open, offset)
}
