package serve_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/plan/plantest"
	"github.com/seed-5b48bd9d/drydock/pkg/serve"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

// served is a registry over a tree.
type served struct {
	t    *testing.T
	tree *storagetest.Builder
	root string // of the tree
	url  string
	*serve.Registry
}

// start serves a tree, written as storagetest.Parse reads it.
func start(t *testing.T, text string, rules plan.Rules) *served {
	t.Helper()
	tree, root := storagetest.Make(t, text)
	s := open(t, root, rules)
	s.tree = tree
	return s
}

// open serves what lies at a location.
func open(t *testing.T, location string, rules plan.Rules) *served {
	t.Helper()
	l := plantest.Load(t, location, &source.Options{Unpack: t.TempDir()}, rules)
	registry := serve.New(l.Source, l.Index, l.Plan, nil)
	server := httptest.NewServer(registry)
	t.Cleanup(server.Close)
	return &served{t: t, root: location, url: server.URL, Registry: registry}
}

// answer is what came of a request.
type answer struct {
	status int
	header http.Header
	body   string
	broken bool // the connection ended before the body did
}

// ask sends a request, with headers as "Name: value"; names in <> in the path are
// the tree's.
func (s *served) ask(method, path string, headers ...string) answer {
	s.t.Helper()
	path = s.expand(path)
	req, err := http.NewRequest(method, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, h := range headers {
		if name, value, ok := strings.Cut(h, ": "); ok {
			req.Header.Add(name, value)
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body), err != nil}
}

// expand puts digests in the place of names in <>.
func (s *served) expand(text string) string {
	if s.tree == nil {
		return text
	}
	return s.tree.Expand(strings.ReplaceAll(text, "<", "sha256:<"))
}

// code is the error code of an answer that is one.
func (a answer) code() string {
	var doc struct {
		Errors []struct{ Code string }
	}
	if json.Unmarshal([]byte(a.body), &doc) != nil || len(doc.Errors) != 1 {
		return ""
	}
	return doc.Errors[0].Code
}

const tree = `
image amd amd64 base top
image arm linux/arm64/v8 base top-arm
index multi amd arm
list old-list amd arm
docker classic amd64 base
artifact sbom application/vnd.example.sbom amd note
artifact signature application/vnd.example.signature amd sig
artifact deep application/vnd.example.signature sbom sig2
image alone amd64 secret
tag library/app v1 multi
tag library/app v2 amd
tag library/app list old-list
tag library/app classic classic
push library/app sbom
push library/app signature
push library/app deep
tag other/app v1 alone
`

const (
	ociManifest = "application/vnd.oci.image.manifest.v1+json"
	ociIndex    = "application/vnd.oci.image.index.v1+json"
	dockerV2    = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList  = "application/vnd.docker.distribution.manifest.list.v2+json"
)

func TestManifests(t *testing.T) {
	s := start(t, tree, plan.Rules{})
	tests := []struct {
		path, accept     string
		status           int
		name, mediaType  string
		code, wantDetail string
	}{
		{path: "library/app/manifests/v1", status: 200, name: "multi", mediaType: ociIndex},
		{path: "library/app/manifests/<multi>", status: 200, name: "multi", mediaType: ociIndex},
		{path: "library/app/manifests/<arm>", status: 200, name: "arm", mediaType: ociManifest},
		{path: "library/app/manifests/v1", accept: ociManifest + ", " + ociIndex, status: 200, name: "multi", mediaType: ociIndex},
		{path: "library/app/manifests/v1", accept: "text/html, */*;q=0.1", status: 200, name: "multi", mediaType: ociIndex},
		{path: "library/app/manifests/v1", accept: ociManifest, status: 404, code: "MANIFEST_UNKNOWN"},
		{path: "library/app/manifests/v2", accept: dockerV2, status: 404, code: "MANIFEST_UNKNOWN"},
		{path: "library/app/manifests/list", accept: dockerList, status: 200, name: "old-list", mediaType: dockerList},
		{path: "library/app/manifests/list", accept: dockerV2, status: 200, name: "amd", mediaType: ociManifest},
		{path: "library/app/manifests/<old-list>", accept: dockerV2, status: 200, name: "old-list", mediaType: dockerList},
		{path: "library/app/manifests/classic", accept: ociManifest, status: 200, name: "classic", mediaType: dockerV2},
		{path: "library/app/manifests/v9", status: 404, code: "MANIFEST_UNKNOWN"},
		{path: "library/app/manifests/.no_tag", status: 404, code: "MANIFEST_UNKNOWN"},
		{path: "library/app/manifests/<alone>", status: 404, code: "MANIFEST_UNKNOWN"},
		{path: "library/app/manifests/sha256:abc", status: 400, code: "DIGEST_INVALID"},
		{path: "no/such/manifests/v1", status: 404, code: "NAME_UNKNOWN"},
		{path: "Upper/manifests/v1", status: 400, code: "NAME_INVALID"},
		{path: "library/../app/manifests/v1", status: 400, code: "NAME_INVALID"},
	}
	for _, test := range tests {
		t.Run(test.path+" "+test.accept, func(t *testing.T) {
			var headers []string
			if test.accept != "" {
				headers = []string{"Accept: " + test.accept}
			}
			got, head := s.ask("GET", "/v2/"+test.path, headers...), s.ask("HEAD", "/v2/"+test.path, headers...)
			if got.status != test.status || head.status != test.status || got.code() != test.code || head.body != "" {
				t.Fatalf("status %d and %d, code %q: %s", got.status, head.status, got.code(), got.body)
			}
			if test.status != 200 {
				return
			}
			if got.body != string(s.tree.Bytes(test.name)) {
				t.Errorf("other bytes: %s", got.body)
			}
			for _, a := range []answer{got, head} {
				if a.header.Get("Content-Type") != test.mediaType || a.header.Get("Docker-Content-Digest") != s.tree.Digest(test.name).String() {
					t.Errorf("headers %v", a.header)
				}
			}
			if got.header.Get("Content-Length") != head.header.Get("Content-Length") {
				t.Errorf("lengths %q and %q", got.header.Get("Content-Length"), head.header.Get("Content-Length"))
			}
			again := s.ask("GET", "/v2/"+test.path, append(headers, "If-None-Match: "+got.header.Get("ETag"))...)
			if again.status != http.StatusNotModified {
				t.Errorf("again: status %d", again.status)
			}
		})
	}
}

func TestBlobs(t *testing.T) {
	s := start(t, strings.Replace(tree, "image amd", "random base 3000000\nimage amd", 1), plan.Rules{})
	whole := string(s.tree.Bytes("base"))
	path := "/v2/library/app/blobs/<base>"
	tests := []struct {
		name, path, header string
		status             int
		body, contentRange string
		code               string
	}{
		{name: "whole", path: path, status: 200, body: whole},
		{name: "whole again, as it is known now", path: path, status: 200, body: whole},
		{name: "unchanged", path: path, header: `If-None-Match: "<base>"`, status: 304},
		{name: "changed", path: path, header: `If-None-Match: "<top>"`, status: 200, body: whole},
		{name: "from", path: path, header: "Range: bytes=2999990-", status: 206, body: whole[2999990:], contentRange: "bytes 2999990-2999999/3000000"},
		{name: "part", path: path, header: "Range: bytes=5-9", status: 206, body: whole[5:10], contentRange: "bytes 5-9/3000000"},
		{name: "last", path: path, header: "Range: bytes=-7", status: 206, body: whole[2999993:], contentRange: "bytes 2999993-2999999/3000000"},
		{name: "behind", path: path, header: "Range: bytes=3000000-", status: 416},
		{name: "of another repository", path: "/v2/other/app/blobs/<base>", status: 404, code: "BLOB_UNKNOWN"},
		{name: "nobody's", path: "/v2/library/app/blobs/sha256:" + strings.Repeat("0", 64), status: 404, code: "BLOB_UNKNOWN"},
		{name: "no digest", path: "/v2/library/app/blobs/base", status: 400, code: "DIGEST_INVALID"},
		{name: "a manifest is no blob", path: "/v2/library/app/blobs/<amd>", status: 404, code: "BLOB_UNKNOWN"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := s.ask("GET", test.path, s.expand(test.header))
			if got.status != test.status || got.code() != test.code || got.header.Get("Content-Range") != test.contentRange && test.status == 206 {
				t.Errorf("status %d, code %q, headers %v", got.status, got.code(), got.header)
			}
			if test.body != "" && got.body != test.body {
				t.Errorf("%d other bytes", len(got.body))
			}
		})
	}
	head := s.ask("HEAD", path)
	if head.status != 200 || head.header.Get("Content-Length") != "3000000" || head.header.Get("Accept-Ranges") != "bytes" || head.header.Get("ETag") != `"`+s.tree.Digest("base").String()+`"` {
		t.Errorf("HEAD: %d %v", head.status, head.header)
	}
	part := start(t, strings.Replace(tree, "image amd", "random base 3000000\nimage amd", 1), plan.Rules{}).ask("GET", path, "Range: bytes=5-9")
	if part.status != 206 || part.body != whole[5:10] {
		t.Errorf("a part first: %d, %d bytes", part.status, len(part.body))
	}
}

func TestSelection(t *testing.T) {
	s := start(t, tree, plan.Rules{Include: []string{"library/app:v2"}, NoReferrers: true})
	for path, status := range map[string]int{
		"library/app/manifests/v2": 200, "library/app/manifests/v1": 404, "library/app/manifests/<amd>": 200,
		"library/app/manifests/<arm>": 404, "library/app/manifests/<sbom>": 404, "library/app/blobs/<top>": 200,
		"library/app/blobs/<top-arm>": 404, "other/app/manifests/v1": 404, "other/app/tags/list": 404,
	} {
		if got := s.ask("GET", "/v2/"+path); got.status != status {
			t.Errorf("%s: status %d, want %d", path, got.status, status)
		}
	}
	if s.Images() != 1 {
		t.Errorf("%d images", s.Images())
	}
}

func TestRefusals(t *testing.T) {
	s := start(t, tree, plan.Rules{})
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
		for _, path := range []string{
			"", "_catalog", "library/app/manifests/v1", "library/app/manifests/<amd>", "library/app/blobs/<base>", "library/app/tags/list",
			"library/app/blobs/uploads/", "library/app/blobs/uploads/x?digest=<base>", "no/such/manifests/v1", "Upper/manifests/v1",
		} {
			if got := s.ask(method, "/v2/"+path); got.status != 405 || got.code() != "UNSUPPORTED" {
				t.Errorf("%s %s: status %d, code %q", method, path, got.status, got.code())
			}
		}
	}
	for _, path := range []string{"/", "/v1/", "/v2x", "/v2/x", "/v2/library/app/tags/lists", "/v2//tags/list", "/v2/library/app/blobs/uploads/x"} {
		if got := s.ask("GET", path); got.status < 400 || got.code() == "" {
			t.Errorf("%s: status %d, %s", path, got.status, got.body)
		}
	}
	if got := s.ask("GET", "/v2/"); got.status != 200 || got.header.Get("Docker-Distribution-API-Version") != "registry/2.0" {
		t.Errorf("/v2/: %d %v", got.status, got.header)
	}
}

// TestRunEnds holds that a server finishes what is under way when it is told to
// end, and takes nothing new.
func TestRunEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	begun, release := make(chan struct{}), make(chan struct{})
	l, err := listen(t)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- serve.Run(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(begun)
			<-release
			io.WriteString(w, "whole")
		}), discard)
	}()
	body := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + l.Addr().String())
		if err != nil {
			body <- err.Error()
			return
		}
		defer resp.Body.Close()
		content, _ := io.ReadAll(resp.Body)
		body <- string(content)
	}()
	<-begun
	cancel()
	close(release)
	if got := <-body; got != "whole" {
		t.Errorf("got %q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := http.Get("http://" + l.Addr().String()); err == nil {
		t.Error("it listens still")
	}
}
