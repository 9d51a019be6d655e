package harbortest_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const artifactsURL = "/api/v2.0/projects/mig/repositories/app/artifacts"

func TestIndex(t *testing.T) {
	s := start(t, nil)
	c := admin(t, s)
	child := descriptor(ocispec.MediaTypeImageManifest, c.pushImage("mig/app", digest.FromString(image(nil)).String()))
	absent := []ocispec.Descriptor{
		descriptor(ocispec.MediaTypeImageManifest, "absent 1"), descriptor(ocispec.MediaTypeImageManifest, "absent 2"),
	}
	ix := index(append(absent, child)...)
	resp := c.put("mig/app", "ix", ocispec.MediaTypeImageIndex, ix).want(t, 400, absent[0].Digest.String(), absent[1].Digest.String())
	if n := strings.Count(resp.body, "MANIFEST_BLOB_UNKNOWN"); n != 2 {
		t.Errorf("%d errors, want 2: %s", n, resp.body)
	}
	list := strings.ReplaceAll(ix, ocispec.MediaTypeImageIndex, "application/vnd.docker.distribution.manifest.list.v2+json")
	c.put("mig/app", "ix", "application/vnd.docker.distribution.manifest.list.v2+json", list).want(t, 400, "MANIFEST_BLOB_UNKNOWN")
	c.put("mig/sibling", "ix", ocispec.MediaTypeImageIndex, index(child)).want(t, 400, "MANIFEST_BLOB_UNKNOWN")

	c.put("mig/app", "ix", ocispec.MediaTypeImageIndex, index(child)).want(t, 201)
	artifacts := c.do("GET", artifactsURL, "").want(t, 200, `"child_digest":"`+child.Digest.String()).body
	if strings.Contains(artifacts, `"digest":"`+child.Digest.String()) {
		t.Errorf("the child is listed: %s", artifacts)
	}
	c.do("GET", artifactsURL+"/"+child.Digest.String(), "").want(t, 200, child.Digest.String())
}

func TestBuildCacheIndex(t *testing.T) {
	s := start(t, nil)
	c := admin(t, s)
	layer := c.upload("mig/cache", layerBytes, ocispec.MediaTypeImageLayerGzip)
	c.put("mig/cache", "v1", ocispec.MediaTypeImageIndex, index(layer)).want(t, 400, "MANIFEST_BLOB_UNKNOWN", layer.Digest.String())
}

// refused and taken are pushed where the plain image is already.
func TestManifests(t *testing.T) {
	layer := func(changes ocispec.Descriptor) map[string]any {
		return map[string]any{"layers": []ocispec.Descriptor{changes}}
	}
	foreign := func(urls ...string) string {
		d := descriptor("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "foreign")
		d.URLs = urls
		m := layer(d)
		m["mediaType"] = dockerManifest
		m["config"] = descriptor("application/vnd.docker.container.image.v1+json", imageConfig)
		return image(m)
	}
	config := func(mediaType string) string {
		return image(map[string]any{"config": descriptor(mediaType, imageConfig)})
	}
	oci := ocispec.MediaTypeImageManifest
	wrongSize := descriptor(ocispec.MediaTypeImageLayer, layerBytes)
	wrongSize.Size = 12345
	tests := []struct {
		name, reference, mediaType, body string
		status                           int
		words                            string
	}{
		{"image", "v1", oci, image(nil), 201, ""},
		{"missing layer", "v1", oci, image(layer(descriptor(ocispec.MediaTypeImageLayer, "absent"))), 400, "MANIFEST_BLOB_UNKNOWN"},
		{"missing config", "v1", oci, image(map[string]any{"config": descriptor("a/b", "absent")}), 400, "MANIFEST_BLOB_UNKNOWN"},
		{"wrong size", "v1", oci, image(layer(wrongSize)), 201, ""},
		{"wrong digest", digest.FromString("other").String(), oci, image(nil), 400, "DIGEST_INVALID"},
		{"wrong content type", "v1", "text/plain", image(nil), 400, "MANIFEST_INVALID"},
		{"no content type", "v1", "", image(nil), 400, "MANIFEST_INVALID"},
		{"docker type, OCI content", "v1", dockerManifest, image(nil), 400, "MANIFEST_INVALID"},
		{"not JSON", "v1", oci, "{", 400, "MANIFEST_INVALID"},
		{"4 MiB and more", "v1", oci, image(map[string]any{"x": strings.Repeat("x", 4<<20)}), 400, "http: request body too large"},
		{"almost 4 MiB", "v1", oci, image(map[string]any{"x": strings.Repeat("x", 4<<20-1000)}), 201, ""},
		{"foreign layer", "v1", dockerManifest, foreign("https://example.com/layer"), 201, ""},
		{"foreign layer without urls", "v1", dockerManifest, foreign(), 500, "MANIFEST_BLOB_UNKNOWN"},
		{"foreign layer with an empty url", "v1", dockerManifest, foreign(""), 500, "MANIFEST_BLOB_UNKNOWN"},
		{"foreign layer elsewhere", "v1", dockerManifest, foreign("ftp://example.com/layer"), 500, "MANIFEST_BLOB_UNKNOWN"},
		{"helm", "v1", oci, config("application/vnd.cncf.helm.config.v1+json"), 201, "CHART"},
		{"custom config", "v1", oci, config("application/vnd.example+json"), 201, "UNKNOWN"},
		{"config not JSON", "v1", oci, image(map[string]any{"config": descriptor(ocispec.MediaTypeImageConfig, layerBytes)}), 500, "UNKNOWN"},
		{"no layers", "v1", oci, image(map[string]any{"layers": []int{}}), 201, ""},
		{"ORAS artifact", "v1", "application/vnd.cncf.oras.artifact.manifest.v1+json", `{"mediaType":"application/vnd.cncf.oras.artifact.manifest.v1+json","blobs":[]}`, 400, "MANIFEST_INVALID"},
		{"OCI artifact", "v1", "application/vnd.oci.artifact.manifest.v1+json", `{"mediaType":"application/vnd.oci.artifact.manifest.v1+json","blobs":[]}`, 400, "MANIFEST_INVALID"},
	}
	s := start(t, nil)
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := admin(t, s)
			repo := fmt.Sprintf("mig/app%d", i)
			c.upload(repo, imageConfig, "")
			c.upload(repo, layerBytes, "")
			resp := c.put(repo, tt.reference, tt.mediaType, tt.body)
			if resp.status == 201 && tt.words != "" {
				resp.want(t, tt.status)
				c.do("GET", "/api/v2.0/projects/"+strings.Replace(repo, "/", "/repositories/", 1)+"/artifacts", "").
					want(t, 200, `"type":"`+tt.words+`"`)
				return
			}
			resp.want(t, tt.status, tt.words)
			if tt.status != 201 {
				c.head(repo, "v1", oci, dockerManifest).want(t, 404)
			}
		})
	}
}

func TestBlobOfSiblingRepository(t *testing.T) {
	s := start(t, nil)
	c := admin(t, s)
	c.pushImage("mig/app", "v1")
	c.put("mig/sibling", "v1", ocispec.MediaTypeImageManifest, image(nil)).want(t, 400, "MANIFEST_BLOB_UNKNOWN")
}

func TestAccept(t *testing.T) {
	s := start(t, nil)
	c := admin(t, s)
	manifest := c.pushImage("mig/app", "v1")
	resp := c.head("mig/app", "v1", dockerManifest, ocispec.MediaTypeImageManifest).want(t, 200)
	if got := resp.header.Get("Docker-Content-Digest"); got != digest.FromString(manifest).String() {
		t.Errorf("digest %s", got)
	}
	for _, accept := range []string{"*/*", "", dockerManifest} {
		c.do("GET", "/v2/mig/app/manifests/v1", "", "Accept", accept).want(t, 404, "MANIFEST_UNKNOWN")
	}
	docker := image(map[string]any{"mediaType": dockerManifest})
	c.put("mig/app", "docker", dockerManifest, docker).want(t, 201)
	c.do("GET", "/v2/mig/app/manifests/docker", "", "Accept", "*/*").want(t, 200, docker)
}

func TestReferrers(t *testing.T) {
	s := start(t, nil)
	c := admin(t, s)
	subject := descriptor(ocispec.MediaTypeImageManifest, image(nil))
	referrer := image(map[string]any{"subject": subject, "artifactType": "application/vnd.example.sbom"})
	c.upload("mig/app", imageConfig, "")
	c.upload("mig/app", layerBytes, "")
	resp := c.put("mig/app", digest.FromString(referrer).String(), ocispec.MediaTypeImageManifest, referrer).want(t, 201)
	if got := resp.header.Get("OCI-Subject"); got != subject.Digest.String() {
		t.Errorf("OCI-Subject %q", got)
	}
	c.pushImage("mig/app", "v1") // the subject may come later

	referrers := "/v2/mig/app/referrers/" + subject.Digest.String()
	c.do("GET", referrers, "").want(t, 200, digest.FromString(referrer).String())
	c.do("GET", referrers+"?artifactType=application/vnd.example.sbom", "").want(t, 200, digest.FromString(referrer).String())
	c.do("GET", referrers+"?artifactType=other", "").want(t, 200, `"manifests":[]`)
	artifacts := c.do("GET", artifactsURL+"?with_accessory=true", "").want(t, 200, `"type":"subject.accessory"`)
	if n := artifacts.header.Get("X-Total-Count"); n != "1" {
		t.Errorf("%s artifacts listed, want 1", n)
	}
}

func TestCosignTag(t *testing.T) {
	s := start(t, nil)
	c := admin(t, s)
	subject := digest.FromString(c.pushImage("mig/app", "v1"))
	tag := "sha256-" + subject.Encoded() + ".sig"
	c.put("mig/app", tag, ocispec.MediaTypeImageManifest, image(map[string]any{"annotations": map[string]string{"a": "b"}})).want(t, 201)
	c.head("mig/app", tag, ocispec.MediaTypeImageManifest).want(t, 200)
	c.do("GET", artifactsURL+"?with_accessory=true", "").want(t, 200, `"type":"signature.cosign"`)
	c.do("GET", "/v2/mig/app/tags/list", "").want(t, 200, tag, `"v1"`)
}

// schema1 returns a signed manifest and the digest of its payload.
func schema1(layer digest.Digest) (string, digest.Digest) {
	payload := "{\n   \"schemaVersion\": 1,\n   \"name\": \"app\",\n   \"tag\": \"v1\",\n   \"fsLayers\": [{\"blobSum\": \"" + layer.String() + "\"}]\n}"
	cut := len(payload) - len("\n}")
	encode := base64.RawURLEncoding.EncodeToString
	protected := encode(fmt.Appendf(nil, `{"formatLength":%d,"formatTail":%q}`, cut, encode([]byte("\n}"))))
	signed := payload[:cut] + ",\n   \"signatures\": [{\"header\": {}, \"signature\": \"AA\", \"protected\": \"" + protected + "\"}]\n}"
	return signed, digest.FromString(payload)
}

func TestSchema1(t *testing.T) {
	const signedType = "application/vnd.docker.distribution.manifest.v1+prettyjws"
	s := start(t, nil)
	c := admin(t, s)
	layer := c.upload("mig/app", layerBytes, "")
	body, d := schema1(layer.Digest)
	c.put("mig/app", "v1", signedType, body).want(t, 400, "DIGEST_INVALID")
	c.put("mig/app", d.String(), signedType, body).want(t, 201)
	c.put("mig/app", "v1", signedType, `{"schemaVersion":1}`).want(t, 400, "MANIFEST_INVALID", "missing signature key")

	tags := artifactsURL + "/" + d.String() + "/tags"
	c.do("POST", tags, `{"name":"v1"}`).want(t, 201)
	c.do("POST", tags, `{"name":"v1"}`).want(t, 409, "CONFLICT")
	resp := c.do("GET", "/v2/mig/app/manifests/v1", "").want(t, 200, body)
	if got := resp.header.Get("Docker-Content-Digest"); got != d.String() {
		t.Errorf("digest %s, want %s", got, d)
	}
	missing, d := schema1(digest.FromString("absent"))
	c.put("mig/app", d.String(), signedType, missing).want(t, 400, "MANIFEST_BLOB_UNKNOWN")
}

func TestDeleteByTag(t *testing.T) {
	s := start(t, nil)
	c := admin(t, s)
	manifest := c.pushImage("mig/app", "v1")
	c.do("DELETE", "/v2/mig/app/manifests/v1", "").want(t, 400, "UNSUPPORTED")
	c.do("DELETE", "/v2/mig/app/manifests/"+digest.FromString(manifest).String(), "").want(t, 202)
	c.head("mig/app", "v1", ocispec.MediaTypeImageManifest).want(t, 404)
}

func TestManyTagsAtOnce(t *testing.T) {
	s := start(t, nil)
	c := admin(t, s)
	manifest := c.pushImage("mig/app", "v1")
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			if resp := c.put("mig/app", fmt.Sprint("t", i), ocispec.MediaTypeImageManifest, manifest); resp.status != 201 {
				t.Errorf("tag t%d: %d", i, resp.status)
			}
		})
	}
	wg.Wait()
	s.SetDeadlocks(1)
	c.put("mig/app", "v1", ocispec.MediaTypeImageManifest, manifest).want(t, 500, "UNKNOWN")
	c.put("mig/app", "v1", ocispec.MediaTypeImageManifest, manifest).want(t, 201)
}
