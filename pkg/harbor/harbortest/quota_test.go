package harbortest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
)

// usedBy returns the bytes that a project uses, as the API has it.
func usedBy(t *testing.T, c *client, project string) int64 {
	t.Helper()
	var list []struct {
		Ref  struct{ Name string }
		Used struct{ Storage int64 }
	}
	resp := c.do("GET", "/api/v2.0/quotas?reference=project&page_size=100", "").want(t, 200)
	if err := json.Unmarshal([]byte(resp.body), &list); err != nil {
		t.Fatal(err)
	}
	for _, q := range list {
		if q.Ref.Name == project {
			return q.Used.Storage
		}
	}
	t.Fatalf("no quota of %s", project)
	return 0
}

func TestQuotaAtBlob(t *testing.T) {
	s := start(t, nil)
	s.SetQuota("mig", 20_000)
	c := admin(t, s)
	content := strings.Repeat("x", 30_000)
	location := c.do("PATCH", c.startUpload("mig/app"), content, "Content-Type", "application/octet-stream").want(t, 202).header.Get("Location")
	c.finish(location, digest.FromString(content), "").want(t, 403, "DENIED",
		"adding 29.3 KiB of storage resource, which when updated to current usage of 0 B will exceed the configured upper limit of 19.5 KiB.")
	s.SetQuota("mig", -1)
	c.finish(location, digest.FromString(content), "").want(t, 201)
	if used := usedBy(t, c, "mig"); used != 30_000 {
		t.Errorf("%d bytes used, want 30000", used)
	}
}

func TestQuotaAtMount(t *testing.T) {
	s := start(t, nil)
	s.CreateProject("mig2", harbortest.Project{StorageLimit: 10})
	c := admin(t, s)
	d := c.upload("mig/app", layerBytes, "")
	mount := "/v2/mig2/app/blobs/uploads/?from=mig/app&mount=" + d.Digest.String()
	c.do("POST", mount, "").want(t, 403, "DENIED")
	s.SetQuota("mig2", d.Size)
	c.do("POST", mount, "").want(t, 201)
	c.do("POST", mount, "").want(t, 201) // it has it already
}

func TestQuotaAtManifest(t *testing.T) {
	s := start(t, nil)
	c := admin(t, s)
	c.upload("mig/app", imageConfig, "")
	c.upload("mig/app", layerBytes, "")
	used := usedBy(t, c, "mig")
	s.SetQuota("mig", used)
	c.put("mig/app", "v1", ocispec.MediaTypeImageManifest, image(nil)).want(t, 403, "DENIED")
	s.SetQuota("mig", used+int64(len(image(nil))))
	c.put("mig/app", "v1", ocispec.MediaTypeImageManifest, image(nil)).want(t, 201)
	c.put("mig/app", "v2", ocispec.MediaTypeImageManifest, image(nil)).want(t, 201)
}

func TestImmutable(t *testing.T) {
	s := start(t, nil)
	c := admin(t, s)
	manifest := c.pushImage("mig/app", "v1")
	s.SetImmutable("mig", true)
	c.put("mig/app", "v1", ocispec.MediaTypeImageManifest, manifest).
		want(t, 412, "PRECONDITION", "Failed to process request due to 'app:v1' configured as immutable.")
	c.put("mig/app", "v2", ocispec.MediaTypeImageManifest, manifest).want(t, 201)
	c.put("mig/app", digest.FromString(manifest).String(), ocispec.MediaTypeImageManifest, manifest).want(t, 201)
}
