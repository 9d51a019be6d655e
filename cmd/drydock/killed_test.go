package main

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// thorough tells whether DRYDOCK_THOROUGH asks for all that takes minutes: twenty
// kills of each run, and every failure at every kind of request.
func thorough() bool { return os.Getenv("DRYDOCK_THOROUGH") != "" }

// killings is how often each run is killed, at a random moment each time.
func killings() int {
	if thorough() {
		return 20
	}
	return 4
}

// TestKilled kills runs without a warning, and holds that the next one completes
// and leaves what an undisturbed one leaves.
func TestKilled(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "registry")
	copyTree(t, "../../testdata/distribution-3", root)
	archive := pack(t, root, "backup.tar.gz", `tar czf "$1" .`, "gzip")
	for _, tt := range []struct {
		name string
		args func(dir string) []string
	}{
		{"unpack", func(dir string) []string {
			return []string{"convert", archive, filepath.Join(dir, "layouts"), "--untagged"}
		}},
		{"bundle", func(dir string) []string {
			return []string{"bundle", root, filepath.Join(dir, "b.tar"), "--untagged", "--force"}
		}},
		{"volumes", func(dir string) []string {
			return []string{"bundle", root, filepath.Join(dir, "b.tar.zst"), "--volume-size", "1MiB", "--force"}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			whole := t.TempDir()
			took := runKilled(t, nil, 0, tt.args(whole))
			want := contents(t, whole)
			for range killings() {
				dir := t.TempDir()
				runKilled(t, nil, rand.N(took)+time.Millisecond, tt.args(dir))
				runKilled(t, nil, 0, tt.args(dir))
				if diff := cmp.Diff(want, contents(t, dir)); diff != "" {
					t.Fatalf("-undisturbed +killed:\n%s", diff)
				}
			}
		})
	}
	t.Run("push", func(t *testing.T) { testKilledPush(t, root) })
}

// testKilledPush kills pushes of a bundle, all into one target: each finds what
// the ones before have brought.
func testKilledPush(t *testing.T, root string) {
	tree := "../../testdata/distribution-3"
	dir := t.TempDir()
	bundle := filepath.Join(dir, "b.tar.zst")
	runKilled(t, nil, 0, []string{"bundle", root, bundle, "--untagged"})
	to := startHarbor(t)
	took := runKilled(t, startHarbor(t), 0, pushArgs(bundle, "http://"+startHarbor(t).url[len("http://"):]))
	for range killings() {
		runKilled(t, to, rand.N(took)+time.Millisecond, pushArgs(bundle, to.url))
	}
	runKilled(t, to, 0, pushArgs(bundle, to.url))
	want := readServed(t, tree)
	to.holdAgainst(t, want, to.expectRefused(want, targets[0].refuses), mappingOf(tree))
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		if e.Name() == ".drydock" {
			t.Error("what was unpacked is still there")
		}
	}
}

func pushArgs(bundle, target string) []string {
	return append([]string{"push", bundle, target}, mappingOf("../../testdata/distribution-3").flags...)
}

// runKilled runs drydock as a process of its own, kills it after a while unless
// that is zero, and says how long it ran.
func runKilled(t *testing.T, to *registryUnderTest, after time.Duration, args []string) time.Duration {
	t.Helper()
	cmd := exec.Command("drydock", args...)
	if to != nil {
		cmd.Env = append(os.Environ(), "HARBOR_USERNAME="+to.username, "HARBOR_PASSWORD="+to.password)
	}
	out, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	started := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if after > 0 {
		timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
	}
	err = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); after == 0 && code != exitDone && code != exitLeftOut {
		said, _ := os.ReadFile(out.Name())
		t.Fatalf("drydock %q: %v\n%s", args, err, said)
	}
	return time.Since(started)
}
