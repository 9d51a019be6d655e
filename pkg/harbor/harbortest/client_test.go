package harbortest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
)

const dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"

// start starts a Harbor with the private project mig.
func start(t *testing.T, opts *harbortest.Options) *harbortest.Server {
	t.Helper()
	s, err := harbortest.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.CreateProject("mig", harbortest.Project{})
	return s
}

// A client sends single requests with one Authorization header.
type client struct {
	t    *testing.T
	s    *harbortest.Server
	auth string
}

func anonymous(t *testing.T, s *harbortest.Server) *client { return &client{t: t, s: s} }

func basic(t *testing.T, s *harbortest.Server, name, password string) *client {
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(name, password)
	return &client{t, s, r.Header.Get("Authorization")}
}

func admin(t *testing.T, s *harbortest.Server) *client { return basic(t, s, "admin", "Harbor12345") }

type response struct {
	status int
	header http.Header
	body   string
}

// do sends a request. Headers are name, value, name, value.
func (c *client) do(method, path, body string, headers ...string) *response {
	c.t.Helper()
	target := path
	if !strings.HasPrefix(path, "http") {
		target = c.s.URL() + path
	}
	r, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if c.auth != "" {
		r.Header.Set("Authorization", c.auth)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return &response{resp.StatusCode, resp.Header, string(b)}
}

// want fails unless the answer has the status and the words.
func (r *response) want(t *testing.T, status int, words ...string) *response {
	t.Helper()
	if r.status != status {
		t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	for _, w := range words {
		if !strings.Contains(r.body, w) {
			t.Fatalf("%q not in %s", w, r.body)
		}
	}
	return r
}

// bearer returns a client with a token for the scopes.
func (c *client) bearer(scopes ...string) *client {
	c.t.Helper()
	q := url.Values{"service": {"harbor-registry"}, "scope": scopes}
	resp := c.do("GET", "/service/token?"+q.Encode(), "").want(c.t, 200)
	var token struct{ Token string }
	if err := json.Unmarshal([]byte(resp.body), &token); err != nil {
		c.t.Fatal(err)
	}
	return &client{c.t, c.s, "Bearer " + token.Token}
}

func push(repo string) string { return "repository:" + repo + ":pull,push" }
func pull(repo string) string { return "repository:" + repo + ":pull" }

// upload pushes a blob and returns its descriptor.
func (c *client) upload(repo, content, mediaType string) ocispec.Descriptor {
	c.t.Helper()
	d := descriptor(mediaType, content)
	c.finish(c.startUpload(repo), d.Digest, content).want(c.t, 201)
	return d
}

func (c *client) startUpload(repo string) (location string) {
	c.t.Helper()
	return c.do("POST", "/v2/"+repo+"/blobs/uploads/", "").want(c.t, 202).header.Get("Location")
}

func (c *client) finish(location string, d digest.Digest, content string) *response {
	separator := "?"
	if strings.Contains(location, "?") {
		separator = "&"
	}
	return c.do("PUT", location+separator+"digest="+url.QueryEscape(d.String()), content, "Content-Type", "application/octet-stream")
}

func (c *client) put(repo, reference, mediaType, manifest string) *response {
	return c.do("PUT", "/v2/"+repo+"/manifests/"+reference, manifest, "Content-Type", mediaType)
}

func (c *client) head(repo, reference string, accept ...string) *response {
	return c.do("HEAD", "/v2/"+repo+"/manifests/"+reference, "", "Accept", strings.Join(accept, ","))
}

func descriptor(mediaType, content string) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromString(content), Size: int64(len(content))}
}

const (
	imageConfig = `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"config":{}}`
	layerBytes  = "layer-bytes"
)

// image is an OCI manifest with a config and one layer, whose fields can be
// replaced.
func image(changes map[string]any) string {
	m := map[string]any{
		"schemaVersion": 2,
		"mediaType":     ocispec.MediaTypeImageManifest,
		"config":        descriptor(ocispec.MediaTypeImageConfig, imageConfig),
		"layers":        []ocispec.Descriptor{descriptor(ocispec.MediaTypeImageLayer, layerBytes)},
	}
	maps.Copy(m, changes)
	return marshal(m)
}

func index(children ...ocispec.Descriptor) string {
	return marshal(map[string]any{"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageIndex, "manifests": children})
}

func marshal(v any) string {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		panic(err)
	}
	return b.String()
}

// pushImage pushes the plain image.
func (c *client) pushImage(repo, tag string) (manifest string) {
	c.t.Helper()
	c.upload(repo, imageConfig, ocispec.MediaTypeImageConfig)
	c.upload(repo, layerBytes, ocispec.MediaTypeImageLayer)
	c.put(repo, tag, ocispec.MediaTypeImageManifest, image(nil)).want(c.t, 201)
	return image(nil)
}

func (c *client) createProject(name string) *response {
	return c.do("POST", "/api/v2.0/projects", fmt.Sprintf(`{"project_name":%q}`, name), "Content-Type", "application/json")
}
