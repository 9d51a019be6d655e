package push_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/push"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

func TestDialErrors(t *testing.T) {
	page := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, htmlPage)
	}))
	missing := serve(t, http.NotFoundHandler())
	closed := httptest.NewServer(nil)
	closed.Close()
	secure := startHarbor(t, &harbortest.Options{TLS: true})
	plain := startHarbor(t, nil)
	for _, test := range []struct {
		name, host string
		plainHTTP  bool
		hint       string
	}{
		{"a page", hostOf(page), true, "has to answer 200 or 401"},
		{"no registry", hostOf(missing), true, "has to answer 200 or 401"},
		{"nobody", hostOf(closed), true, "nothing answers there"},
		{"unknown authority", secure.Host(), false, "--cert-dir"},
		{"no TLS", plain.Host(), false, "write http://" + plain.Host()},
	} {
		t.Run(test.name, func(t *testing.T) {
			to := plan.Destination{Host: test.host, PlainHTTP: test.plainHTTP}
			opts := noAuthFile(t, &push.Options{RetryTimes: -1, RetryDelay: time.Millisecond})
			_, err := push.Dial(t.Context(), to, opts)
			if err == nil || !strings.Contains(err.Error(), "reaching registry http") || !strings.Contains(report.Advice(err), test.hint) {
				t.Errorf("error %v, hint %q", err, report.Advice(err))
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := push.Dial(ctx, to, opts); !errors.Is(err, context.Canceled) || report.Advice(err) != "" {
				t.Errorf("after the end: %v, hint %q", err, report.Advice(err))
			}
		})
	}
}

func TestTLS(t *testing.T) {
	s := startHarbor(t, &harbortest.Options{TLS: true}, "mig")
	plain := startHarbor(t, nil, "mig")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ca.crt"), s.CertPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		s    *harbortest.Server
		opts push.Options
	}{
		{"certificate directory", s, push.Options{CertDir: dir}},
		{"any certificate", s, push.Options{SkipTLSVerify: true}},
		{"no TLS at all", plain, push.Options{SkipTLSVerify: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.opts.Username, test.opts.Password = "admin", "Harbor12345"
			r, err := push.Dial(t.Context(), plan.Destination{Host: test.s.Host()}, &test.opts)
			if err != nil {
				t.Fatal(err)
			}
			r.UseProjectTokens()
			mustPush(t, r, image("mig/app:"+strings.ReplaceAll(test.name, " ", "-"), "layer"))
		})
	}
	if _, err := push.Dial(t.Context(), plan.Destination{Host: s.Host()}, &push.Options{CertDir: filepath.Join(dir, "none")}); err == nil {
		t.Error("a directory that is not there")
	}
}

// A registry behind a proxy may name itself without TLS; nothing goes there.
func TestLocationWithoutTLS(t *testing.T) {
	h := newDistribution(t)
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		h.ServeHTTP(&relocated{w, func(l string) string { return "http://" + q.Host + l }}, q)
	}))
	defer s.Close()
	r, err := push.Dial(t.Context(), plan.Destination{Host: hostOf(s)}, noAuthFile(t, &push.Options{SkipTLSVerify: true}))
	if err != nil {
		t.Fatal(err)
	}
	mustPush(t, r, image("app:1", "layer"))
}

// relocated changes the Location of uploads.
type relocated struct {
	http.ResponseWriter
	to func(location string) string
}

func (r *relocated) WriteHeader(code int) {
	if l := r.Header().Get("Location"); l != "" && code == http.StatusAccepted {
		r.Header().Set("Location", r.to(l))
	}
	r.ResponseWriter.WriteHeader(code)
}

func TestLocationElsewhere(t *testing.T) {
	h := newDistribution(t)
	elsewhere := serve(t, h) // takes uploads from anyone, as storage does with signed URLs
	s := serve(t, withBasic(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		h.Handler.ServeHTTP(&relocated{w, func(l string) string { return elsewhere.URL + l }}, q)
	}), "user", secret))
	opts := &push.Options{Username: "user", Password: secret}
	mustPush(t, dial(t, hostOf(s), opts), image("app:1", "layer"))
	if h.count("PUT /v2/app/blobs/uploads/") != 2 {
		t.Errorf("uploads went to %v", h.requests)
	}
	for n, header := range h.headers {
		if header.Get("Authorization") != "" {
			t.Errorf("credentials went along with %s", h.requests[n])
		}
	}
	h.answer, _ = failFirst(99, "PUT /v2/app/blobs/uploads/", status(401, ""))
	o, err := image("app:2", "another").pushTo(t.Context(), t, dial(t, hostOf(s), opts))
	if !strings.Contains(o.Error, "which gets no password") || !strings.Contains(report.Advice(err), "external_url") {
		t.Errorf("outcome %+v, hint %q", o, report.Advice(err))
	}
}

func TestRedirects(t *testing.T) {
	h := newDistribution(t)
	other := serve(t, h)
	s := serve(t, withBasic(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		http.Redirect(w, q, other.URL+q.URL.RequestURI(), http.StatusTemporaryRedirect)
	}), "user", secret))
	mustPush(t, dial(t, hostOf(s), &push.Options{Username: "user", Password: secret}), image("app:1", "layer"))
	for n, header := range h.headers {
		if header.Get("Authorization") != "" {
			t.Errorf("credentials went along with %s", h.requests[n])
		}
	}
	reader{base: other.URL}.check(t, image("app:1", "layer").Image)

	secure := httptest.NewTLSServer(http.RedirectHandler(other.URL+"/v2/", http.StatusFound))
	defer secure.Close()
	_, err := push.Dial(t.Context(), plan.Destination{Host: hostOf(secure)}, noAuthFile(t, &push.Options{SkipTLSVerify: true}))
	if err == nil || !strings.Contains(err.Error(), "without TLS") {
		t.Errorf("a redirect out of TLS: %v", err)
	}
}

// Harbor with TLS redirects what comes to its plain port, and names the port that
// its proxy listens on, even where that is 443 (goharbor/harbor,
// make/photon/prepare/utils/nginx.py). Nothing but the first question goes plainly.
func TestRedirectToTLS(t *testing.T) {
	for _, port := range []string{"443", "8443"} {
		external := strings.TrimSuffix("https://harbor.test:"+port, ":443")
		s := startHarbor(t, &harbortest.Options{TLS: true, ExternalURL: external}, "mig")
		var asked atomic.Int64
		front := serve(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			asked.Add(1)
			if q.Header.Get("Authorization") != "" {
				t.Error("the password went without TLS")
			}
			http.Redirect(w, q, "https://harbor.test:"+port+q.URL.RequestURI(), http.StatusPermanentRedirect)
		}))
		opts := asAdmin()
		opts.SkipTLSVerify = true
		r, err := push.DialBy(t.Context(), plainHTTP("harbor.test"), opts, func(ctx context.Context, network, addr string) (net.Conn, error) {
			to := map[string]string{"harbor.test:80": hostOf(front), "harbor.test:" + port: s.Host()}[addr]
			return push.Connect(ctx, network, to)
		})
		if err != nil {
			t.Fatal(err)
		}
		r.UseProjectTokens()
		mustPush(t, r, image("mig/app:1", "layer"))
		if n := asked.Load(); n != 1 || r.URL().String() != external {
			t.Errorf("port %s: %d questions without TLS, then %s", port, n, r.URL())
		}
	}
}

// Another host gets no password by a redirect: it has to be named.
func TestRedirectToAnotherHost(t *testing.T) {
	s := startHarbor(t, nil, "mig")
	s.Intercept(func(_ http.ResponseWriter, q *http.Request) bool {
		if q.Header.Get("Authorization") != "" {
			t.Errorf("credentials went along with %s %s", q.Method, q.URL.Path)
		}
		return false
	})
	front := serve(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		http.Redirect(w, q, s.URL()+q.URL.RequestURI(), http.StatusTemporaryRedirect)
	}))
	_, err := push.Dial(t.Context(), plainHTTP(hostOf(front)), asAdmin())
	if err == nil || !strings.Contains(report.Advice(err), s.Host()) {
		t.Errorf("error %v, hint %q", err, report.Advice(err))
	}
}

// What a registry sends passwords to has to be as well protected as itself.
func TestTokenServerWithoutTLS(t *testing.T) {
	s := startHarbor(t, &harbortest.Options{TLS: true, ExternalURL: "http://harbor.invalid"}, "mig")
	_, err := push.Dial(t.Context(), plan.Destination{Host: s.Host()}, &push.Options{Username: "admin", Password: secret, SkipTLSVerify: true})
	if err == nil || !strings.Contains(err.Error(), "without TLS") || strings.Contains(err.Error(), secret) {
		t.Errorf("error %v", err)
	}
}

func TestCredentials(t *testing.T) {
	s := startHarbor(t, nil, "mig")
	bin := t.TempDir()
	helper := fmt.Sprintf("#!/bin/sh\nread host\n[ \"$1\" = get ] && echo '{\"ServerURL\":%q,\"Username\":\"admin\",\"Secret\":\"Harbor12345\"}'\n", s.Host())
	if err := os.WriteFile(filepath.Join(bin, "docker-credential-xyz"), []byte(helper), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	auth := func(name, password string) string {
		return fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, s.Host(), base64.StdEncoding.EncodeToString([]byte(name+":"+password)))
	}
	for _, test := range []struct {
		name, file string
		opts       push.Options
		want       string // user name; empty for nobody
		err        string
	}{
		{"options alone", "{}", push.Options{Username: "admin", Password: "Harbor12345"}, "admin", ""},
		{"options over file", auth("admin", secret), push.Options{Username: "admin", Password: "Harbor12345"}, "admin", ""},
		{"file", auth("admin", "Harbor12345"), push.Options{}, "admin", ""},
		{"file of docker, by URL", strings.Replace(auth("admin", "Harbor12345"), s.Host(), "https://"+s.Host()+"/v1/", 1), push.Options{}, "admin", ""},
		{"file with a wrong password", auth("admin", secret), push.Options{}, "", "refuses the user name"},
		{"helper for the host", fmt.Sprintf(`{"credHelpers":{%q:"xyz"}}`, s.Host()), push.Options{}, "admin", ""},
		{"nobody", "{}", push.Options{}, "", ""},
		{"identity token", fmt.Sprintf(`{"auths":{%q:{"auth":"YTpi","identitytoken":"x"}}}`, s.Host()), push.Options{}, "", "identity token"},
		{"junk", `{"auths":`, push.Options{}, "", "reading credentials"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.opts.AuthFile = filepath.Join(t.TempDir(), "auth.json")
			if err := os.WriteFile(test.opts.AuthFile, []byte(test.file), 0o600); err != nil {
				t.Fatal(err)
			}
			r, err := push.Dial(t.Context(), plainHTTP(s.Host()), &test.opts)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) || strings.Contains(err.Error(), secret) {
					t.Errorf("error %v, want %q in it", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if r.Username() != test.want {
				t.Errorf("user name %q, want %q", r.Username(), test.want)
			}
		})
	}
}
