package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// served is what a registry itself answered over a tree, as scripts/testdata
// asked it: never our own reading of the tree.
type served struct {
	Repositories map[string]struct {
		Tags      map[string]struct{ Digest digest.Digest }
		Manifests map[digest.Digest]struct {
			MediaType string
			Subject   digest.Digest
			Manifests []digest.Digest
			Untagged  bool
		}
		Blobs map[digest.Digest]int64
	}
}

// genuineTrees are the trees of testdata and, where DRYDOCK_TREES names a
// directory that scripts/testdata made with another seed, those too.
func genuineTrees(t *testing.T) []string {
	var trees []string
	for _, dir := range []string{"../../testdata", os.Getenv("DRYDOCK_TREES")} {
		if dir == "" {
			continue
		}
		found, err := filepath.Glob(filepath.Join(dir, "*.served.json"))
		if err != nil || len(found) == 0 {
			t.Fatalf("no trees in %s: %v", dir, err)
		}
		for _, f := range found {
			trees = append(trees, strings.TrimSuffix(f, ".served.json"))
		}
	}
	return trees
}

func readServed(t *testing.T, tree string) served {
	content, err := os.ReadFile(tree + ".served.json")
	if err != nil {
		t.Fatal(err)
	}
	var s served
	if err := json.Unmarshal(content, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestGenuine moves genuine trees into every kind of registry there is at hand,
// and holds what these have then against what the old registry served.
func TestGenuine(t *testing.T) {
	for _, tree := range genuineTrees(t) {
		for _, target := range targets {
			t.Run(filepath.Base(tree)+"/"+target.name, func(t *testing.T) {
				t.Parallel()
				testGenuine(t, tree, target.start(t), target.refuses)
			})
		}
	}
}

// mapping is how a tree's repositories come to the target, as flags and as a
// function that knows nothing of ours.
type mapping struct {
	prefix string
	flags  []string
	target func(repository string) string
}

// mappingOf keeps the trees of testdata as they are, but for alpine, which would
// meet library/alpine in the target. Trees made anew have names that Harbor takes
// for no project: those go below one.
func mappingOf(tree string) mapping {
	if filepath.Dir(tree) != "../../testdata" {
		return mapping{prefix: "/moved", target: func(repository string) string { return "moved/" + repository }}
	}
	return mapping{
		flags:  []string{"--rewrite", "alpine=hub/alpine"},
		target: mapped,
	}
}

// mapped is where a repository goes if it is not told otherwise, but for alpine.
func mapped(repository string) string {
	switch {
	case repository == "alpine":
		return "hub/alpine"
	case !strings.Contains(repository, "/"):
		return "library/" + repository
	}
	return repository
}

func testGenuine(t *testing.T, tree string, to *registryUnderTest, refuses func(mediaType string, indexOfLayers bool) bool) {
	root := filepath.Join(t.TempDir(), "registry")
	copyTree(t, tree, root)
	before := fingerprint(t, root)
	want := readServed(t, tree)
	lost := to.expectRefused(want, refuses)

	where := mappingOf(tree)
	args := append([]string{"migrate", root, to.url + where.prefix, "--untagged", "-o", "json"}, where.flags...)
	first := drydock(t, to, args...)
	if first.summary.Failed != len(lost) {
		t.Errorf("%d images failed, want %d: %v\n%s", first.summary.Failed, len(lost), lost, first.failures())
	}
	wantCode := exitDone
	if len(lost) > 0 {
		wantCode = exitLeftOut
	}
	if first.code != wantCode {
		t.Errorf("exit status %d, want %d\n%s", first.code, wantCode, first.stderr)
	}
	to.holdAgainst(t, want, lost, where)
	checkSameInodes(t, root)
	if diff := cmp.Diff(before, fingerprint(t, root)); diff != "" {
		t.Errorf("the source changed:\n%s", diff)
	}

	second := drydock(t, to, args...)
	if s := second.summary; s.Done != 0 || s.UploadedBlobs != 0 || s.UploadedBytes != 0 || s.LinkedFiles != 0 || s.Skipped != first.summary.Done {
		t.Errorf("the second run did something: %+v", s)
	}
	if got := drydock(t, to, append([]string{"verify", root, to.url + where.prefix, "--untagged", "-o", "json"}, where.flags...)...); got.summary.Done != first.summary.Done {
		t.Errorf("verify found %d of %d", got.summary.Done, first.summary.Done)
	}
}

// expectRefused names the tags that this kind of registry takes from nobody.
func (to *registryUnderTest) expectRefused(want served, refuses func(string, bool) bool) map[string]bool {
	lost := map[string]bool{}
	for name, r := range want.Repositories {
		for tag, ref := range r.Tags {
			m := r.Manifests[ref.Digest]
			ofLayers := slices.ContainsFunc(m.Manifests, func(child digest.Digest) bool { _, isBlob := r.Blobs[child]; return isBlob })
			if refuses(m.MediaType, ofLayers) {
				lost[name+":"+tag] = true
			}
		}
	}
	return lost
}

// holdAgainst asks the target for everything the old registry served: tags,
// manifests, children, blobs, byte for byte, and referrers where it lists them.
func (to *registryUnderTest) holdAgainst(t *testing.T, want served, lost map[string]bool, where mapping) {
	for name, r := range want.Repositories {
		repository := where.target(name)
		gone := map[digest.Digest]bool{}
		for tag, ref := range r.Tags {
			if lost[name+":"+tag] {
				gone[ref.Digest] = true
				continue
			}
			if got := to.manifest(t, repository, tag); !storage.HasDigest(got, ref.Digest) {
				t.Errorf("%s:%s is %s, want %s", repository, tag, digest.FromBytes(got), ref.Digest)
			}
			to.inspect(t, repository+":"+tag, ref.Digest, r.Manifests[ref.Digest].MediaType)
		}
		for d, m := range r.Manifests {
			if gone[d] {
				continue
			}
			if got := to.manifest(t, repository, d.String()); !storage.HasDigest(got, d) {
				t.Errorf("%s@%s has another digest, %s", repository, d, digest.FromBytes(got))
			}
			if m.Subject != "" && to.referrers {
				to.hasReferrer(t, repository, m.Subject, d)
			}
		}
		if len(gone) > 0 {
			continue // its blobs belong to what was refused
		}
		for d := range r.Blobs {
			if got := d.Algorithm().FromBytes(to.get(t, "/v2/"+repository+"/blobs/"+d.String())); got != d {
				t.Errorf("%s: blob %s has the digest %s", repository, d, got)
			}
		}
	}
}

func (to *registryUnderTest) manifest(t *testing.T, repository, name string) []byte {
	return to.get(t, "/v2/"+repository+"/manifests/"+name)
}

func (to *registryUnderTest) get(t *testing.T, path string) []byte {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, to.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, mediaType := range []string{
		"application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
		"application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.docker.distribution.manifest.v2+json",
		"application/vnd.docker.distribution.manifest.v1+prettyjws",
	} {
		req.Header.Add("Accept", mediaType)
	}
	if to.username != "" {
		req.SetBasicAuth(to.username, to.password)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Errorf("GET %s: %s %.200s", path, resp.Status, content)
	}
	return content
}

func (to *registryUnderTest) hasReferrer(t *testing.T, repository string, subject, referrer digest.Digest) {
	t.Helper()
	if list := to.get(t, "/v2/"+repository+"/referrers/"+subject.String()); !bytes.Contains(list, []byte(referrer)) {
		t.Errorf("%s: the referrers of %s lack %s", repository, subject, referrer)
	}
}

// inspect has skopeo read an image back. What the old schema is signed with
// changes at each pull, so there is no digest to compare.
func (to *registryUnderTest) inspect(t *testing.T, name string, want digest.Digest, mediaType string) {
	t.Helper()
	if _, err := exec.LookPath("skopeo"); err != nil || to.unread || storage.IsSchema1(mediaType) {
		return
	}
	args := []string{"inspect", "--raw", "--tls-verify=false"}
	if to.username != "" {
		args = append(args, "--creds", to.username+":"+to.password)
	}
	out, err := exec.Command("skopeo", append(args, "docker://"+strings.TrimPrefix(to.url, "http://")+"/"+name)...).CombinedOutput()
	if err != nil || digest.FromBytes(out) != want {
		t.Errorf("skopeo inspect %s: %v, digest %s, want %s\n%.300s", name, err, digest.FromBytes(out), want, out)
	}
}

// result is what a run of drydock said.
type result struct {
	code     int
	stdout   string
	stderr   string
	summary  report.Summary
	outcomes []report.Outcome
}

func (r result) failures() string {
	var lines []string
	for _, o := range r.outcomes {
		if o.Status == report.Failed {
			lines = append(lines, o.Source+": "+o.Error)
		}
	}
	return strings.Join(lines, "\n")
}

// drydock runs the program in this process, against a target's account.
func drydock(t *testing.T, to *registryUnderTest, args ...string) result {
	t.Helper()
	env := map[string]string{}
	if to != nil && to.username != "" {
		env["HARBOR_USERNAME"], env["HARBOR_PASSWORD"] = to.username, to.password
	}
	var stdout, stderr bytes.Buffer
	code := run(context.Background(), func(name string) string { return env[name] }, strings.NewReader(""), &stdout, &stderr, args)
	r := result{code: code, stdout: stdout.String(), stderr: stderr.String()}
	for line := range strings.Lines(r.stdout) {
		var kind struct{ Type string }
		if json.Unmarshal([]byte(line), &kind) != nil {
			continue
		}
		switch kind.Type {
		case "outcome":
			var o report.Outcome
			if err := json.Unmarshal([]byte(line), &o); err != nil {
				t.Fatal(err)
			}
			r.outcomes = append(r.outcomes, o)
		case "summary":
			if err := json.Unmarshal([]byte(line), &r.summary); err != nil {
				t.Fatal(err)
			}
		}
	}
	return r
}

// copyTree copies a tree with its times, as cp -a does.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// fingerprint gives every file's mode, time and content.
func fingerprint(t *testing.T, root string) map[string]string {
	t.Helper()
	found, err := treeFingerprint(root)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func treeFingerprint(root string) (map[string]string, error) {
	found := map[string]string{}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		what := fmt.Sprintf("%v %v", info.Mode(), info.ModTime())
		if info.Mode().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what += fmt.Sprintf(" %x", sha256.Sum256(content))
		}
		found[path] = what
		return nil
	})
	return found, err
}

// checkSameInodes holds every file of the layouts against the registry's blobs:
// it is one of them, not a copy.
func checkSameInodes(t *testing.T, root string) {
	t.Helper()
	blobs := map[string]os.FileInfo{}
	collect := func(dir string, take func(path string, info os.FileInfo)) {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			info, err := e.Info()
			if err == nil {
				take(path, info)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	collect(filepath.Join(root, "docker/registry/v2/blobs"), func(path string, info os.FileInfo) { blobs[path] = info })
	all := slices.Collect(maps.Values(blobs))
	files := 0
	collect(filepath.Join(filepath.Dir(root), "drydock-layouts"), func(path string, info os.FileInfo) {
		if filepath.Base(path) == "version" {
			return
		}
		files++
		if !slices.ContainsFunc(all, func(blob os.FileInfo) bool { return os.SameFile(blob, info) }) {
			t.Errorf("%s is no hard link to a blob", path)
		}
	})
	if files == 0 {
		t.Error("there are no layouts")
	}
}
