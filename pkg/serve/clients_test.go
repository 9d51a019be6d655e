package serve_test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/serve"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// tool passes over a test whose program is not there. In CI, all are.
func tool(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%v: scripts/test builds or installs it", err)
		}
		t.Skipf("there is no %s", name)
	}
}

// client is a program that pulls what a test serves.
type client struct {
	t    *testing.T
	host string // host:port of what is served
	home string
}

// run runs a program that knows nothing of whoever runs the tests.
func (c *client) run(args ...string) string {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "HOME="+c.home, "XDG_RUNTIME_DIR="+c.home, "XDG_CONFIG_HOME="+c.home, "DOCKER_CONFIG="+c.home,
		"REGISTRY_AUTH_FILE="+filepath.Join(c.home, "none.json"), "no_proxy=127.0.0.1", "NO_PROXY=127.0.0.1")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		c.t.Errorf("%s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

// genuine serves a tree that a real registry left, with what it served of it.
func genuine(t *testing.T, tree string) (*client, answers) {
	t.Helper()
	content, err := os.ReadFile("../../testdata/" + tree + ".served.json")
	if err != nil {
		t.Fatal(err)
	}
	var want answers
	if err := json.Unmarshal(content, &want); err != nil {
		t.Fatal(err)
	}
	s := open(t, "../../testdata/"+tree, plan.Rules{Untagged: true})
	addr := running(t, serve.LogRequests(s.Registry, discard), nil)
	c := &client{t: t, host: addr, home: t.TempDir()}
	insecure := `{"hosts":{"` + addr + `":{"tls":"disabled","hostname":"` + addr + `"}}}` // regctl's own configuration
	if err := os.MkdirAll(filepath.Join(c.home, "regctl"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.home, "regctl/config.json"), []byte(insecure), 0o600); err != nil {
		t.Fatal(err)
	}
	return c, want
}

// beyondClients are images that a client takes from no registry as they are, by how
// their names begin.
var beyondClients = map[string]map[string]string{
	"crane": {
		"library/sha512:": "blobs that are named by their sha512",
		"windows/nano:":   "a layer that is kept elsewhere by design, where it would look for it",
	},
	"skopeo": {
		"library/nested:":              "an index in an index",
		"team/app/web:nested":          "an index in an index",
		"library/sha512:":              "blobs that are named by their sha512",
		"windows/nano:":                "a layer that is kept elsewhere by design",
		"team/signed/fallback:sha256-": "an index of signatures, which it writes anew",
	},
}

func beyond(client, name string) bool {
	for begin := range beyondClients[client] {
		if strings.HasPrefix(name, begin) {
			return true
		}
	}
	return false
}

// TestClients has clients pull every tag of a genuine tree into OCI layouts, and
// holds what they have then against the digests that its registry served. Those
// that know referrers take them along.
func TestClients(t *testing.T) {
	for _, test := range []struct {
		tool      string
		referrers bool
		pull      func(host, name, layout string) []string
	}{
		{"crane", false, func(host, name, layout string) []string {
			return []string{"crane", "pull", "--insecure", "--format=oci", host + "/" + name, layout}
		}},
		{"regctl", true, func(host, name, layout string) []string {
			return []string{"regctl", "image", "copy", "--referrers", "--digest-tags", host + "/" + name, "ocidir://" + layout + ":copy"}
		}},
		{"oras", true, func(host, name, layout string) []string {
			return []string{"oras", "cp", "-r", "--no-tty", "--from-plain-http", host + "/" + name, "--to-oci-layout", layout + ":copy"}
		}},
	} {
		t.Run(test.tool, func(t *testing.T) {
			t.Parallel()
			tool(t, test.tool)
			c, want := genuine(t, "distribution-3")
			for _, repository := range slices.Sorted(maps.Keys(want.Repositories)) {
				for tag, is := range want.Repositories[repository].Tags {
					if beyond(test.tool, repository+":"+tag) {
						continue
					}
					layout := filepath.Join(t.TempDir(), "layout")
					c.run(test.pull(c.host, repository+":"+tag, layout)...)
					l := holdLayout(t, repository+":"+tag, layout)
					l.hold(digest.Digest(is.Digest))
					if test.referrers {
						l.holdReferrers(c, repository)
					}
				}
			}
		})
	}
}

// layout is an OCI layout that a client wrote.
type layout struct {
	t         *testing.T
	name, dir string
	manifests map[digest.Digest]*storage.Manifest
}

func holdLayout(t *testing.T, name, dir string) *layout {
	return &layout{t, name, dir, map[digest.Digest]*storage.Manifest{}}
}

// read gives a blob of the layout, held against its digest.
func (l *layout) read(d digest.Digest) []byte {
	l.t.Helper()
	content, err := os.ReadFile(filepath.Join(l.dir, "blobs", d.Algorithm().String(), d.Encoded()))
	if err != nil {
		l.t.Errorf("%s: %v", l.name, err)
		return nil
	}
	if d.Algorithm().FromBytes(content) != d {
		l.t.Errorf("%s: %s has other bytes", l.name, d)
	}
	return content
}

// hold holds that a manifest is there, with all that it names.
func (l *layout) hold(d digest.Digest) {
	l.t.Helper()
	m, err := storage.ParseManifest(l.read(d), d, "")
	if err != nil {
		l.t.Errorf("%s: %s: %v", l.name, d, err)
		return
	}
	l.manifests[d] = m
	for _, child := range m.Manifests {
		l.hold(child.Digest)
	}
	for _, b := range m.Blobs {
		if len(b.URLs) == 0 {
			l.read(b.Digest)
		}
	}
}

// holdReferrers holds that what the registry lists as referring to what is there
// is there too.
func (l *layout) holdReferrers(c *client, repository string) {
	l.t.Helper()
	for d := range maps.Clone(l.manifests) {
		for _, r := range c.referrers(repository, d) {
			if l.manifests[r] == nil {
				l.hold(r)
				l.holdReferrers(c, repository)
			}
		}
	}
}

// referrers asks what refers to a manifest.
func (c *client) referrers(repository string, subject digest.Digest) (all []digest.Digest) {
	c.t.Helper()
	got := (&served{t: c.t, url: "http://" + c.host}).ask("GET", "/v2/"+repository+"/referrers/"+subject.String())
	var list ocispec.Index
	if err := json.Unmarshal([]byte(got.body), &list); err != nil || got.status != 200 {
		c.t.Fatalf("referrers of %s: status %d: %s", subject, got.status, got.body)
	}
	for _, m := range list.Manifests {
		all = append(all, m.Digest)
	}
	return all
}

// TestDiscover has clients list what refers to images.
func TestDiscover(t *testing.T) {
	for _, test := range []struct {
		tool string
		list func(name string) []string
	}{
		{"oras", func(name string) []string {
			return []string{"oras", "discover", "--plain-http", "--format=json", name}
		}},
		{"regctl", func(name string) []string { return []string{"regctl", "artifact", "list", name, "--format=raw-body"} }},
	} {
		t.Run(test.tool, func(t *testing.T) {
			t.Parallel()
			tool(t, test.tool)
			c, want := genuine(t, "distribution-3")
			found := 0
			for repository, r := range want.Repositories {
				for tag, is := range r.Tags {
					referrers := c.referrers(repository, digest.Digest(is.Digest))
					if len(referrers) == 0 {
						continue
					}
					listed := c.run(test.list(c.host + "/" + repository + ":" + tag)...)
					for _, d := range referrers {
						found++
						if !strings.Contains(listed, d.String()) {
							t.Errorf("%s:%s: it does not list %s:\n%s", repository, tag, d, listed)
						}
					}
				}
			}
			if found < 2 {
				t.Errorf("%d referrers: this shows too little", found)
			}
		})
	}
}

// TestSkopeo has skopeo copy every tag into a dir: layout.
func TestSkopeo(t *testing.T) {
	t.Parallel()
	tool(t, "skopeo")
	c, want := genuine(t, "distribution-3")
	for repository, r := range want.Repositories {
		for tag, is := range r.Tags {
			name := repository + ":" + tag
			if beyond("skopeo", name) {
				continue
			}
			dir := filepath.Join(t.TempDir(), "copy")
			c.run("skopeo", "--insecure-policy", "copy", "--quiet", "--all", "--src-tls-verify=false", "docker://"+c.host+"/"+name, "dir:"+dir)
			content, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
			if err != nil || digest.FromBytes(content).String() != is.Digest {
				t.Errorf("%s: %s, %v; want %s", name, digest.FromBytes(content), err, is.Digest)
			}
		}
	}
}

// TestContainersStorage has skopeo put images where podman, CRI-O and buildah have
// theirs.
func TestContainersStorage(t *testing.T) {
	t.Parallel()
	tool(t, "skopeo")
	if os.Getuid() != 0 {
		t.Skip("layers are unpacked with their owners, which takes root")
	}
	c, _ := genuine(t, "distribution-3")
	place := "containers-storage:[vfs@" + filepath.Join(c.home, "root") + "+" + filepath.Join(c.home, "run") + "]"
	for _, name := range []string{"alpine:3.20", "library/alpine:latest", "team/app/web:1.0"} {
		there := "docker://" + c.host + "/" + name
		c.run("skopeo", "--insecure-policy", "--override-os=linux", "--override-arch=amd64", "copy", "--src-tls-verify=false", there, place+"localhost/"+name)
		want := c.run("skopeo", "--override-os=linux", "--override-arch=amd64", "inspect", "--tls-verify=false", "--config", "--raw", there)
		if got := c.run("skopeo", "inspect", "--config", "--raw", place+"localhost/"+name); got != want || got == "" {
			t.Errorf("%s: its config is %s, want %s", name, got, want)
		}
	}
}

// TestPodman has podman pull by the names that images had in the old registry,
// which a mirror entry leads to what is served.
func TestPodman(t *testing.T) {
	t.Parallel()
	tool(t, "podman")
	if os.Getuid() != 0 {
		t.Skip("layers are unpacked with their owners, which takes root")
	}
	c, want := genuine(t, "distribution-3")
	registries := "[[registry]]\nlocation = \"old.example.com:5000\"\n[[registry.mirror]]\nlocation = \"" + c.host + "\"\ninsecure = true\n"
	for name, content := range map[string]string{
		"registries.conf": registries,
		"policy.json":     `{"default":[{"type":"insecureAcceptAnything"}]}`,
		"none.json":       "{}", // podman wants its file of passwords to be there
	} {
		if err := os.WriteFile(filepath.Join(c.home, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	podman := func(args ...string) string {
		return c.run(append([]string{"env", "CONTAINERS_REGISTRIES_CONF=" + filepath.Join(c.home, "registries.conf"), "podman", "--storage-driver=vfs", "--root=" + filepath.Join(c.home, "root"), "--runroot=" + filepath.Join(c.home, "run")}, args...)...)
	}
	for repository, tag := range map[string]string{"library/alpine": "latest", "alpine": "3.20"} {
		name := "old.example.com:5000/" + repository + ":" + tag
		podman("pull", "--quiet", "--arch=amd64", "--os=linux", "--signature-policy="+filepath.Join(c.home, "policy.json"), name)
		digests := podman("image", "inspect", "--format={{json .RepoDigests}}", name)
		if is := want.Repositories[repository].Tags[tag].Digest; !strings.Contains(digests, "@"+is+`"`) {
			t.Errorf("%s: podman has it as %s, want %s", name, digests, is)
		}
	}
}
