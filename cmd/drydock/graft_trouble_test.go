package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/storage"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

// smallTree is a registry of a dozen images that share layers, two of them below
// an index, and one that refers to another.
func smallTree(t *testing.T) (b *storagetest.Builder, root string) {
	t.Helper()
	b = storagetest.New()
	for n := range 4 {
		b.Random(fmt.Sprint("base", n), 200_000+n)
	}
	for n := range 12 {
		name, own := fmt.Sprint("app", n), fmt.Sprint("own", n)
		b.Random(own, 100_000+n)
		b.Image(name, "amd64", fmt.Sprint("base", n%4), own)
		b.Tag(fmt.Sprintf("team%d/app", n%3), fmt.Sprint("v", n), name)
	}
	b.Image("arm", "arm64", "base0")
	b.Index("list", "app0", "arm")
	b.Tag("team0/list", "v1", "list")
	b.Artifact("signature", "application/x.signature", "app0", "signed")
	b.Push("team0/app", "signature")
	root = filepath.Join(t.TempDir(), "registry")
	if err := b.WriteTo(root); err != nil {
		t.Fatal(err)
	}
	return b, root
}

// TestGraftKilled kills migrations into a target's storage at random moments,
// without a warning: each blob that is there then is whole, and the next run
// completes.
func TestGraftKilled(t *testing.T) {
	t.Parallel()
	_, root := smallTree(t)
	before := fingerprint(t, root)
	killings := killings()
	if thorough() {
		killings = 50
	}
	args := func(to *registryUnderTest, n int) []string {
		return graftArgs(root, to, mapping{}, "--link", []string{"auto", "copy"}[n%2])
	}
	whole := startHarborOnDisk(t)
	runKilled(t, whole, 0, args(whole, 0))
	took := runKilled(t, whole, 0, graftArgs(root, whole, mapping{prefix: "/again"}, "--link", "copy"))
	want := checkTrueNames(t, whole.storage)
	for n := range killings {
		to := startHarborOnDisk(t)
		settle := requestsSettle(to.harbor)
		runKilled(t, to, rand.N(2*took)+time.Millisecond, args(to, n))
		settle()
		checkTrueNames(t, to.storage)
		runKilled(t, to, 0, args(to, n))
		if diff := cmp.Diff(whole.tags(t), slices.Concat(prefixed("again/", to.tags(t)), to.tags(t))); diff != "" {
			t.Errorf("tags, -undisturbed +killed:\n%s", diff)
		}
		if got := checkTrueNames(t, to.storage); got < want-2 || got > want+2 { // as many probes as runs
			t.Errorf("%d blobs are there, want about %d", got, want)
		}
		if _, err := os.Lstat(filepath.Join(to.storage, storage.Root, ".drydock")); err == nil {
			t.Error("the work directory is still there")
		}
		if r := drydock(t, to, "verify", root, to.url, "--deep"); r.code != exitDone {
			t.Errorf("exit status %d\n%s", r.code, r.stderr)
		}
	}
	if diff := cmp.Diff(before, fingerprint(t, root)); diff != "" {
		t.Errorf("the source changed:\n%s", diff)
	}
}

func prefixed(prefix string, names []string) (all []string) {
	for _, name := range names {
		all = append(all, prefix+name)
	}
	return all
}

// TestGraftDamage grafts registries with random damage: exactly the whole images
// are in the target, and no blob of its storage has a wrong byte.
func TestGraftDamage(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 7))
	root := filepath.Join(t.TempDir(), "registry")
	if err := randomTree(random).WriteTo(root); err != nil {
		t.Fatal(err)
	}
	v2 := filepath.Join(root, storagetest.V2)
	damageTenth(t, random, v2)
	before := fingerprint(t, root)
	to := startHarborOnDisk(t)
	r := drydock(t, to, graftArgs(root, to, mapping{}, "--retry-times", "0")...)
	if r.code != exitLeftOut || r.summary.UploadedBlobs != 0 {
		t.Errorf("exit status %d, %+v\n%s", r.code, r.summary, r.stderr)
	}
	if diff := cmp.Diff(wholeTags(v2), to.tags(t)); diff != "" {
		t.Errorf("tags in the target (-whole +there):\n%s", diff)
	}
	if n := checkTrueNames(t, to.storage); n < r.summary.PlacedBlobs {
		t.Errorf("%d blobs are there, %d were placed", n, r.summary.PlacedBlobs)
	}
	if diff := cmp.Diff(before, fingerprint(t, root)); diff != "" {
		t.Errorf("the source changed:\n%s", diff)
	}
}

// TestGraftHarborToHarbor moves one Harbor's storage, which has no tags, into that
// of another, with a list of tags.
func TestGraftHarborToHarbor(t *testing.T) {
	b, root := smallTree(t)
	old := startHarborOnDisk(t)
	drydock(t, old, "migrate", root, old.url, "--layouts", t.TempDir())
	var list strings.Builder
	for n := range 12 {
		fmt.Fprintf(&list, "team%d/app:v%d %s\n", n%3, n, b.Digest(fmt.Sprint("app", n)))
	}
	fmt.Fprintf(&list, "team0/list:v1 %s\n", b.Digest("list"))
	tags := filepath.Join(t.TempDir(), "tags.txt")
	if err := os.WriteFile(tags, []byte(list.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	before := fingerprint(t, old.storage)
	to := startHarborOnDisk(t)
	r := drydock(t, to, graftArgs(old.storage, to, mapping{}, "--tags", tags)...)
	if r.code != exitDone || r.summary.Done != 14 || r.summary.UploadedBlobs != 0 || r.summary.LinkedFiles != r.summary.PlacedBlobs {
		t.Errorf("exit status %d, %+v\n%s%s", r.code, r.summary, r.failures(), r.stderr)
	}
	if diff := cmp.Diff(old.tags(t), to.tags(t)); diff != "" {
		t.Errorf("tags (-old +new):\n%s", diff)
	}
	to.hasReferrer(t, "team0/app", b.Digest("app0"), b.Digest("signature"))
	if diff := cmp.Diff(before, fingerprint(t, old.storage)); diff != "" {
		t.Errorf("the source changed:\n%s", diff)
	}
	needed := map[string]bool{}
	eachBlob(t, root, func(_ string, d digest.Digest) { needed[d.Encoded()] = true })
	checkGarbage(t, to.storage, needed, collectGarbage)
}

// TestGraftUnseen has the target lose a blob that was placed: it is sent, and told.
func TestGraftUnseen(t *testing.T) {
	b, root := smallTree(t)
	to := startHarborOnDisk(t)
	lost := filepath.Join(to.storage, storage.Root, storage.BlobPath(b.Digest("own3")))
	var once sync.Once
	to.harbor.Intercept(func(_ http.ResponseWriter, q *http.Request) bool {
		if q.Method == http.MethodPut && strings.Contains(q.URL.Path, "/manifests/") {
			once.Do(func() { _ = os.Remove(lost) })
		}
		return false
	})
	r := drydock(t, to, graftArgs(root, to, mapping{}, "--include", "team0/app:v3")...)
	if r.code != exitDone || r.summary.Done != 1 || r.summary.UploadedBlobs != 1 || r.summary.PlacedBlobs != 3 {
		t.Errorf("exit status %d, %+v\n%s", r.code, r.summary, r.failures())
	}
	if !strings.Contains(r.stdout, `"code":"target-unseen"`) || !strings.Contains(r.stdout, b.Digest("own3").String()) {
		t.Errorf("it is not told:\n%s", r.stdout)
	}
	checkTrueNames(t, to.storage)
}
