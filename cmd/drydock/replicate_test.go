package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// replication asks for what Harbor's replication asks a Docker Registry for, in its
// order, and gives it to a Harbor: src/pkg/reg/adapter/native, src/pkg/registry/client.go
// and src/controller/replication/transfer/image of its source.
type replication struct {
	t      *testing.T
	from   string // the URL of what is served
	client *http.Client
	to     *registryUnderTest
	pulled int // blobs
}

// chunk is how many bytes of a blob are asked for at once, where a rule says "copy by
// chunk". Harbor's are 10 MiB, more than any blob of a test.
const chunk = 1 << 20

// replicate pulls all that there is into the machine's Harbor.
func (m *servingMachine) replicate(t *testing.T) {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(m.root, "cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	defer transport.CloseIdleConnections()
	r := &replication{t: t, from: m.scheme + "://" + m.host, client: &http.Client{Transport: transport}, to: m.harbor}
	r.authorize()
	repositories := r.list("/v2/_catalog?n=1000", "repositories")
	for _, name := range repositories {
		target := name
		if !strings.Contains(name, "/") {
			target = "library/" + name
		}
		project, _, _ := strings.Cut(target, "/")
		r.push(http.MethodPost, "/api/v2.0/projects", "application/json", fmt.Appendf(nil, `{"project_name":%q}`, project))
		for _, tag := range r.list("/v2/"+name+"/tags/list", "tags") {
			r.artifact(name, tag, target)
		}
	}
	if len(repositories) < 3 || r.pulled < 5 {
		t.Errorf("%d repositories, %d blobs: this shows too little", len(repositories), r.pulled)
	}
}

// authorize finds out how to log in, as Harbor does: by what /v2/ answers to nobody.
func (r *replication) authorize() {
	r.t.Helper()
	resp, err := r.client.Get(r.from + "/v2/")
	if err != nil {
		r.t.Fatal(err)
	}
	resp.Body.Close()
	if challenge := resp.Header.Get("WWW-Authenticate"); resp.StatusCode != 401 || !strings.HasPrefix(challenge, "Basic ") {
		r.t.Fatalf("/v2/: status %d, %s", resp.StatusCode, challenge)
	}
	r.get("/v2/") // the health check
}

// get asks, and gives the answer and its body.
func (r *replication) get(path string, headers ...string) (*http.Response, []byte) {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodGet, r.from+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	req.SetBasicAuth("harbor", "secret")
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		r.t.Fatalf("%s: status %d, %v: %s", path, resp.StatusCode, err, body)
	}
	return resp, body
}

// list follows the links of a list, which may be relative.
func (r *replication) list(path, key string) (all []string) {
	r.t.Helper()
	for path != "" {
		resp, body := r.get(path)
		var doc map[string]json.RawMessage
		var page []string
		if err := json.Unmarshal(body, &doc); err != nil {
			r.t.Fatal(err)
		}
		if err := json.Unmarshal(doc[key], &page); err != nil {
			r.t.Fatal(err)
		}
		all = append(all, page...)
		next, _, _ := strings.Cut(strings.TrimPrefix(resp.Header.Get("Link"), "<"), ">")
		path = strings.TrimPrefix(next, r.from)
	}
	return all
}

// artifact copies a manifest, after all that it names.
func (r *replication) artifact(name, reference, target string) {
	r.t.Helper()
	var accept []string
	for _, mediaType := range []string{
		"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json",
		"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json",
		"application/vnd.docker.distribution.manifest.v1+prettyjws", "application/vnd.docker.distribution.manifest.v1+json",
	} {
		accept = append(accept, "Accept: "+mediaType) // a header each
	}
	resp, body := r.get("/v2/"+name+"/manifests/"+reference, accept...)
	d, mediaType := digest.Digest(resp.Header.Get("Docker-Content-Digest")), resp.Header.Get("Content-Type")
	m, err := storage.ParseManifest(body, d, mediaType)
	if err != nil || d != digest.FromBytes(body) {
		r.t.Fatalf("%s:%s: %s, %v", name, reference, d, err)
	}
	for _, child := range m.Manifests {
		r.artifact(name, child.Digest.String(), target)
	}
	for _, b := range m.Blobs {
		r.blob(name, b.Digest, b.Size, target)
	}
	r.push(http.MethodPut, "/v2/"+target+"/manifests/"+reference, mediaType, body)
}

// blob copies a blob: one that is large in chunks.
func (r *replication) blob(name string, d digest.Digest, size int64, target string) {
	r.t.Helper()
	var content []byte
	for at := int64(0); at < size; at += chunk {
		headers := []string{"Accept-Encoding: identity"}
		if size > chunk {
			headers = append(headers, fmt.Sprintf("Range: bytes=%d-%d", at, min(at+chunk, size)-1))
		}
		_, part := r.get("/v2/"+name+"/blobs/"+d.String(), headers...)
		content = append(content, part...)
	}
	if digest.FromBytes(content) != d {
		r.t.Errorf("%s, %s: %d other bytes", name, d, len(content))
	}
	r.pulled++
	resp := r.push(http.MethodPost, "/v2/"+target+"/blobs/uploads/", "", nil)
	location, err := url.Parse(resp.Header.Get("Location"))
	if err != nil {
		r.t.Fatal(err)
	}
	query := location.Query()
	query.Set("digest", d.String())
	r.push(http.MethodPut, location.Path+"?"+query.Encode(), "application/octet-stream", content)
}

// push sends something to Harbor itself, which may have it: a project.
func (r *replication) push(method, path, mediaType string, body []byte) *http.Response {
	r.t.Helper()
	req, err := http.NewRequest(method, r.to.url+path, bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if mediaType != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	req.SetBasicAuth(r.to.username, r.to.password)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(resp.Body)
	if resp.StatusCode >= 300 && resp.StatusCode != http.StatusConflict {
		r.t.Fatalf("%s %s: status %d: %s", method, path, resp.StatusCode, said)
	}
	return resp
}
