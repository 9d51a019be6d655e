package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

// overStorage are the registries that are started over a storage that was made,
// and what they serve to nobody.
var overStorage = []struct {
	name    string
	start   func(t *testing.T, dir string) *registryUnderTest
	refuses func(mediaType string, indexOfLayers bool) bool
}{
	{"distribution-3", distributionOver, func(mediaType string, _ bool) bool { return storage.IsSchema1(mediaType) }},
	{"distribution-2.8", debianRegistry, func(string, bool) bool { return false }},
}

func distributionOver(t *testing.T, dir string) *registryUnderTest {
	server, err := harbortest.NewRegistry(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return &registryUnderTest{url: server.URL}
}

// asItIs keeps every repository's name.
var asItIs = mapping{target: func(repository string) string { return repository }}

// TestStorage makes a registry's storage of each genuine tree, and holds what
// registries serve over it against what the old registry served. Their own garbage
// collection finds nothing in it to collect, and leaves everything.
func TestStorage(t *testing.T) {
	for _, of := range genuineTrees(t) {
		t.Run(filepath.Base(of), func(t *testing.T) {
			t.Parallel()
			root := filepath.Join(t.TempDir(), "registry")
			copyTree(t, of, root)
			before := fingerprint(t, root)
			dir := filepath.Join(t.TempDir(), "new")
			args := []string{"convert", root, dir, "--as", "storage", "--untagged", "-o", "json"}
			first := drydock(t, nil, args...)
			if first.code != exitDone || first.summary.Done != first.summary.Images || first.summary.CopiedBytes != 0 || first.summary.LinkedFiles == 0 {
				t.Errorf("exit status %d, %+v\n%s%s", first.code, first.summary, first.failures(), first.stderr)
			}
			made := contents(t, dir)
			if second := drydock(t, nil, args...); second.code != exitDone || second.summary.Skipped != first.summary.Done || second.summary.LinkedFiles != 0 {
				t.Errorf("the second run did something: %+v", second.summary)
			}
			if diff := cmp.Diff(made, contents(t, dir)); diff != "" {
				t.Errorf("the second run:\n%s", diff)
			}
			checkMade(t, root, dir)
			if diff := cmp.Diff(before, fingerprint(t, root)); diff != "" {
				t.Errorf("the source changed:\n%s", diff)
			}
			t.Run("collected", func(t *testing.T) { collect(t, root, dir) })
			want := readServed(t, of)
			for _, registry := range overStorage {
				t.Run(registry.name, func(t *testing.T) {
					serving := filepath.Join(t.TempDir(), "serving") // a registry may write
					copyTree(t, dir, serving)
					to := registry.start(t, serving)
					to.unread = true
					to.holdAgainst(t, want, to.expectRefused(want, registry.refuses), asItIs)
				})
			}
		})
	}
}

// checkMade holds that a thorough check of what was made finds nothing that
// is not so in its source.
func checkMade(t *testing.T, root, dir string) {
	t.Helper()
	findings := func(dir string) map[string]bool {
		r := drydock(t, nil, "check", dir, "--read-data", "-o", "json")
		if r.code != exitDone {
			t.Errorf("check %s: exit status %d\n%s", dir, r.code, r.stderr)
		}
		found := map[string]bool{}
		for line := range strings.Lines(r.stdout) {
			var f struct {
				Type string
				report.Finding
			}
			if json.Unmarshal([]byte(line), &f) == nil && f.Type == "finding" {
				found[fmt.Sprint(f.Finding)] = true
			}
		}
		return found
	}
	there := findings(root)
	for f := range findings(dir) {
		if !there[f] {
			t.Errorf("found in what was made: %s", f)
		}
	}
}

// collect runs the garbage collection of both registries over copies of a storage,
// in earnest. Distribution 3 gives up at docker's first schema.
func collect(t *testing.T, root, dir string) {
	for _, collector := range []struct {
		name string
		do   func(t *testing.T, dir string)
		args []string
	}{
		{"distribution-2.8", collectDebianGarbage, nil},
		{"distribution-3", collectGarbage, []string{"--exclude", "legacy/schema1"}},
	} {
		t.Run(collector.name, func(t *testing.T) {
			if _, err := exec.LookPath("docker-registry"); err != nil && collector.args == nil {
				t.Skip("docker-registry is not installed")
			}
			collected := filepath.Join(t.TempDir(), "collected")
			if collector.args == nil {
				copyTree(t, dir, collected)
			} else {
				drydock(t, nil, append([]string{"convert", root, collected, "--as", "storage", "--untagged", "--link=copy"}, collector.args...)...)
			}
			before := contents(t, collected)
			collector.do(t, collected)
			if diff := cmp.Diff(before, contents(t, collected)); diff != "" || len(before) < 100 {
				t.Errorf("%d files, -before +after:\n%s", len(before), diff)
			}
		})
	}
}

// TestStorageDamage makes storages of randomly damaged trees, one into the other:
// every byte that gets there is right, and what is whole in one of them is there
// in the end, and served.
func TestStorageDamage(t *testing.T) {
	seeds := uint64(1)
	if thorough() {
		seeds = 8
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 13))
			b := randomImages(random, 100)
			dir := filepath.Join(t.TempDir(), "new")
			var want []string
			for n, flags := range [][]string{nil, {"--trust-source", "--read-data"}, {"--link=copy"}} {
				root := filepath.Join(t.TempDir(), fmt.Sprint("registry", n))
				if err := b.WriteTo(root); err != nil {
					t.Fatal(err)
				}
				v2 := filepath.Join(root, storagetest.V2)
				damageTenth(t, random, v2)
				whole := wholeTags(v2)
				want = append(want, whole...)
				before := fingerprint(t, root)
				r := drydock(t, nil, append([]string{"convert", root, dir, "--as", "storage", "-o", "json"}, flags...)...)
				if r.code != exitLeftOut || len(whole) < 10 {
					t.Errorf("exit status %d, %d tags whole\n%s", r.code, len(whole), r.stderr)
				}
				everyFile(t, dir)
				slices.Sort(want)
				want = slices.Compact(want)
				if diff := cmp.Diff(want, wholeTags(filepath.Join(dir, storagetest.V2))); diff != "" {
					t.Errorf("convert %v: -whole +there:\n%s", flags, diff)
				}
				if diff := cmp.Diff(before, fingerprint(t, root)); diff != "" {
					t.Errorf("the source changed:\n%s", diff)
				}
			}
			s := serverOver{t: t, url: distributionOver(t, dir).url, v2: filepath.Join(dir, storagetest.V2)}
			for _, name := range want {
				for _, l := range s.lacks(name) {
					t.Errorf("%s is not served: %s", name, l.what)
				}
			}
		})
	}
}

// everyFile holds that every file below blobs hashes to its name, and every link
// names a blob that is there; it tells how many files there are.
func everyFile(t *testing.T, dir string) int {
	t.Helper()
	v2 := filepath.Join(dir, storagetest.V2)
	n := checkTrueNames(t, dir)
	err := filepath.WalkDir(filepath.Join(v2, "repositories"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		n++
		content, ok := readRegular(path)
		hex, is := strings.CutPrefix(string(content), "sha256:")
		if _, err := os.Stat(filepath.Join(v2, "blobs/sha256", hex[:min(len(hex), 2)], hex, "data")); !ok || !is || e.Name() != "link" || err != nil {
			t.Errorf("%s holds %q: %v", path, content, err)
		}
		return nil
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return n
}

// TestKilledStorage kills runs without a warning. After each, all that is there is
// whole, every tag with all its parts; and the next one completes it.
func TestKilledStorage(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "registry")
	if err := randomImages(rand.New(rand.NewPCG(3, 17)), 60).WriteTo(root); err != nil {
		t.Fatal(err)
	}
	before := fingerprint(t, root)
	for _, method := range []string{"auto", "copy"} {
		args := func(dir string) []string { return []string{"convert", root, dir, "--as", "storage", "--link", method} }
		whole := t.TempDir()
		took := runKilled(t, nil, 0, args(whole))
		want := contents(t, whole)
		if len(want) < 300 {
			t.Fatalf("there are %d files", len(want))
		}
		halfway := 0
		for range killings() {
			dir := t.TempDir()
			for range 2 { // the second goes on where the first was
				runKilled(t, nil, rand.N(took)+time.Millisecond, args(dir))
				if n := everyFile(t, dir); n > 0 && n < len(want) {
					halfway++
				}
				v2 := filepath.Join(dir, storagetest.V2)
				if tags, whole := tagLinks(v2), wholeTags(v2); len(tags) != len(whole) {
					t.Errorf("of %d tags that are there, %d are whole", len(tags), len(whole))
				}
			}
			runKilled(t, nil, 0, args(dir))
			if diff := cmp.Diff(want, contents(t, dir)); diff != "" {
				t.Fatalf("-undisturbed +killed:\n%s", diff)
			}
		}
		t.Logf("%s: %d of %d runs were killed halfway", method, halfway, 2*killings())
	}
	if diff := cmp.Diff(before, fingerprint(t, root)); diff != "" {
		t.Errorf("the source changed:\n%s", diff)
	}
}

// tagLinks are the links that say what tags name.
func tagLinks(v2 string) []string {
	found, _ := filepath.Glob(filepath.Join(v2, "repositories/*/*/_manifests/tags/*/current/link"))
	return found
}
