package main

import (
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	distributionstorage "github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// startHarborOnDisk starts a Harbor with an empty directory for its storage, as a
// new one has it.
func startHarborOnDisk(t *testing.T) *registryUnderTest { return startHarborIn(t, t.TempDir()) }

// graftArgs are the arguments of a migration into a target's own storage.
func graftArgs(root string, to *registryUnderTest, where mapping, flags ...string) []string {
	return slices.Concat([]string{"migrate", root, to.url + where.prefix, "--graft", to.storage, "-o", "json"}, where.flags, flags)
}

// TestGraft moves genuine trees into every kind of registry that keeps its blobs
// in files, and holds what these have then against what the old registry served.
func TestGraft(t *testing.T) {
	for _, tt := range []struct {
		tree  string
		kind  targetKind
		start func(*testing.T) *registryUnderTest
		gc    func(t *testing.T, root string)
	}{
		{"../../testdata/distribution-3", targets[0], startHarborOnDisk, collectGarbage},
		{"../../testdata/distribution-2.8", targets[0], startHarborOnDisk, collectGarbage},
		{"../../testdata/distribution-3", targets[1], startDistribution, collectGarbage},
		{"../../testdata/distribution-2.8", targets[2], startDebianRegistry, collectDebianGarbage},
	} {
		t.Run(filepath.Base(tt.tree)+"/"+tt.kind.name, func(t *testing.T) {
			t.Parallel()
			testGraft(t, tt.tree, tt.start(t), tt.kind.refuses, tt.gc)
		})
	}
}

func testGraft(t *testing.T, tree string, to *registryUnderTest, refuses func(string, bool) bool, gc func(*testing.T, string)) {
	root := filepath.Join(t.TempDir(), "registry")
	copyTree(t, tree, root)
	before := fingerprint(t, root)
	want := readServed(t, tree)
	lost := to.expectRefused(want, refuses)
	where := mappingOf(tree)

	first := drydock(t, to, graftArgs(root, to, where, "--untagged")...)
	if s := first.summary; s.Failed != len(lost) || s.UploadedBlobs != 0 || s.PlacedBlobs == 0 || s.LinkedFiles != s.PlacedBlobs || s.CopiedBytes != 0 {
		t.Errorf("%+v\n%s%s", s, first.failures(), first.stderr)
	}
	to.holdAgainst(t, want, lost, where)
	to.pullBack(t, where.target("team/app/web")+":multi", where.target("alpine")+":3.20")
	checkTrueNames(t, to.storage)
	checkGraftRequests(t, to)
	if diff := cmp.Diff(before, fingerprint(t, root)); diff != "" {
		t.Errorf("the source changed:\n%s", diff)
	}
	checkGarbage(t, to.storage, neededBlobs(want, lost), gc)
	second := drydock(t, to, graftArgs(root, to, where, "--untagged")...)
	if s := second.summary; s.Done != 0 || s.PlacedBlobs != 0 || s.UploadedBlobs != 0 || s.Skipped != first.summary.Done {
		t.Errorf("the second run did something: %+v", s)
	}
}

// pullBack has skopeo copy images, which holds every blob against its digest.
func (to *registryUnderTest) pullBack(t *testing.T, names ...string) {
	t.Helper()
	if _, err := exec.LookPath("skopeo"); err != nil {
		return
	}
	for _, name := range names {
		args := []string{"--insecure-policy", "copy", "--all", "--src-tls-verify=false"}
		if to.username != "" {
			args = append(args, "--src-creds", to.username+":"+to.password)
		}
		args = append(args, "docker://"+strings.TrimPrefix(to.url, "http://")+"/"+name, "dir:"+t.TempDir())
		if out, err := exec.Command("skopeo", args...).CombinedOutput(); err != nil {
			t.Errorf("skopeo copy %s: %v\n%s", name, err, out)
		}
	}
}

// neededBlobs are those of images that the target takes, by their hex.
func neededBlobs(want served, lost map[string]bool) map[string]bool {
	needed := map[string]bool{}
	for name, r := range want.Repositories {
		if slices.ContainsFunc(slices.Collect(keys(lost)), func(image string) bool { return strings.HasPrefix(image, name+":") }) {
			continue // its blobs may belong to what was refused
		}
		for d := range r.Blobs {
			needed[d.Encoded()] = true
		}
		for d := range r.Manifests {
			needed[d.Encoded()] = true
		}
	}
	return needed
}

func keys(m map[string]bool) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// aboutBlob tells requests about blobs from those in repositories that are called so.
var aboutBlob = regexp.MustCompile(`/blobs/(uploads/|sha\d+:)[^/]*$`)

// checkGraftRequests holds that no blob was sent but the probe, that nothing was
// mounted, and that nobody asked for a blob before a manifest named it.
func checkGraftRequests(t *testing.T, to *registryUnderTest) {
	t.Helper()
	if to.harbor == nil {
		return
	}
	sent := 0
	for _, q := range to.harbor.Requests() {
		if !aboutBlob.MatchString(q.Path) {
			continue
		}
		switch {
		case q.Method == http.MethodHead, strings.Contains(q.RawQuery, "mount="):
			t.Errorf("%s %s?%s", q.Method, q.Path, q.RawQuery)
		case q.Method == http.MethodPut:
			sent++
		}
	}
	if sent != 1 {
		t.Errorf("%d blobs were sent, want the probe alone", sent)
	}
}

// eachBlob calls back for every data file below blobs, with the digest that it is
// named by.
func eachBlob(t *testing.T, root string, do func(path string, d digest.Digest)) {
	t.Helper()
	blobs := filepath.Join(root, storage.Root, "blobs")
	err := filepath.WalkDir(blobs, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		parts := strings.Split(strings.TrimPrefix(path, blobs+"/"), "/")
		if len(parts) != 4 || parts[3] != "data" || !strings.HasPrefix(parts[2], parts[1]) {
			t.Errorf("%s is no blob's place", path)
			return nil
		}
		do(path, digest.NewDigestFromEncoded(digest.Algorithm(parts[0]), parts[2]))
		return nil
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
}

// checkTrueNames holds that every blob of a storage hashes to its name, and that
// no other file of ours is there.
func checkTrueNames(t *testing.T, root string) (n int) {
	t.Helper()
	eachBlob(t, root, func(path string, d digest.Digest) {
		n++
		content, err := os.ReadFile(path)
		if err != nil || d.Algorithm().FromBytes(content) != d {
			t.Errorf("%s has %d bytes of another digest (%v)", path, len(content), err)
		}
	})
	return n
}

// collectGarbage is what distribution 3 does with a storage.
func collectGarbage(t *testing.T, root string) {
	t.Helper()
	driver := filesystem.New(filesystem.DriverParameters{RootDirectory: root, MaxThreads: 100})
	registry, err := distributionstorage.NewRegistry(t.Context(), driver)
	if err == nil {
		err = distributionstorage.MarkAndSweep(t.Context(), driver, registry, distributionstorage.GCOpts{Quiet: true})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// collectDebianGarbage is what Debian's registry 2.8 does: it knows manifests of
// the first schema, which distribution 3 does not.
func collectDebianGarbage(t *testing.T, root string) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "gc.yml")
	text := "version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: " + root + "}}\ncompatibility: {schema1: {enabled: true}}\n"
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("docker-registry", "garbage-collect", config).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// checkGarbage has distribution collect the garbage of a copy of a storage: of
// what is needed, all is still there, and of what it found nothing was placed.
func checkGarbage(t *testing.T, root string, needed map[string]bool, collect func(t *testing.T, root string)) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "copy")
	if out, err := exec.Command("cp", "-a", root, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	collect(t, dir)
	kept, before := map[string]bool{}, map[string]bool{}
	eachBlob(t, dir, func(_ string, d digest.Digest) { kept[d.Encoded()] = true })
	eachBlob(t, root, func(_ string, d digest.Digest) { before[d.Encoded()] = true })
	for hex := range needed {
		if before[hex] && !kept[hex] {
			t.Errorf("the garbage collection took %s, which an image needs", hex)
		}
	}
	if len(before) == len(kept) {
		t.Error("no garbage was found, not even the probe")
	}
}
