package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

// TestRandomDamage damages a tenth of what a few hundred images are made of, in
// random ways. The images that drydock calls whole are exactly those of which
// every byte is right, found by brute force and not by our own reading; and
// exactly those are in the target after a migration.
func TestRandomDamage(t *testing.T) {
	seeds := 2
	if thorough() {
		seeds = 8
	}
	if n, err := strconv.Atoi(os.Getenv("DRYDOCK_DAMAGE_SEEDS")); err == nil {
		seeds = n
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(uint64(seed), 7))
			root := filepath.Join(t.TempDir(), "registry")
			if err := randomTree(random).WriteTo(root); err != nil {
				t.Fatal(err)
			}
			v2 := filepath.Join(root, storagetest.V2)
			damageTenth(t, random, v2)
			want := wholeTags(v2)
			before := fingerprint(t, root)

			if diff := cmp.Diff(want, calledWhole(drydock(t, nil, "list", root, "-o", "json", "--read-data"))); diff != "" {
				t.Errorf("whole tags (-by brute force +by drydock):\n%s", diff)
			}
			// With the data read first, and without: then the target finds the wrong bytes.
			for _, flags := range [][]string{{"--read-data"}, nil} {
				to := startHarbor(t)
				r := drydock(t, to, append([]string{"migrate", root, to.url, "-o", "json", "--retry-times", "0"}, flags...)...)
				if r.code != exitLeftOut {
					t.Errorf("exit status %d\n%s", r.code, r.stderr)
				}
				if diff := cmp.Diff(want, to.tags(t)); diff != "" {
					t.Errorf("migrate %v: tags in the target (-whole +there):\n%s", flags, diff)
				}
			}
			if diff := cmp.Diff(before, fingerprint(t, root)); diff != "" {
				t.Errorf("the source changed:\n%s", diff)
			}
		})
	}
}

// randomTree is a tree of a few hundred images.
func randomTree(random *rand.Rand) *storagetest.Builder { return randomImages(random, 250) }

// randomImages makes images with shared layers, a fifth of them of several
// platforms.
func randomImages(random *rand.Rand, images int) *storagetest.Builder {
	b := storagetest.New()
	for n := range images {
		name := fmt.Sprintf("image%d", n)
		layers := []string{fmt.Sprintf("base%d", random.IntN(40)), fmt.Sprintf("own%d", n)}
		repository := fmt.Sprintf("team%d/app%d", n%7, n%31)
		switch n % 5 {
		case 0:
			b.Image(name+"-amd", "amd64", layers...)
			b.Image(name+"-arm", "arm64", fmt.Sprintf("base%d", random.IntN(40)))
			b.Index(name, name+"-amd", name+"-arm")
		case 1:
			b.Docker(name, "amd64", layers...)
		default:
			b.Image(name, "amd64", layers...)
		}
		b.Tag(repository, fmt.Sprintf("v%d", n), name)
	}
	return b
}

// damageTenth does something to every tenth file of the tree.
func damageTenth(t *testing.T, random *rand.Rand, v2 string) {
	var files []string
	for path, what := range fingerprint(t, v2) {
		if strings.HasPrefix(what, "-") {
			files = append(files, path)
		}
	}
	slices.Sort(files)
	for _, path := range files {
		if random.IntN(10) == 0 {
			if err := damageFile(random, path); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func damageFile(random *rand.Rand, path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	switch random.IntN(8) {
	case 0:
		return os.Remove(path)
	case 1:
		return os.Truncate(path, 0)
	case 2:
		return os.Truncate(path, int64(len(content)/2))
	case 3: // one bit
		content[random.IntN(len(content))] ^= 1
		return os.WriteFile(path, content, 0o644)
	case 4:
		return os.Truncate(path, int64(len(content)+7)) // NUL bytes at the end
	case 5:
		return os.RemoveAll(filepath.Dir(path))
	case 6:
		if err := os.Remove(path); err != nil {
			return err
		}
		return os.Mkdir(path, 0o755)
	default:
		if err := os.Remove(path); err != nil {
			return err
		}
		return syscall.Mkfifo(path, 0o644)
	}
}

// wholeTags finds by brute force which tags a registry could serve whole: the
// tag's link, the revision's, and every byte of every blob.
func wholeTags(v2 string) []string {
	links, _ := filepath.Glob(filepath.Join(v2, "repositories/*/*/_manifests/tags/*/current/link"))
	var whole []string
	for _, link := range links {
		parts := strings.Split(strings.TrimPrefix(link, v2), "/")
		repository, tag := parts[2]+"/"+parts[3], parts[6]
		hex, ok := linkedHex(link)
		if !ok {
			continue
		}
		revision, ok := linkedHex(filepath.Join(v2, "repositories", repository, "_manifests/revisions/sha256", hex, "link"))
		if ok && revision == hex && wholeManifest(v2, hex) {
			whole = append(whole, repository+":"+tag)
		}
	}
	slices.Sort(whole)
	return whole
}

func linkedHex(path string) (string, bool) {
	content, ok := readRegular(path)
	hex, isDigest := strings.CutPrefix(strings.Trim(string(content), " \r\n\t\x00"), "sha256:")
	return hex, ok && isDigest && len(hex) == 64
}

func readRegular(path string) ([]byte, bool) {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return nil, false
	}
	content, err := os.ReadFile(path)
	return content, err == nil
}

func rightBlob(v2, name string) ([]byte, bool) {
	if len(name) != 64 {
		return nil, false
	}
	content, ok := readRegular(filepath.Join(v2, "blobs/sha256", name[:2], name, "data"))
	sum := sha256.Sum256(content)
	return content, ok && hex.EncodeToString(sum[:]) == name
}

// wholeManifest goes through everything in a manifest that has a digest.
func wholeManifest(v2, name string) bool {
	content, ok := rightBlob(v2, name)
	if !ok {
		return false
	}
	var m struct {
		Config            *struct{ Digest string }
		Layers, Manifests []struct{ Digest string }
	}
	if json.Unmarshal(content, &m) != nil {
		return false
	}
	for _, child := range m.Manifests {
		if !wholeManifest(v2, strings.TrimPrefix(child.Digest, "sha256:")) {
			return false
		}
	}
	if m.Config != nil {
		m.Layers = append(m.Layers, *m.Config)
	}
	for _, layer := range m.Layers {
		if _, ok := rightBlob(v2, strings.TrimPrefix(layer.Digest, "sha256:")); !ok {
			return false
		}
	}
	return true
}

// calledWhole gives the tags that a listing calls complete.
func calledWhole(r result) []string {
	var whole []string
	for line := range strings.Lines(r.stdout) {
		var i struct {
			Type string
			report.Image
		}
		if json.Unmarshal([]byte(line), &i) == nil && i.Type == "image" && i.Complete && i.Tag != "" {
			whole = append(whole, i.Name())
		}
	}
	slices.Sort(whole)
	return whole
}

// tags asks the target for all its tags, and for every byte below them.
func (to *registryUnderTest) tags(t *testing.T) []string {
	t.Helper()
	var catalog struct{ Repositories []string }
	if err := json.Unmarshal(to.get(t, "/v2/_catalog?n=1000"), &catalog); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, repository := range catalog.Repositories {
		var list struct{ Tags []string }
		if err := json.Unmarshal(to.get(t, "/v2/"+repository+"/tags/list"), &list); err != nil {
			t.Fatal(err)
		}
		for _, tag := range list.Tags {
			found[repository+":"+tag] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}
