package serve_test

import (
	"context"
	"io"
	"net/http/httptest"
	"testing"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	"github.com/opencontainers/go-digest"
	"github.com/sirupsen/logrus"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
)

// cache starts a distribution registry in front of another one. It keeps what was
// asked for.
func cache(t *testing.T, url string) *served {
	t.Helper()
	logrus.SetOutput(io.Discard)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	config := &configuration.Configuration{
		Storage: configuration.Storage{
			harbortest.MemoryDriver: configuration.Parameters{},
			"maintenance":           {"uploadpurging": map[any]any{"enabled": false}},
		},
		Proxy: configuration.Proxy{RemoteURL: url},
	}
	server := httptest.NewServer(handlers.NewApp(ctx, config))
	t.Cleanup(server.Close)
	return &served{t: t, url: server.URL}
}

// TestPullThrough has a distribution registry, as a pull-through cache, take what
// is served, and holds what it gives on against what the tree has.
func TestPullThrough(t *testing.T) {
	s := start(t, tree, plan.Rules{})
	cache := cache(t, s.url)
	cache.tree = s.tree
	accept := "Accept: " + ociIndex + ", " + ociManifest + ", " + dockerV2 + ", " + dockerList
	for path, name := range map[string]string{
		"library/app/manifests/v1": "multi", "library/app/manifests/<arm>": "arm", "library/app/manifests/list": "old-list",
		"library/app/manifests/classic": "classic", "library/app/blobs/<top>": "top", "library/app/blobs/<arm-config>": "arm-config",
		"other/app/manifests/v1": "alone",
	} {
		for range 2 { // from there, and then from what it keeps
			got := cache.ask("GET", "/v2/"+path, accept)
			if got.status != 200 || got.body != string(s.tree.Bytes(name)) {
				t.Errorf("%s: status %d: %s", path, got.status, got.body)
			}
		}
	}
	if got := cache.ask("GET", "/v2/library/app/manifests/none", accept); got.status != 404 {
		t.Errorf("what there is not: status %d", got.status)
	}
}

// TestPullThroughGenuine has it take all that there is of a genuine tree.
func TestPullThroughGenuine(t *testing.T) {
	c, want := genuine(t, "distribution-3")
	cache := cache(t, "http://"+c.host)
	for name, r := range want.Repositories {
		for tag, is := range r.Tags {
			cache.holdManifest(t, name+"/manifests/"+tag, is.Digest, is.MediaType)
		}
		for d, is := range r.Manifests {
			cache.holdManifest(t, name+"/manifests/"+d, d, is.MediaType)
		}
		for d := range r.Blobs {
			got := cache.ask("GET", "/v2/"+name+"/blobs/"+d)
			if got.status != 200 || digest.Digest(d).Algorithm().FromString(got.body).String() != d {
				t.Errorf("%s, blob %s: status %d, %d bytes", name, d, got.status, len(got.body))
			}
		}
	}
}
