package harbortest_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
)

func TestMount(t *testing.T) {
	s := start(t, nil)
	for _, name := range []string{"mig2", "secret"} {
		s.CreateProject(name, harbortest.Project{})
	}
	c := admin(t, s)
	d := c.upload("mig/app", layerBytes, "").Digest.String()
	other := digest.FromString("nowhere").String()
	both := []string{push("mig2/app"), pull("mig/app")}
	tests := []struct {
		name   string
		scopes []string
		query  string
		status int
	}{
		{"both scopes", both, "mount=" + d + "&from=mig/app", 201},
		{"target scope alone", both[:1], "mount=" + d + "&from=mig/app", 401},
		{"source scope alone", both[1:], "mount=" + d + "&from=mig/app", 401},
		{"blob missing", both, "mount=" + other + "&from=mig/app", 202},
		{"source repository missing", both, "mount=" + d + "&from=mig/other", 202},
		{"no from", both, "mount=" + d, 202},
		{"source project missing", both, "mount=" + d + "&from=nope/app", 401},
		{"from of one component", both, "mount=" + d + "&from=alpine", 400},
		{"from itself", both, "mount=" + d + "&from=mig2/app", 201},
		{"from itself, blob missing", both, "mount=" + other + "&from=mig2/app", 202},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp := c.bearer(tt.scopes...).do("POST", "/v2/mig2/app/blobs/uploads/?"+tt.query, "").want(t, tt.status)
			if tt.status == 401 && !strings.Contains(resp.body, "project nope not found") {
				wantChallenge(t, resp, basicChallenge)
			}
		})
	}
	c.do("HEAD", "/v2/mig2/app/blobs/"+d, "").want(t, 200)
}

func TestMonolithicPost(t *testing.T) {
	s := start(t, nil)
	c := admin(t, s)
	d := digest.FromString("x")
	resp := c.do("POST", "/v2/mig/app/blobs/uploads/?digest="+d.String(), "x").want(t, 202)
	c.do("HEAD", "/v2/mig/app/blobs/"+d.String(), "").want(t, 404)
	c.finish(resp.header.Get("Location"), d, "x").want(t, 201)
}

func TestChunks(t *testing.T) {
	s := start(t, nil)
	c := admin(t, s)
	location := c.startUpload("mig/app")
	for _, chunk := range []string{"layer-", "byt"} {
		location = c.do("PATCH", location, chunk, "Content-Type", "application/octet-stream").want(t, 202).header.Get("Location")
	}
	if got := c.do("GET", location, "").want(t, 204).header.Get("Range"); got != "0-8" {
		t.Errorf("Range %s, want 0-8", got)
	}
	c.finish(location, digest.FromString(layerBytes), "es").want(t, 201)
	c.do("GET", "/v2/mig/app/blobs/"+digest.FromString(layerBytes).String(), "").want(t, 200, layerBytes)
}

func TestOddBlobs(t *testing.T) {
	for name, dir := range map[string]string{"memory": "", "files": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			s := start(t, &harbortest.Options{Dir: dir})
			c := admin(t, s)
			c.pushImage("mig/app", "v1")
			empty := c.upload("mig/app", "", ocispec.MediaTypeImageLayer)
			c.do("HEAD", "/v2/mig/app/blobs/"+empty.Digest.String(), "").want(t, 200)
			c.do("POST", "/v2/mig/b/blobs/uploads/?from=mig/app&mount="+empty.Digest.String(), "").want(t, 201)

			long := digest.SHA512.FromString("sha512")
			c.finish(c.startUpload("mig/app"), long, "sha512").want(t, 201)
			c.do("HEAD", "/v2/mig/app/blobs/"+long.String(), "").want(t, 200)
			layers := []ocispec.Descriptor{empty, {MediaType: ocispec.MediaTypeImageLayer, Digest: long, Size: 6}}
			c.put("mig/app", "v2", ocispec.MediaTypeImageManifest, image(map[string]any{"layers": layers})).want(t, 201)
		})
	}
}

// place writes a blob into the storage as Harbor's registry would have it.
func place(t *testing.T, dir, repo, content string) digest.Digest {
	t.Helper()
	d := digest.FromString(content)
	root := filepath.Join(dir, "docker/registry/v2")
	files := map[string]string{
		filepath.Join(root, "blobs/sha256", d.Encoded()[:2], d.Encoded(), "data"):        content,
		filepath.Join(root, "repositories", repo, "_layers/sha256", d.Encoded(), "link"): d.String(),
	}
	for name, content := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func TestPlacedBlobs(t *testing.T) {
	dir := t.TempDir()
	s := start(t, &harbortest.Options{Dir: dir})
	place(t, dir, "mig/app", imageConfig)
	d := place(t, dir, "mig/app", layerBytes).String()

	c := admin(t, s)
	c.do("GET", "/v2/mig/app/blobs/"+d, "").want(t, 200, layerBytes)
	c.do("HEAD", "/v2/mig/app/blobs/"+d, "").want(t, 404)
	c.do("POST", "/v2/mig/b/blobs/uploads/?from=mig/app&mount="+d, "").want(t, 404, "NOT_FOUND", "blob "+d+" not found")
	c.put("mig/app", "v1", ocispec.MediaTypeImageManifest, image(nil)).want(t, 201)
	c.do("HEAD", "/v2/mig/app/blobs/"+d, "").want(t, 200)
	c.do("GET", "/v2/mig/app/manifests/v1", "", "Accept", ocispec.MediaTypeImageManifest).want(t, 200, image(nil))
	c.do("GET", "/api/v2.0/projects/mig/repositories/app/artifacts", "").want(t, 200, `"type":"IMAGE"`)
	if used := usedBy(t, c, "mig"); used != int64(len(image(nil))+len(imageConfig)+len(layerBytes)) {
		t.Errorf("%d bytes used", used)
	}
}

func TestInterceptAndRequests(t *testing.T) {
	s := start(t, nil)
	c := admin(t, s)
	s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	location := c.startUpload("mig/app")
	s.ResetRequests()
	c.finish(location, digest.FromString("x"), "x").want(t, 503)
	s.Intercept(nil)
	c.finish(location, digest.FromString("x"), "x").want(t, 201)

	got := s.Requests()
	if len(got) != 2 || got[0].Status != 503 || got[1].Status != 201 || got[1].Bytes != 1 || got[1].Method != "PUT" {
		t.Errorf("requests %+v", got)
	}
}
