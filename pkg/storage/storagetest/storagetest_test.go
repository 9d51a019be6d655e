package storagetest_test

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

const everything = `
# one of each
blob orphan "some bytes"
random large 100000
image amd amd64 base app
image arm linux/arm/v7 base sha512:other foreign:windows
docker old amd64 base large
attestation att amd
index multi amd arm att
list docked old
index nested multi
artifact sig application/vnd.example.signature amd note
artifact alone application/vnd.example.thing - note
helm chart web
schema1 ancient base app
index cache base app
large wide 5000 base
manifest typeless application/vnd.oci.image.manifest.v1+json {"schemaVersion":2,"config":<@amd-config>,"layers":[<@base>]}
tag library/app v1 amd
tag library/app v1 nested
tag library/old latest docked
tag charts/web 0.1.0 chart
tag legacy/app 1 ancient
tag team/cache c cache
tag library/app sha256-<amd>.sig wide
push library/app sig
push library/app alone
push library/app typeless
`

func tree(t *testing.T, text string) string {
	t.Helper()
	_, dir := storagetest.Make(t, text)
	return filepath.Join(dir, filepath.FromSlash(storagetest.V2))
}

// print gives every file's path, content hash and time.
func print(t *testing.T, root string) []string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		bytes, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		lines = append(lines, fmt.Sprintf("%s %x %s", rel, sha256.Sum256(bytes), info.ModTime().UTC()))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func TestTheSameTwice(t *testing.T) {
	a, b := print(t, tree(t, everything)), print(t, tree(t, everything))
	if diff := cmp.Diff(a, b); diff != "" {
		t.Error(diff)
	}
	if len(a) < 60 {
		t.Errorf("only %d files", len(a))
	}
}

func TestBlobsAreTheirDigests(t *testing.T) {
	root := tree(t, everything)
	files, err := filepath.Glob(filepath.Join(root, "blobs/sha256/*/*/data"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d blobs, %v", len(files), err)
	}
	for _, file := range files {
		bytes, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if want := filepath.Base(filepath.Dir(file)); fmt.Sprintf("%x", sha256.Sum256(bytes)) != want {
			t.Errorf("%s has other bytes", file)
		}
	}
}

func TestLinks(t *testing.T) {
	b := storagetest.New()
	b.Image("app", "amd64", "base", "sha512:other", "foreign:windows")
	b.Tag("library/app", "v1", "app")
	root := filepath.Join(b.Dir(t), storagetest.V2)
	got := strings.Split(b.Symbolic(strings.Join(links(t, root), "\n")), "\n")
	want := []string{
		"repositories/library/app/_layers/sha256/<app-config>/link sha256:<app-config>",
		"repositories/library/app/_layers/sha256/<base>/link sha256:<base>",
		"repositories/library/app/_layers/sha256/<other>/link sha256:<other>",
		"repositories/library/app/_layers/sha512/<other>/link sha256:<other>",
		"repositories/library/app/_manifests/revisions/sha256/<app>/link sha256:<app>",
		"repositories/library/app/_manifests/tags/v1/current/link sha256:<app>",
		"repositories/library/app/_manifests/tags/v1/index/sha256/<app>/link sha256:<app>",
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := os.Stat(filepath.Join(root, b.Path("blob:windows"))); !os.IsNotExist(err) {
		t.Errorf("the foreign layer: %v", err)
	}
}

func links(t *testing.T, root string) []string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(filepath.Join(root, "repositories"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		rel, _ := filepath.Rel(root, path)
		lines = append(lines, filepath.ToSlash(rel)+" "+string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func TestDamages(t *testing.T) {
	root := tree(t, `
image app amd64 base top
tag a v1 app
tag a v2 app
write tag:a:v1 "sha256:<app>\n"
mkdir tag:a:v2
remove blob:base
corrupt blob:top
truncate blob:app-config 3
mkfifo revision:a@app
move layer:a@base "repositories/a/_layers/sha256/<base>/link.x.tmp"
symlink repositories/loop ../repositories
write ../../../scheduler-state.json {}
touch tag:a:v1 2020-02-03T04:05:06Z
`)
	for name, want := range map[string]fs.FileMode{
		"repositories/a/_manifests/tags/v2/current/link": fs.ModeDir,
		"repositories/loop":             fs.ModeSymlink,
		"../../../scheduler-state.json": 0,
	} {
		info, err := os.Lstat(filepath.Join(root, name))
		if err != nil || info.Mode().Type() != want {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	info, err := os.Stat(filepath.Join(root, "repositories/a/_manifests/tags/v1/current/link"))
	if err != nil || info.Size() != 72 || info.ModTime().Year() != 2020 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestMistakes(t *testing.T) {
	for _, text := range []string{
		"paint blob:x",
		"index multi nothing",
		"tag a v1 nothing",
		"blob x\ntag a v1 x",
		"blob x \"unclosed",
		"blob x one\nblob x two",
		"blob x:y",
		"tag a v1",
		"image app amd64 odd:base",
		"truncate blob:x many",
	} {
		if _, err := storagetest.Parse(text); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
	for _, text := range []string{
		"remove repositories/nothing",
		"remove blob:nothing",
		"write tag:v1 x",
		"write ../../../../outside x",
	} {
		b, err := storagetest.Parse(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if err := b.WriteTo(t.TempDir()); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}
