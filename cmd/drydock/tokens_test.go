package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
)

// TestTokens has tokens that live shorter than the run, and registries whose
// clock is wrong.
func TestTokens(t *testing.T) {
	const images = 12
	tree := many(images, "image i%d amd64 base own%d\ntag team/app%d v1 i%d")
	for _, tt := range []struct {
		name     string
		lifetime time.Duration
		slow     time.Duration // each upload and each manifest
		clock    time.Duration // how far the registry's is ahead
		refused  bool          // tokens run out that are good for all that the client knows
	}{
		{name: "two seconds", lifetime: 2 * time.Second, slow: 300 * time.Millisecond},
		// Harbor says that these live 0 seconds, which is taken for saying nothing.
		{name: "shorter than said", lifetime: 400 * time.Millisecond, slow: 100 * time.Millisecond, refused: true},
		{name: "an hour fast", lifetime: 2 * time.Second, slow: 200 * time.Millisecond, clock: time.Hour},
		{name: "an hour slow", lifetime: 2 * time.Second, slow: 200 * time.Millisecond, clock: -time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, root := parsedTree(t, tree)
			to := startWithClock(t, tt.clock, &harbortest.Options{TokenLifetime: tt.lifetime, Leeway: -1})
			to.harbor.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodPut {
					time.Sleep(tt.slow)
				}
				return false
			})
			var asked atomic.Bool // to come again at a time by the registry's clock
			to.harbor.SetFaults(func(q *http.Request) harbortest.Fault {
				if tt.clock != 0 && q.Method == http.MethodPut && asked.CompareAndSwap(false, true) {
					return harbortest.TooManyUntil
				}
				return harbortest.NoFault
			})
			r := inTime(tt.name, hangs, func() result {
				return drydock(t, to, "migrate", root, to.url, "-o", "json", "-j", "2", "--retry-delay", "1ms")
			})
			if r.code != exitDone || r.summary.Done != images {
				t.Fatalf("exit status %d, %d of %d done\n%s\n%s", r.code, r.summary.Done, images, r.failures(), r.stderr)
			}
			checkTokens(t, to, tt.refused)
			if got := len(to.tags(t)); got != images {
				t.Errorf("%d tags, want %d", got, images)
			}
		})
	}
}

// checkTokens holds that tokens were renewed, after a refusal too, and that no
// blob was stored twice for that.
func checkTokens(t *testing.T, to *registryUnderTest, wantRefusals bool) {
	t.Helper()
	tokens, refusals, sent := 0, 0, map[string]int{}
	for _, q := range to.harbor.Requests() {
		switch {
		case q.Path == "/service/token":
			tokens++
		case q.Status == http.StatusUnauthorized && q.Path != "/v2/":
			refusals++
		}
		if d := mustQuery(t, q.RawQuery).Get("digest"); q.Method == http.MethodPut && q.Status == http.StatusCreated && d != "" {
			sent[d]++
		}
	}
	if tokens < 3 {
		t.Errorf("%d tokens: none was renewed", tokens)
	}
	if wantRefusals && refusals == 0 {
		t.Error("no token ran out before its time")
	}
	for d, n := range sent {
		if n > 1 {
			t.Errorf("%s was sent %d times", d, n)
		}
	}
}

func mustQuery(t *testing.T, raw string) url.Values {
	t.Helper()
	q, err := url.ParseQuery(raw)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// startWithClock starts a Harbor behind a proxy that makes its clock wrong.
func startWithClock(t *testing.T, ahead time.Duration, opts *harbortest.Options) *registryUnderTest {
	t.Helper()
	front := httptest.NewUnstartedServer(nil)
	opts.ExternalURL = "http://" + front.Listener.Addr().String()
	server, err := harbortest.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	back, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	front.Config.Handler = &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(back); r.Out.Host = r.In.Host },
		ModifyResponse: func(resp *http.Response) error { return shiftClock(resp, ahead) },
	}
	front.Start()
	t.Cleanup(front.Close)
	return &registryUnderTest{url: front.URL, username: "admin", password: "Harbor12345", harbor: server}
}

// shiftClock changes every time in an answer.
func shiftClock(resp *http.Response, ahead time.Duration) error {
	for _, name := range []string{"Date", "Retry-After"} {
		if at, err := http.ParseTime(resp.Header.Get(name)); err == nil {
			resp.Header.Set(name, at.Add(ahead).UTC().Format(http.TimeFormat))
		}
	}
	if resp.Request.URL.Path != "/service/token" || resp.StatusCode != http.StatusOK {
		return nil
	}
	var token map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&token); err != nil {
		return err
	}
	issued, err := time.Parse(time.RFC3339, fmt.Sprint(token["issued_at"]))
	if err != nil {
		return err
	}
	token["issued_at"] = issued.Add(ahead).Format(time.RFC3339)
	content, err := json.Marshal(token)
	resp.Body = io.NopCloser(bytes.NewReader(content))
	resp.Header.Set("Content-Length", strconv.Itoa(len(content)))
	resp.ContentLength = int64(len(content))
	return err
}
