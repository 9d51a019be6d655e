package serve_test

import (
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// TestConformance has the conformance tests of the OCI distribution spec pull every
// repository of genuine trees: the part of them that needs nothing to be pushed. They
// say by what they print whether they pass, and not by their exit status: of a registry
// that was filled beforehand, their last report, which nobody asked for here, fails.
func TestConformance(t *testing.T) {
	for _, tree := range []string{"distribution-3", "distribution-2.8"} {
		t.Run(tree, func(t *testing.T) {
			t.Parallel()
			tool(t, "conformance")
			c, want := genuine(t, tree)
			referrers := 0
			for _, repository := range slices.Sorted(maps.Keys(want.Repositories)) {
				r := want.Repositories[repository]
				env := map[string][]string{"BLOBS": slices.Collect(maps.Keys(r.Blobs))}
				for tag, is := range r.Tags {
					if !storage.IsSchema1(is.MediaType) { // whose digest is not that of its bytes
						env["TAGS"] = append(env["TAGS"], tag)
					}
				}
				for d, is := range r.Manifests {
					if storage.IsSchema1(is.MediaType) {
						continue
					}
					env["MANIFESTS"] = append(env["MANIFESTS"], d)
					if len(c.referrers(repository, digest.Digest(d))) > 0 {
						env["REFERRERS"] = append(env["REFERRERS"], d)
						referrers++
					}
				}
				if len(env["MANIFESTS"]) > 0 {
					c.conform(repository, env)
				}
			}
			if referrers < 2 {
				t.Errorf("%d subjects with referrers: this shows too little", referrers)
			}
		})
	}
}

var (
	conformed = regexp.MustCompile(`(?m)^OCI Conformance Result: Pass$`)
	failures  = regexp.MustCompile(`(?m)^  (?:FAIL|Error|Skip)\.+: +[1-9]`)
)

// conform runs them on a repository, with what is in it.
func (c *client) conform(repository string, data map[string][]string) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), "conformance")
	cmd.Dir = c.t.TempDir() // where it writes its reports
	cmd.Env = []string{
		"HOME=" + c.home, "PATH=" + os.Getenv("PATH"), "OCI_VERSION=1.1", "OCI_REGISTRY=" + c.host, "OCI_TLS=disabled", "OCI_REPO1=" + repository,
		"OCI_API_PUSH=false", "OCI_API_BLOBS_DELETE=false", "OCI_API_MANIFESTS_DELETE=false", "OCI_API_TAGS_DELETE=false", "OCI_API_BLOBS_MOUNT_ANONYMOUS=false",
		"OCI_API_BLOBS_DIGEST_HEADER=true",
	}
	for name, values := range data {
		cmd.Env = append(cmd.Env, "OCI_RO_DATA_"+name+"="+strings.Join(values, " "))
	}
	said, _ := cmd.Output()
	asked := []string{"Ping", "Tag listing", "Manifest get by digest", "Manifest head by digest", "Blob get", "Blob head", "Referrers"}
	if len(data["TAGS"]) > 0 {
		asked = append(asked, "Manifest get by tag", "Manifest head by tag")
	}
	passed := conformed.Match(said) && !failures.Match(said)
	for _, what := range asked {
		if !regexp.MustCompile(`(?m)^  ` + what + `\.+: +Pass$`).Match(said) {
			c.t.Errorf("%s: %s does not pass", repository, what)
			passed = false
		}
	}
	if !passed {
		c.t.Errorf("%s:\n%s", repository, said)
	}
}
