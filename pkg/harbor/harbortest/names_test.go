package harbortest_test

import (
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestRepositoryNames(t *testing.T) {
	long := func(n int) string { return "mig/" + strings.Repeat("a", n-len("mig/")) }
	tests := []struct {
		name, repository string
		status           int
		words            string
	}{
		{"single component", "alpine", 400, "bad request: invalid repository name: alpine"},
		{"nested", "mig/a/b/c/d", 202, ""},
		{"double underscore", "mig/a__b", 202, ""},
		{"dashes", "mig/a---b", 202, ""},
		{"upper case", "mig/UP", 401, "un-recognized request: POST /v2/mig/UP/blobs/uploads/"},
		{"two dots", "mig/a..b", 401, "un-recognized request"},
		{"leading dash", "mig/-a", 401, "un-recognized request"},
		{"trailing dot", "mig/a.", 401, "un-recognized request"},
		{"245 characters", long(245), 202, ""},
		{"246 characters", long(246), 500, "{}"},
		{"255 characters", long(255), 500, "{}"},
		{"256 characters", long(256), 500, "UNKNOWN"},
	}
	s := start(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			admin(t, s).do("POST", "/v2/"+tt.repository+"/blobs/uploads/", "").want(t, tt.status, tt.words)
		})
	}
	admin(t, s).head("alpine", "latest").want(t, 400)
	admin(t, s).put("alpine", "latest", ocispec.MediaTypeImageManifest, "{}").want(t, 400)
}

func TestNestedRepositoryInAPI(t *testing.T) {
	s := start(t, nil)
	c := admin(t, s)
	c.pushImage("mig/a/b", "v1")
	c.do("GET", "/api/v2.0/projects/mig/repositories/a%252Fb/artifacts", "").want(t, 200, `"name":"v1"`)
	c.do("GET", "/api/v2.0/projects/mig/repositories/a%2Fb/artifacts", "").want(t, 404)
}

func TestTagNames(t *testing.T) {
	s := start(t, nil)
	c := admin(t, s)
	c.pushImage("mig/app", strings.Repeat("t", 128))
	for _, tag := range []string{strings.Repeat("t", 129), ".x", "-x", "a+b"} {
		c.put("mig/app", tag, ocispec.MediaTypeImageManifest, image(nil)).want(t, 400, "invalid tag name")
	}
}
