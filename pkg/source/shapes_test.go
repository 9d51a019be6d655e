package source_test

import (
	"archive/tar"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

// TestPrefixes: the root is found by its shape, wherever in the archive it is.
func TestPrefixes(t *testing.T) {
	dir := tree(t, rich)
	want := look(t, open(t, dir), true)
	for _, c := range []struct {
		below, prefix string
		home          bool
	}{
		{".", "./", true},
		{".", "/", true},
		{".", "", true},
		{".", "/var/lib/registry/", true},
		{".", "var/lib/docker/volumes/registry/_data/", true},
		{".", "blobs/repositories/", true},
		{"docker", "docker/", false},
		{"docker", "./docker/", false},
		{"docker/registry", "registry/", false},
		{"docker/registry/v2", "registry/v2/", false},
		{"docker/registry/v2", "v2/", false},
		{"docker/registry/v2", "./v2/", false},
		{"docker/registry/v2", "", false},
		{"docker/registry/v2", "./", false},
		{"docker/registry/v2", "any/name/at/all/", false},
		{"docker/registry/v2", "_data/", false},
	} {
		t.Run(c.below+" as "+c.prefix, func(t *testing.T) {
			content := members(t, filepath.Join(dir, c.below), c.prefix, tar.FormatPAX)
			src := openWith(t, save(t, "a.tar", content), nil)
			same(t, want, src, true)
			_, err := src.(source.HomeFS).StatHome("scheduler-state.json")
			if (err == nil) != c.home || (err != nil && !errors.Is(err, fs.ErrNotExist)) {
				t.Errorf("in the home: %v", err)
			}
			if _, err := src.(source.HomeFS).StatHome("../x"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("above the home: %v", err)
			}
			if src.(source.LayoutsFS).HoldsLayouts() {
				t.Error("it is said to hold layouts")
			}
		})
	}
}

// TestRoots: which of several directories is the one.
func TestRoots(t *testing.T) {
	const blob = "blobs/sha256/01/" + hex + "/data"
	layout := func(name string) []byte {
		return append(append(file(name+"/manifest.json", "{}"), file(name+"/version", "Directory Transport Version: 1.1\n")...), file(name+"/"+hex, "x")...)
	}
	for _, c := range []struct {
		name    string
		tape    []byte
		has     string // a file of the source
		layouts bool
		err     string
		advice  string
	}{
		{name: "a repository called as a root is", tape: tape(file(v2+"repositories/docker/registry/v2/_manifests/x", "1"), file(v2+"repositories/v2/blobs/sha256/x", "1")), has: "repositories/docker/registry/v2/_manifests/x"},
		{name: "the same in a bare tree", tape: tape(file("repositories/registry/v2/_manifests/x", "1"), file(blob, "1")), has: "repositories/registry/v2/_manifests/x"},
		{name: "the better class", tape: tape(file("backup/v2/"+blob, "1"), file("s/docker/registry/v2/"+blob, "2"), file("x/repositories/y", "")), has: blob},
		{name: "v2 wins over nothing in particular", tape: tape(file("git/repositories/app/HEAD", "1"), file("x/v2/"+blob, "2")), has: blob},
		{name: "both trees win over one", tape: tape(file("git/repositories/app/HEAD", "1"), file("x/"+blob, "2"), file("x/repositories/y", "2")), has: blob},
		{name: "an empty registry", tape: tape(dirEntry(v2)), has: "."},
		{name: "an empty registry beside layouts", tape: tape(file("docker/registry/v2/repositories/x", ""), layout("app:v1")), has: "repositories/x"},
		{name: "several", tape: tape(file("a/"+v2+blob, "1"), file("b/"+v2+blob, "2")), err: "a/docker/registry/v2, b/docker/registry/v2", advice: "unpack the one"},
		{
			name: "many", tape: tape(file("a/"+blob, "1"), file("b/"+blob, "2"), file("c/"+blob, "2"), file("d/"+blob, "2"), file("e/"+blob, "2"), file("f/"+blob, "2")),
			err: "6 registries is in it: a, b, c, d, e, …", advice: "unpack the one",
		},
		{name: "nothing", tape: tape(), err: "nothing is in the archive"},
		{name: "something else", tape: tape(file("a", "1"), file("b", "2")), err: "no registry storage", advice: "docker/registry/v2"},
		{name: "blobs of another kind", tape: tape(file("blobs/a/b", "1")), err: "no registry storage", advice: "docker/registry/v2"},
		{name: "a Docker engine", tape: tape(file("var/lib/docker/overlay2/l/x", ""), file("var/lib/docker/image/overlay2/x", "")), err: "no registry storage", advice: "Docker engine"},
		{name: "podman", tape: tape(file("overlay-images/images.json", "[]")), err: "no registry storage", advice: "podman"},
		{name: "docker save", tape: tape(file("manifest.json", "[]"), file("repositories", "{}"), file(hex+"/layer.tar", "x")), err: "docker save", advice: "docker-archive:"},
		{name: "docker save of version 25", tape: tape(file("manifest.json", "[]"), file("oci-layout", "{}"), file("index.json", "{}"), file("blobs/sha256/"+hex, "x")), err: "docker save", advice: "docker-archive:"},
		{name: "an OCI archive", tape: tape(file("oci-layout", "{}"), file("index.json", "{}"), file("blobs/sha256/"+hex, "x")), err: "OCI layout", advice: "oci-archive:"},
		{name: "one layout", tape: tape(layout("./")), err: "no registry storage", advice: "one layout"},

		{name: "layouts", tape: tape(layout("library/app:v1"), layout("library/blobs/x:v1"), layout("other:v2")), layouts: true, has: "library/app:v1/" + hex},
		{name: "layouts below ./", tape: tape(layout("./library/app:v1")), layouts: true, has: "library/app:v1/manifest.json"},
		{name: "layouts below the directory convert makes", tape: tape(layout("srv/drydock-layouts/library/app:v1"), layout("srv/drydock-layouts/x:v1")), layouts: true, has: "library/app:v1/manifest.json"},
		{name: "layouts of a repository called so", tape: tape(layout("layouts/app:v1"), layout("x:v1")), layouts: true, has: "layouts/app:v1/manifest.json"},
		{name: "layouts of which nothing is known", tape: tape(layout("srv/app:v1"), layout("srv/x:v1")), layouts: true, has: "srv/app:v1/manifest.json"},
		{name: "layouts beside a work directory", tape: tape(layout("srv/images/app:v1"), dirEntry("srv/images/.drydock")), layouts: true, has: "app:v1/manifest.json"},
		{name: "layouts of repositories called as roots are", tape: tape(layout("repositories/app:v1"), layout("docker/registry/v2/app:v1")), layouts: true, has: "docker/registry/v2/app:v1/manifest.json"},
		{name: "a bundle", tape: tape(file("drydock-inventory.json", "{}"), layout("repositories/app:v1"), layout("blobs/sha256/x:v1")), layouts: true, has: "repositories/app:v1/manifest.json"},
		{name: "a bundle in a directory", tape: tape(file("out/drydock-inventory.json", "{}"), layout("out/repositories/app:v1")), layouts: true, has: "repositories/app:v1/manifest.json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			src, err := source.Open(context.Background(), save(t, "a.tar", c.tape), nil)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(report.Advice(err), c.advice) {
					t.Fatalf("%v; %s", err, report.Advice(err))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			if _, err := src.Stat(c.has); err != nil {
				t.Error(err)
			}
			if src.(source.LayoutsFS).HoldsLayouts() != c.layouts {
				t.Error("about layouts it is wrong")
			}
		})
	}
}

// TestOtherArchives: what people give instead is called by its name.
func TestOtherArchives(t *testing.T) {
	plain := tape(file(tagV1, "x"))
	for _, c := range []struct{ name, content, err, advice string }{
		{"empty", "", "it is empty", "copied or written to its end"},
		{"text", "sha256:0123456789abcdef\n", "a text file", "/var/lib/registry"},
		{"zip", "PK\x03\x04....", "zip", "unzip"},
		{"7z", "7z\xbc\xaf\x27\x1c...", "7z", "7z x -so"},
		{"rar", "Rar!\x1a\x07\x00", "rar", "unrar"},
		{"lz4", "\x04\x22\x4d\x18....", "lz4", "lz4 -dc"},
		{"compress", "\x1f\x9d\x90", "compress", "gzip -dc"},
		{"lzip", "LZIP\x01", "lzip", "lzip -dc"},
		{"iso", strings.Repeat("\x00", 0x8000) + "\x01CD001\x01" + strings.Repeat("\xff", 3000), "ISO image", "mount it"},
		{"ext4", strings.Repeat("\x00", 0x438) + "\x53\xef" + strings.Repeat("\x01", 3000), "image of a file system", "mount it"},
		{"rubbish", strings.Repeat("\x01\xfe", 1000), "no archive that drydock knows", "beginning is damaged"},
		{"short", "\x01\x02", "no archive that drydock knows", ""},
		{"gzip of gzip", string(gzipped(t, gzipped(t, plain))), "compressed twice", "decompress it once"},
		{"gzip of text", string(gzipped(t, []byte("hello"))), "decompressed with gzip: it is a text file", ""},
		{"gzip of nothing", string(gzipped(t, nil)), "it is empty", ""},
		{"gzip cut in its header", "\x1f\x8b\x08\x00", "gzip", ""},
		{"gzip cut in its first bytes", string(gzipped(t, plain)[:15]), "decompressing gzip: unexpected EOF", ""},
		{"zstd damaged at its beginning", string(zstded(t, plain)[:4]) + "\xff\xff\xff\xff\xff", "decompressing zstd", ""},
		{"xz cut in its header", "\xfd7zXZ\x00\x00", "xz", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, open := range []func() (source.Source, error){
				func() (source.Source, error) {
					return source.Open(context.Background(), save(t, "a.tar.gz", []byte(c.content)), nil)
				},
				func() (source.Source, error) {
					return source.Open(context.Background(), "-", &source.Options{Stdin: strings.NewReader(c.content)})
				},
			} {
				_, err := open()
				if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(report.Advice(err), c.advice) {
					t.Errorf("%v; %s", err, report.Advice(err))
				}
			}
		})
	}
}

// TestLayoutsInDirectory: a directory that convert wrote is one of layouts.
func TestLayoutsInDirectory(t *testing.T) {
	layout := func(t *testing.T, dir, name string) {
		for file, content := range map[string]string{"manifest.json": "{}", "version": "Directory Transport Version: 1.1\n"} {
			path := filepath.Join(dir, name, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name string
		make func(t *testing.T, dir string)
		is   bool
	}{
		{"at the top", func(t *testing.T, dir string) { layout(t, dir, "app:v1") }, true},
		{"deep down", func(t *testing.T, dir string) { layout(t, dir, "library/app/x/y:v1") }, true},
		{"behind a link", func(t *testing.T, dir string) {
			elsewhere := t.TempDir()
			layout(t, elsewhere, "app:v1")
			if err := os.Symlink(filepath.Join(elsewhere, "app:v1"), filepath.Join(dir, "app:v1")); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"of repositories called so", func(t *testing.T, dir string) {
			layout(t, dir, "blobs/sha256/x:v1")
			if err := os.WriteFile(filepath.Join(dir, "drydock-inventory.json"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"unfinished ones", func(t *testing.T, dir string) { layout(t, dir, ".drydock/layouts/1") }, false},
		{"one layout itself", func(t *testing.T, dir string) { layout(t, dir, ".") }, false},
		{"in a Docker engine", func(t *testing.T, dir string) { layout(t, dir, "overlay2/x/diff/app") }, false},
		{"below a link to a directory", func(t *testing.T, dir string) {
			elsewhere := t.TempDir()
			layout(t, elsewhere, "library/app:v1")
			if err := os.Symlink(elsewhere, filepath.Join(dir, "link")); err != nil {
				t.Fatal(err)
			}
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			c.make(t, dir)
			src, err := source.Open(context.Background(), dir, nil)
			if !c.is {
				if err == nil || report.Advice(err) == "" {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			d := src.(source.Dir)
			if !d.HoldsLayouts() || d.Root() != dir {
				t.Errorf("%v", d)
			}
			if _, err := d.StatHome("scheduler-state.json"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v", err)
			}
		})
	}
	dir := tree(t, sound)
	layout(t, dir, "app:v1")
	if open(t, dir).(source.Dir).HoldsLayouts() {
		t.Error("a registry is taken for layouts")
	}
	if diff := cmp.Diff(filepath.Join(dir, storagetest.V2), open(t, dir).(source.Dir).Root()); diff != "" {
		t.Error(diff)
	}
}
