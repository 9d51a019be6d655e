package harbortest_test

import (
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
)

func TestImmutableRules(t *testing.T) {
	s := start(t, nil)
	c := admin(t, s)
	other := image(map[string]any{"annotations": map[string]string{"n": "2"}})
	for _, repo := range []string{"mig/app", "mig/web/front"} {
		c.pushImage(repo, "v1")
		c.put(repo, "latest", ocispec.MediaTypeImageManifest, image(nil)).want(t, 201)
	}
	s.CreateProject("mig", harbortest.Project{Rules: []harbortest.ImmutableRule{
		{Repositories: "web/**", Tags: "latest", ExceptTags: true},
		{Repositories: "**", Tags: "v*", Disabled: true},
	}})
	c.put("mig/web/front", "v1", ocispec.MediaTypeImageManifest, other).want(t, 412, "'web/front:v1' configured as immutable")
	c.put("mig/web/front", "latest", ocispec.MediaTypeImageManifest, other).want(t, 201)
	c.put("mig/web/front", "v2", ocispec.MediaTypeImageManifest, other).want(t, 201) // a new tag
	c.put("mig/app", "v1", ocispec.MediaTypeImageManifest, other).want(t, 201)
	c.do("GET", "/api/v2.0/projects/mig/immutabletagrules", "").want(t, 200,
		`{"id":1,"scope_selectors":{"repository":[{"decoration":"repoMatches","kind":"doublestar","pattern":"web/**"}]},"tag_selectors":[{"decoration":"excludes","kind":"doublestar","pattern":"latest"}]}`,
		`{"disabled":true,"id":2`)
	s.SetImmutable("mig", true)
	c.put("mig/app", "v1", ocispec.MediaTypeImageManifest, other).want(t, 412)
	s.SetImmutable("mig", false)
	c.put("mig/app", "v1", ocispec.MediaTypeImageManifest, other).want(t, 201)
}

// What may not be pulled cannot be looked at either; what is not there is not
// found as ever, and a push goes on.
func TestPullPolicies(t *testing.T) {
	for setting, words := range map[string]string{
		"prevent_vul":                 `without vulnerability scanning cannot be pulled`,
		"enable_content_trust_cosign": "not signed by cosign",
		"enable_content_trust":        "not signed by notation",
	} {
		t.Run(setting, func(t *testing.T) {
			s := start(t, nil)
			s.CreateProject("mig", harbortest.Project{Metadata: map[string]string{setting: "true", "severity": "high"}})
			c := admin(t, s)
			c.head("mig/app", "v1").want(t, 404)
			manifest := c.pushImage("mig/app", "v1")
			c.head("mig/app", "v1", ocispec.MediaTypeImageManifest).want(t, 412)
			c.do("GET", "/v2/mig/app/manifests/v1", "").want(t, 412, "PROJECTPOLICYVIOLATION", words)
			child := descriptor(ocispec.MediaTypeImageManifest, manifest)
			c.put("mig/app", "multi", ocispec.MediaTypeImageIndex, index(child)).want(t, 201)
			c.head("mig/app", "multi", ocispec.MediaTypeImageIndex).want(t, 412)
			c.do("HEAD", "/v2/mig/app/blobs/"+child.Digest.String(), "").want(t, 404) // no policy on blobs
		})
	}
}

func TestCosignSignatureOpensImage(t *testing.T) {
	s := start(t, nil)
	s.CreateProject("mig", harbortest.Project{Metadata: map[string]string{"enable_content_trust_cosign": "true"}})
	c := admin(t, s)
	d := descriptor(ocispec.MediaTypeImageManifest, c.pushImage("mig/app", "v1")).Digest
	signature := image(map[string]any{"annotations": map[string]string{"n": "signature"}})
	tag := strings.Replace(d.String(), ":", "-", 1) + ".sig"
	c.put("mig/app", tag, ocispec.MediaTypeImageManifest, signature).want(t, 201)
	c.head("mig/app", "v1", ocispec.MediaTypeImageManifest).want(t, 200)
	c.head("mig/app", tag, ocispec.MediaTypeImageManifest).want(t, 200)
}

func TestRetention(t *testing.T) {
	s := start(t, nil)
	s.CreateProject("kept", harbortest.Project{Retention: &harbortest.Retention{Cron: "0 0 0 * * *"}})
	s.AddMember("kept", "dev", harbortest.Developer)
	s.AddMember("kept", "guest", harbortest.Guest)
	s.AddUser("dev", "pw")
	s.AddUser("guest", "pw")
	c := admin(t, s)
	c.do("GET", "/api/v2.0/projects/kept", "").want(t, 200, `"retention_id":"3"`)
	c.do("GET", "/api/v2.0/retentions/3", "").want(t, 200, `"cron":"0 0 0 * * *"`, `"disabled":false`)
	basic(t, s, "dev", "pw").do("GET", "/api/v2.0/retentions/3", "").want(t, 200)
	basic(t, s, "guest", "pw").do("GET", "/api/v2.0/retentions/3", "").want(t, 403, "forbidden")
	anonymous(t, s).do("GET", "/api/v2.0/retentions/3", "").want(t, 401)
	c.do("GET", "/api/v2.0/retentions/1", "").want(t, 404)
	c.do("GET", "/api/v2.0/retentions/x", "").want(t, 404)
}

func TestMetadataOnCreation(t *testing.T) {
	s := start(t, nil)
	c := admin(t, s)
	create := func(name, rest string) *response {
		return c.do("POST", "/api/v2.0/projects", `{"project_name":"`+name+`",`+rest+`}`)
	}
	create("p1", `"metadata":{"public":"true","auto_scan":"true","nonsense":"1"}`).want(t, 201)
	c.do("GET", "/api/v2.0/projects/p1", "").want(t, 200, `"metadata":{"auto_scan":"true","public":"true"}`)
	create("p2", `"public":true`).want(t, 201)
	c.do("GET", "/api/v2.0/projects/p2", "").want(t, 200, `"metadata":{"public":"true"}`)
	create("p3", `"metadata":{"public":"yes"}`).want(t, 400, "metadata.public should only be 'true' or 'false'")
	create("p4", `"metadata":{"retention_id":"1"}`).want(t, 400, "should be omitted")
	create("p5", `"metadata":{"auto_scan":true}`).want(t, 400)
	create("p6", `"storage_limit":1125899906842625`).want(t, 400, "exceeded 1024TB")
	create("p7", `"storage_limit":1125899906842624`).want(t, 201)
}
