package push_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor"
	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/push"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// startHarbor starts a Harbor with some projects.
func startHarbor(t testing.TB, opts *harbortest.Options, projects ...string) *harbortest.Server {
	t.Helper()
	s, err := harbortest.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for _, p := range projects {
		s.CreateProject(p, harbortest.Project{})
	}
	return s
}

// asAdmin are options that fail fast, as Harbor's administrator.
func asAdmin() *push.Options {
	return &push.Options{Username: "admin", Password: "Harbor12345", RetryDelay: time.Millisecond, RetryTimes: 3}
}

func plainHTTP(host string) plan.Destination { return plan.Destination{Host: host, PlainHTTP: true} }

func dial(t testing.TB, host string, opts *push.Options) *push.Registry {
	t.Helper()
	r, err := push.Dial(t.Context(), plainHTTP(host), noAuthFile(t, opts))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// noAuthFile keeps a test from the auth files of whoever runs it.
func noAuthFile(t testing.TB, opts *push.Options) *push.Options {
	o := push.Options{RetryDelay: time.Millisecond}
	if opts != nil {
		o = *opts
	}
	if o.AuthFile == "" {
		o.AuthFile = filepath.Join(t.TempDir(), "none.json")
		if err := os.WriteFile(o.AuthFile, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &o
}

// dialHarbor dials as the commands do.
func dialHarbor(t testing.TB, s *harbortest.Server, opts *push.Options) *push.Registry {
	t.Helper()
	r := dial(t, s.Host(), opts)
	h, err := harbor.Detect(t.Context(), r)
	if err != nil || h == nil {
		t.Fatalf("detecting Harbor: %v, %v", h, err)
	}
	r.UseProjectTokens()
	r.TagBy(h.AddTag)
	return r
}

// A recording is a handler that keeps what it was asked, and can be told to
// answer otherwise.
type recording struct {
	http.Handler
	mu       sync.Mutex
	requests []string // "POST /v2/…?query"
	headers  []http.Header
	answer   func(w http.ResponseWriter, r *http.Request) bool
}

func (h *recording) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.requests = append(h.requests, r.Method+" "+r.URL.RequestURI())
	h.headers = append(h.headers, r.Header.Clone())
	answer := h.answer
	h.mu.Unlock()
	if answer == nil || !answer(w, r) {
		h.Handler.ServeHTTP(w, r)
	}
}

func (h *recording) count(prefix string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, r := range h.requests {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}

// newDistribution makes a plain registry. Its storage is on disk: the one in
// memory leaves tags named current or index out of its lists.
func newDistribution(t testing.TB) *recording {
	t.Helper()
	startHarbor(t, nil) // which keeps the log of the registry quiet
	config := &configuration.Configuration{Storage: configuration.Storage{
		"filesystem":  configuration.Parameters{"rootdirectory": t.TempDir()},
		"maintenance": {"uploadpurging": map[any]any{"enabled": false}},
	}}
	config.HTTP.RelativeURLs = true
	config.Validation.Enabled = true
	config.Validation.Manifests.URLs.Allow = []string{"^https?://."}
	return &recording{Handler: handlers.NewApp(context.WithoutCancel(t.Context()), config)}
}

func serve(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func hostOf(s *httptest.Server) string { return s.Listener.Addr().String() }

// startDebian starts Debian's registry 2.8, and gives its host.
func startDebian(t testing.TB) string {
	t.Helper()
	program, err := exec.LookPath("docker-registry")
	if err != nil {
		t.Skip("docker-registry is not installed")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := l.Addr().String()
	l.Close()
	config := filepath.Join(t.TempDir(), "config.yml")
	content := fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %q}}\nhttp: {addr: %q}\n"+
		"validation: {manifests: {urls: {allow: ['^https?://']}}}\ncompatibility: {schema1: {enabled: true}}\n", t.TempDir(), host)
	if err := os.WriteFile(config, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "serve", config)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "OTEL_TRACES_EXPORTER=none"}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for range 200 {
		resp, err := http.Get("http://" + host + "/v2/")
		if err == nil {
			resp.Body.Close()
			return host
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatal("docker-registry does not answer")
	return ""
}

// A reader reads a registry back, with nothing of ours.
type reader struct {
	base, token string
}

func (c reader) get(t testing.TB, path string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, c.base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header["Accept"] = storage.ManifestMediaTypes
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, body
}

// harborReader reads projects as admin.
func harborReader(t testing.TB, s *harbortest.Server, projects ...string) reader {
	t.Helper()
	query := url.Values{"service": {"harbor-registry"}}
	for _, p := range projects {
		query.Add("scope", "repository:"+p+"/any:pull")
	}
	req, err := http.NewRequest(http.MethodGet, s.URL()+"/service/token?"+query.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("admin", "Harbor12345")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct{ Token string }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return reader{s.URL(), answer.Token}
}

// check holds a whole image against what the registry gives.
func (c reader) check(t testing.TB, i plan.Image) {
	t.Helper()
	repository := "/v2/" + i.Target.Repository
	name := i.Target.Tag
	if name == "" {
		name = i.Manifest.Digest.String()
	}
	c.checkManifest(t, repository+"/manifests/"+name, i.Manifest.Digest)
	for _, m := range i.Manifests {
		c.checkManifest(t, repository+"/manifests/"+m.Digest.String(), m.Digest)
	}
	for _, b := range i.Blobs {
		resp, body := c.get(t, repository+"/blobs/"+b.Digest.String())
		if got := b.Digest.Algorithm().FromBytes(body); resp.StatusCode != http.StatusOK || got != b.Digest {
			t.Errorf("%s: blob %s: %s, %s", i.Target, b.Digest, resp.Status, got)
		}
	}
}

func (c reader) checkManifest(t testing.TB, path string, want digest.Digest) {
	t.Helper()
	resp, body := c.get(t, path)
	if resp.StatusCode != http.StatusOK || !storage.HasDigest(body, want) {
		t.Errorf("%s: %s, %s", path, resp.Status, digest.FromBytes(body))
	}
	if got := resp.Header.Get("Docker-Content-Digest"); got != want.String() {
		t.Errorf("%s is said to be %s, want %s", path, got, want)
	}
}

// skopeoDigest is the digest of what skopeo reads, if it is installed.
func skopeoDigest(t testing.TB, image string, args ...string) (digest.Digest, bool) {
	t.Helper()
	if _, err := exec.LookPath("skopeo"); err != nil {
		return "", false
	}
	out, err := exec.Command("skopeo", slices.Concat([]string{"inspect", "--raw", "--tls-verify=false"}, args, []string{"docker://" + image})...).Output()
	if err != nil {
		t.Errorf("skopeo inspect %s: %v", image, err)
	}
	return digest.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(out))), true
}
