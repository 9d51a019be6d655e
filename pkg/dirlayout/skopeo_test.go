package dirlayout_test

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// registry starts distribution's registry in this process.
func registry(t *testing.T) string {
	t.Helper()
	server, err := harbortest.NewRegistry("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func skopeo(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("skopeo", args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestSkopeo has Debian's skopeo read layouts of genuine trees, and send them
// to a registry, which then has to have the same digests.
func TestSkopeo(t *testing.T) {
	if _, err := exec.LookPath("skopeo"); err != nil {
		t.Skip("skopeo is not installed")
	}
	// Skopeo 1.9 cannot take all there is: sha512 blobs, indexes in indexes,
	// schema 1 without its signatures, zstd layers, build caches. It compresses
	// plain layers anew, and asks the place named in a foreign one for its bytes.
	tr := load(t, "../../testdata/distribution-3/docker", plan.Rules{Include: []string{
		"alpine", "library/alpine", "library/base", "team/app/api:{1.*,buildkit,duplicate}", "team/app/web:{1.0,multi,buildkit,sha256-*}", "a/**", "charts/web", "artifacts/marker",
	}})
	layouts := t.TempDir()
	tr.convert(t, layouts, link.Auto)
	host := registry(t)
	// Without --scoped it keeps the last component of a repository alone.
	if out, err := skopeo(t, "sync", "--all", "--src", "dir", "--dest", "docker", "--dest-tls-verify=false", "--scoped", layouts, host+"/all"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, i := range tr.p.Images {
		name := filepath.Join(layouts, i.LayoutPath())
		if !storage.IsIndex(i.Manifest.MediaType) && i.ArtifactType == "" {
			out, err := skopeo(t, "inspect", "dir:"+name)
			var is struct{ Digest string }
			if err != nil || json.Unmarshal([]byte(out), &is) != nil || is.Digest != i.Manifest.Digest.String() {
				t.Errorf("inspecting %s: %v: %s", i.Source, err, out)
			}
		}
		if !has(t, host, "all/"+i.Source.Repository, i) {
			t.Errorf("%s is not there after skopeo sync", i.Source)
		}
	}
}

func has(t *testing.T, host, repository string, i plan.Image) bool {
	t.Helper()
	req, err := http.NewRequest(http.MethodHead, "http://"+host+"/v2/"+repository+"/manifests/"+i.Manifest.Digest.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header["Accept"] = storage.ManifestMediaTypes
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// TestSkopeoDigests has skopeo sync send an image that has no tag: by its digest.
func TestSkopeoDigests(t *testing.T) {
	if _, err := exec.LookPath("skopeo"); err != nil {
		t.Skip("skopeo is not installed")
	}
	tr := write(t, t.TempDir(), "image amd amd64 base\npush a/app amd\n", plan.Rules{Untagged: true})
	host := registry(t)
	out, err := skopeo(t, "sync", "--all", "--src", "dir", "--dest", "docker", "--dest-tls-verify=false", "--scoped", layoutsOf(t, tr), host+"/all")
	if err != nil || !has(t, host, "all/a/app", tr.p.Images[0]) {
		t.Errorf("error %v: %s", err, out)
	}
}
