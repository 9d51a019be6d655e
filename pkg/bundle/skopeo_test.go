package bundle_test

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/bundle"
	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// readable is what Debian's skopeo 1.9 takes of the genuine tree: no digests by
// sha512, no indexes in indexes, no schema 1 without its signatures, no zstd
// layers, no build caches, and no foreign layers, which it would ask for.
var readable = []string{
	"alpine", "library/alpine", "library/base", "team/app/api:{1.*,buildkit,duplicate}", "team/app/web:{1.0,multi,buildkit,sha256-*}", "a/**", "charts/web", "artifacts/marker",
}

func skopeo(t *testing.T, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("skopeo"); err != nil {
		t.Skip("skopeo is not installed")
	}
	cmd := exec.Command("skopeo", args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("skopeo %v: %v: %s", args, err, out)
	}
}

// registry starts distribution's registry in this process.
func registry(t *testing.T) (host string) {
	t.Helper()
	server, err := harbortest.NewRegistry("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// sync has skopeo send layouts to a registry, which has to have every image then.
func sync(t *testing.T, p *plan.Plan, layouts string) {
	t.Helper()
	host := registry(t)
	// Without --scoped it keeps the last component of a repository alone.
	skopeo(t, "sync", "--all", "--scoped", "--preserve-digests", "--src", "dir", "--dest", "docker", "--dest-tls-verify=false", layouts, host+"/all")
	for _, i := range p.Images {
		req, err := http.NewRequest(http.MethodHead, "http://"+host+"/v2/all/"+i.Source.Repository+"/manifests/"+i.Manifest.Digest.String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header["Accept"] = storage.ManifestMediaTypes
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s is not there: %s", i.Source, resp.Status)
		}
	}
}

// TestSkopeo has skopeo read what tar makes of a bundle.
func TestSkopeo(t *testing.T) {
	tr := load(t, "../../testdata/distribution-3", plan.Rules{Include: readable})
	archive, _ := tr.archive(t, nil)
	sync(t, tr.p, unpackNew(t, archive))
}

// TestSkopeoSince has it read what tar makes of a differential bundle over that
// of its base.
func TestSkopeoSince(t *testing.T) {
	const dir = "../../testdata/distribution-3"
	before := load(t, dir, plan.Rules{Include: readable, Exclude: []string{"team/app/web:*", "alpine"}})
	base, _ := before.archive(t, nil)
	inv, err := bundle.ReadInventory(bytes.NewReader(beginning(t, base)))
	if err != nil {
		t.Fatal(err)
	}
	tr := load(t, dir, plan.Rules{Include: readable})
	archive, _ := tr.archive(t, &bundle.Options{Since: inv})
	layouts := unpackNew(t, base)
	unpack(t, archive, layouts)
	sync(t, tr.p, layouts)
}
