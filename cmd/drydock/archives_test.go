package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
)

// archiveForms are ways to pack a registry's root directory, as shell commands
// in it; the name of the archive is the first argument.
var archiveForms = []struct{ name, pack, needs string }{
	{"plain.tar", `tar cf "$1" docker`, "tar"},
	{"dot.tar", `tar cf "$1" .`, "tar"},
	{"absolute.tar", `tar cPf "$1" "$PWD"`, "tar"},
	{"pax.tar", `tar cf "$1" --format=posix .`, "tar"},
	{"bare.tar", `tar cf "$1" -C docker/registry v2`, "tar"},
	{"backup.tar.gz", `tar czf "$1" .`, "gzip"},
	{"members.tar.gz", `tar cf - . | split -b 100000 --filter='gzip -c' - > "$1"`, "gzip"},
	{"backup.tar.zst", `tar cf - . | zstd -q -o "$1"`, "zstd"},
	{"backup.tar.xz", `tar cJf "$1" .`, "xz"},
	{"named-otherwise", `tar cjf "$1" .`, "bzip2"},
	{"backup.tar.001", `tar cf - . | split -b 150000 -d -a 3 --numeric-suffixes=1 - "${1%001}"`, "split"},
	{"backup.tgz.aa", `tar cz . | split -b 50000 - "${1%aa}"`, "split"},
}

// pack makes an archive of a registry's root directory.
func pack(t *testing.T, root, name, how, needs string) string {
	t.Helper()
	if _, err := exec.LookPath(needs); err != nil {
		t.Skipf("there is no %s", needs)
	}
	path := filepath.Join(t.TempDir(), name)
	cmd := exec.Command("sh", "-c", how, "sh", path)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

var passing = regexp.MustCompile(`(?m)"seconds":[0-9.e-]+|^\{"type":"progress",.*\n`)

// listed is what list says of a source, but for how it went and how long it took.
func listed(t *testing.T, args ...string) string {
	t.Helper()
	r := drydock(t, nil, append([]string{"list", "-o", "json"}, args...)...)
	if r.code != exitDone {
		t.Fatalf("list: exit status %d\n%s", r.code, r.stderr)
	}
	return passing.ReplaceAllString(r.stdout, "")
}

// TestArchives moves a tree as a directory and as every kind of archive: what is
// listed, the layouts, and what the target has then must be the same.
func TestArchives(t *testing.T) {
	tree := "../../testdata/distribution-3"
	root := filepath.Join(t.TempDir(), "registry")
	copyTree(t, tree, root)
	list := listed(t, root, "--untagged")
	layouts := filepath.Join(t.TempDir(), "layouts")
	if r := drydock(t, nil, "convert", root, layouts, "--untagged"); r.code != exitDone {
		t.Fatalf("exit status %d\n%s", r.code, r.stderr)
	}
	want := contents(t, layouts)
	for _, form := range archiveForms {
		t.Run(form.name, func(t *testing.T) {
			t.Parallel()
			archive := pack(t, root, form.name, form.pack, form.needs)
			if diff := cmp.Diff(list, listed(t, archive, "--untagged")); diff != "" {
				t.Errorf("listed, -directory +archive:\n%s", diff)
			}
			if r := drydock(t, nil, "check", "--read-data", archive); r.code != exitDone {
				t.Errorf("check: exit status %d\n%s%s", r.code, r.stdout, r.stderr)
			}
			to := filepath.Join(t.TempDir(), "layouts")
			if r := drydock(t, nil, "convert", archive, to, "--untagged"); r.code != exitDone {
				t.Fatalf("convert: exit status %d\n%s", r.code, r.stderr)
			}
			if diff := cmp.Diff(want, contents(t, to)); diff != "" {
				t.Errorf("layouts, -directory +archive:\n%s", diff)
			}
			if !thorough() && !slices.Contains([]string{"plain.tar", "backup.tar.gz", "backup.tar.001"}, form.name) {
				return // the layouts are the same, and it is they that are pushed
			}
			migrateArchive(t, tree, "migrate", archive, "--layouts", filepath.Join(t.TempDir(), "l"), "--untagged")
		})
	}
}

// TestBundles carries genuine trees in bundles of every form: what is listed of
// them is what is listed of the tree, and so is what comes to the target.
func TestBundles(t *testing.T) {
	for _, name := range []string{"distribution-2.8", "distribution-3"} {
		tree := "../../testdata/" + name
		root := filepath.Join(t.TempDir(), "registry")
		copyTree(t, tree, root)
		before := fingerprint(t, root)
		images := imagesOf(listed(t, root, "--untagged"))
		for _, form := range []struct {
			file, give string
			flags      []string
		}{
			{"b.tar", "b.tar", nil},
			{"b.tar.zst", "b.tar.zst", nil},
			{"v.tar", "v.tar.001", []string{"--volume-size", "1MiB"}},
		} {
			t.Run(name+"/"+form.file, func(t *testing.T) {
				dir := t.TempDir()
				if r := drydock(t, nil, append([]string{"bundle", root, filepath.Join(dir, form.file), "--untagged"}, form.flags...)...); r.code != exitDone {
					t.Fatalf("exit status %d\n%s", r.code, r.stderr)
				}
				given := filepath.Join(dir, form.give)
				if diff := cmp.Diff(images, imagesOf(listed(t, given, "--untagged"))); diff != "" {
					t.Errorf("listed, -tree +bundle:\n%s", diff)
				}
				migrateArchive(t, tree, "push", given)
			})
		}
		if diff := cmp.Diff(before, fingerprint(t, root)); diff != "" {
			t.Errorf("the source changed:\n%s", diff)
		}
	}
}

// imagesOf gives the lines that are images: a tree has findings that its bundle
// has not.
func imagesOf(lines string) (images []string) {
	for line := range strings.Lines(lines) {
		if strings.HasPrefix(line, `{"type":"image",`) {
			images = append(images, line)
		}
	}
	return images
}

// migrateArchive moves an archive of a genuine tree and holds the target against
// what the old registry served.
func migrateArchive(t *testing.T, tree, verb, archive string, flags ...string) {
	t.Helper()
	to := startHarbor(t)
	want := readServed(t, tree)
	lost := to.expectRefused(want, targets[0].refuses)
	where := mappingOf(tree)
	args := append([]string{verb, archive, to.url + where.prefix, "-o", "json"}, append(where.flags, flags...)...)
	r := drydock(t, to, args...)
	if r.summary.Failed != len(lost) {
		t.Errorf("%d images failed, want %d\n%s\n%s", r.summary.Failed, len(lost), r.failures(), r.stderr)
	}
	to.holdAgainst(t, want, lost, where)
}

// contents gives the digest of every file of layouts. One file of many names has
// as many links, or more in a registry's tree.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil || e.IsDir() {
			if strings.ContainsAny(rel, ":@") {
				info, err := e.Info()
				found[rel] = fmt.Sprint(info.ModTime().Unix())
				return err
			}
			return err
		}
		content, err := os.ReadFile(path)
		found[rel] = digest.FromBytes(content).String()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
