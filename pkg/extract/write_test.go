package extract_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/extract"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

// members gives a tar's files.
func members(t *testing.T, from io.Reader) map[string]string {
	t.Helper()
	files := map[string]string{}
	for r := tar.NewReader(from); ; {
		h, err := r.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if _, twice := files[h.Name]; twice || err != nil {
			t.Fatalf("%s: twice %v, %v", h.Name, twice, err)
		}
		files[h.Name] = string(content)
	}
}

func TestOCI(t *testing.T) {
	o := openTree(t, tree)
	i, err := o.find(t, "library/app", "", extract.OCI)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "layout")
	if err := i.WriteTo(t.Context(), dir, extract.OCI); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, name := range []string{"multi", "amd", "arm", "amd-config", "arm-config", "base", "top", "top-arm"} {
		want["blobs/sha256/"+o.tree.Digest(name).Encoded()] = string(o.tree.Bytes(name))
	}
	got := map[string]string{}
	for name := range want {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got[name] = string(content)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index ocispec.Index
	if err := json.Unmarshal(raw, &index); err != nil || len(index.Manifests) != 1 {
		t.Fatalf("%s: %v", raw, err)
	}
	d := index.Manifests[0]
	if d.Digest != o.tree.Digest("multi") || d.MediaType != ocispec.MediaTypeImageIndex || d.Annotations[ocispec.AnnotationRefName] != "latest" || d.Annotations["io.containerd.image.name"] != "library/app:latest" {
		t.Errorf("%+v", d)
	}
	var archive, again bytes.Buffer
	if err := errors.Join(i.Write(t.Context(), &archive, extract.OCIArchive), i.Write(t.Context(), &again, extract.OCIArchive)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(archive.Bytes(), again.Bytes()) {
		t.Error("twice is not the same")
	}
	packed := members(t, &archive)
	for name, content := range want {
		if packed[name] != content {
			t.Errorf("%s in the archive: %q", name, packed[name])
		}
	}
	if packed["index.json"] != string(raw) || packed["oci-layout"] != `{"imageLayoutVersion":"1.0.0"}` || len(packed) != len(want)+2 {
		t.Errorf("%d files in the archive, %s", len(packed), packed["index.json"])
	}
}

func TestDockerArchive(t *testing.T) {
	o := openTree(t, tree)
	i, err := o.find(t, "library/app", "", extract.DockerArchive)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "image.tar")
	if err := i.WriteTo(t.Context(), file, extract.DockerArchive); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	hex := func(name string) string { return o.tree.Digest(name).Encoded() }
	base, top := hex("base")+".tar.gz", hex("top")+".tar.gz"
	want := map[string]string{
		"manifest.json":             `[{"Config":"` + hex("amd-config") + `.json","RepoTags":["library/app:latest"],"Layers":["` + base + `","` + top + `","` + base + `"]}]`,
		hex("amd-config") + ".json": string(o.tree.Bytes("amd-config")),
		base:                        string(o.tree.Bytes("base")),
		top:                         string(o.tree.Bytes("top")),
	}
	if diff := cmp.Diff(want, members(t, f)); diff != "" {
		t.Error(diff)
	}
}

// TestDamaged holds that nothing comes out of damage that only hashing finds.
func TestDamaged(t *testing.T) {
	for _, name := range []string{"base", "top"} {
		for _, format := range []extract.Format{extract.OCI, extract.OCIArchive, extract.DockerArchive} {
			o := openTree(t, tree+"corrupt blob:"+name+"\n")
			i, err := o.find(t, "library/app:one", "", format)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := i.WriteTo(t.Context(), filepath.Join(dir, "out"), format); err == nil || !strings.Contains(err.Error(), "not those of its digest") {
				t.Errorf("%s, %s: error %v", name, format, err)
			}
			if left, _ := os.ReadDir(dir); len(left) != 0 {
				t.Errorf("%s, %s: it left %v", name, format, left)
			}
			if format != extract.OCI {
				var piped bytes.Buffer
				if err := i.Write(t.Context(), &piped, format); err == nil {
					t.Errorf("%s, %s: no error", name, format)
				}
				holdCut(t, &piped)
			}
		}
	}
	for _, how := range []func(string) error{
		os.Remove,
		func(path string) error { return os.Truncate(path, 3) },
		func(path string) error { return os.WriteFile(path, make([]byte, 999), 0o644) },
	} {
		o := openTree(t, tree)
		i, err := o.find(t, "library/app:one", "", extract.OCI)
		if err != nil {
			t.Fatal(err)
		}
		if err := how(filepath.Join(o.root, storagetest.V2, storage.BlobPath(o.tree.Digest("base")))); err != nil {
			t.Fatal(err)
		}
		if err := i.WriteTo(t.Context(), filepath.Join(t.TempDir(), "out"), extract.OCI); err == nil {
			t.Error("changed after the scan: no error")
		}
	}
}

// holdCut holds that an archive ends in the middle of a file: somebody who reads it
// from a pipe is told of no error, and would take an end between two for the end.
func holdCut(t *testing.T, archive io.Reader) {
	t.Helper()
	for r := tar.NewReader(archive); ; {
		_, err := r.Next()
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return
		}
		if err != nil {
			t.Errorf("the archive ends with: %v", err)
			return
		}
	}
}

func TestNothingIsReplaced(t *testing.T) {
	o := openTree(t, tree)
	i, err := o.find(t, "library/app:one", "", extract.OCI)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, format := range []extract.Format{extract.OCI, extract.OCIArchive} {
		if err := i.WriteTo(t.Context(), file, format); err == nil || report.Advice(err) == "" {
			t.Errorf("a file, %s: %v", format, err)
		}
		if err := i.WriteTo(t.Context(), dir, format); err == nil {
			t.Errorf("a directory, %s: no error", format)
		}
	}
	if content, _ := os.ReadFile(file); string(content) != "mine" {
		t.Errorf("replaced by %q", content)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := i.WriteTo(t.Context(), empty+"/", extract.OCI); err != nil {
		t.Errorf("an empty directory: %v", err)
	}
}

// TestFilled writes into an empty directory that is there and stays the same one, as
// a mount or the present directory has to. Of what fails, nothing is left in it.
func TestFilled(t *testing.T) {
	o := openTree(t, tree)
	i, err := o.find(t, "library/app:one", "", extract.OCI)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	before, err := os.Stat(".")
	if err != nil {
		t.Fatal(err)
	}
	if err := i.WriteTo(t.Context(), ".", extract.OCI); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(".")
	if err != nil || !os.SameFile(before, after) || before.Mode() != after.Mode() {
		t.Errorf("it is another directory: %v, %v", after.Mode(), err)
	}
	if diff := cmp.Diff([]string{"blobs", "index.json", "oci-layout"}, namesIn(t, ".")); diff != "" {
		t.Error(diff)
	}
	damaged := openTree(t, tree+"corrupt blob:top\n")
	if i, err = damaged.find(t, "library/app:one", "", extract.OCI); err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	if err := i.WriteTo(t.Context(), empty, extract.OCI); err == nil {
		t.Error("damaged: no error")
	}
	if left := namesIn(t, empty); len(left) != 0 {
		t.Errorf("it left %v", left)
	}
}

func namesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestSkopeo has skopeo read what came out of a genuine tree.
func TestSkopeo(t *testing.T) {
	if _, err := exec.LookPath("skopeo"); err != nil {
		t.Skip("there is no skopeo")
	}
	o := openAt(t, "../../testdata/distribution-3")
	for _, image := range []string{"alpine:latest", "library/alpine:latest", "team/app/web:1.0", "team/app/web:1.0-zstd", "team/app/api:duplicate", "team/app/api:uncompressed", "team/app/api:1.1"} {
		configs := map[extract.Format]string{}
		for format, transport := range map[extract.Format]string{extract.OCI: "oci:", extract.OCIArchive: "oci-archive:", extract.DockerArchive: "docker-archive:"} {
			i, err := o.find(t, image, "", format)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			out := filepath.Join(dir, "out")
			if err := i.WriteTo(t.Context(), out, format); err != nil {
				t.Fatal(err)
			}
			if msg, err := exec.Command("skopeo", "copy", "-q", transport+out, "dir:"+filepath.Join(dir, "dir")).CombinedOutput(); err != nil {
				t.Fatalf("%s as %s: %v: %s", image, format, err, msg)
			}
			config, err := exec.Command("skopeo", "--override-os", "linux", "--override-arch", "amd64", "inspect", "--config", "--raw", transport+out).Output()
			if err != nil {
				t.Fatalf("%s as %s: %v", image, format, err)
			}
			configs[format] = digest.FromBytes(config).String()
		}
		if configs[extract.OCI] != configs[extract.OCIArchive] || configs[extract.OCI] != configs[extract.DockerArchive] {
			t.Errorf("%s: configs %v", image, configs)
		}
	}
}
