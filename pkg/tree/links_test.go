package tree_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
	"github.com/seed-5b48bd9d/drydock/pkg/tree"
)

// TestExistingLinks: what is in a link's place is never replaced. Where it is not
// the same link, nothing of the image is linked.
func TestExistingLinks(t *testing.T) {
	o := newOrigin(t)
	other := digest.FromString("other").String()
	write := func(content string) func(string) error {
		return func(path string) error { return os.WriteFile(path, []byte(content), 0o600) }
	}
	for _, tt := range []struct {
		name, place string
		make        func(path string) error
		made        int
		err         error  // nil for any
		finding     string // path
	}{
		{name: "the same layer", place: "layer:library/app@base", make: write(o.Digest("base").String()), made: 5},
		{name: "the same revision", place: "revision:library/app@amd", make: write(o.Digest("amd").String()), made: 5},
		{name: "the same tag", place: "tag:library/app:v1", make: write(o.Digest("amd").String()), made: 5},
		{name: "the tag's history alone", place: "history:library/app:v1@amd", make: write(o.Digest("amd").String()), made: 5},
		{name: "another tag", place: "tag:library/app:v1", make: write(other), err: tree.ErrTagTaken},
		{name: "a damaged tag", place: "tag:library/app:v1", make: write(""), err: tree.ErrTagTaken},
		{name: "another revision", place: "revision:library/app@amd", make: write(other), finding: "revision:library/app@amd"},
		{name: "an empty layer", place: "layer:library/app@own", make: write(""), finding: "layer:library/app@own"},
		{name: "a padded layer", place: "layer:library/app@own", make: write(o.Digest("own").String() + "\n"), finding: "layer:library/app@own"},
		{name: "a layer too long", place: "layer:library/app@own", make: write(strings.Repeat("x", 9000)), finding: "layer:library/app@own"},
		{name: "another history", place: "history:library/app:v1@amd", make: write(other), finding: "history:library/app:v1@amd"},
		{name: "a FIFO", place: "tag:library/app:v1", make: func(path string) error { return syscall.Mkfifo(path, 0o600) }},
		{name: "a directory", place: "layer:library/app@own", make: func(path string) error { return os.Mkdir(path, 0o700) }},
		{name: "a link out of it", place: "layer:library/app@own", make: func(path string) error { return os.Symlink(o.file("own"), path) }},
		{name: "a link to nothing", place: "layer:library/app@own", make: func(path string) error { return os.Symlink("nothing", path) }, err: fs.ErrExist},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, storagetest.V2, o.Path(tt.place))
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), tt.make(path)); err != nil {
				t.Fatal(err)
			}
			before := files(t, dir)
			w := o.open(t, dir, tree.Options{Existing: true})
			made, err := w.Link(o.app())
			if fails := tt.made == 0; fails != (err != nil) || made != tt.made && !errors.Is(tt.err, fs.ErrExist) || tt.err != nil && !errors.Is(err, tt.err) {
				t.Errorf("made %d, error %v", made, err)
			}
			if errors.Is(err, tree.ErrTagTaken) && report.Advice(err) == "" {
				t.Errorf("no advice on %v", err)
			}
			var want []string
			if tt.finding != "" {
				want = append(want, "target-link "+o.Path(tt.finding))
			}
			var found []string
			for _, f := range w.Findings() {
				found = append(found, string(f.Code)+" "+f.Path)
			}
			diff(t, "findings", want, found)
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			after := files(t, dir)
			for name, is := range before {
				if after[name] != is && !strings.HasPrefix(is, "d") {
					t.Errorf("%s is %s, was %s", name, after[name], is)
				}
			}
			if tt.made > 0 {
				diff(t, "links", links(t, o.dir), links(t, dir))
			}
		})
	}
}

// links gives every link of a tree.
func links(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for name := range contents(t, dir) {
		if filepath.Base(name) != "link" {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		found[name] = string(content)
	}
	return found
}

// TestAlias: a blob that was pushed by its sha512 to another registry is kept
// under its sha256, and its link says so.
func TestAlias(t *testing.T) {
	o := newOrigin(t)
	strong := digest.SHA512.FromBytes(o.Bytes("base"))
	dir := t.TempDir()
	w := o.open(t, dir, tree.Options{})
	path := filepath.Join(w.Dir(), storage.LayerLinkPath("library/app", strong))
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(o.Digest("base")), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.LinkLayer("library/app", strong); err == nil {
		t.Error("it leads nowhere")
	}
	o.put(t, w, "base")
	if made, err := w.LinkLayer("library/app", strong); made != 0 || err != nil {
		t.Errorf("made %d, error %v", made, err)
	}
	if made, err := w.LinkLayer("other/app", strong, o.Digest("base")); made != 2 || err != nil {
		t.Errorf("made %d, error %v", made, err)
	}
}

func TestTagFree(t *testing.T) {
	o := newOrigin(t)
	w := o.open(t, t.TempDir(), tree.Options{})
	if err := w.TagFree("library/app", "v1", o.Digest("amd")); err != nil {
		t.Error(err)
	}
	if _, err := w.Link(o.app()); err != nil {
		t.Fatal(err)
	}
	if err := w.TagFree("library/app", "v1", o.Digest("amd")); err != nil {
		t.Error(err)
	}
	if err := w.TagFree("library/app", "v1", o.Digest("base")); !errors.Is(err, tree.ErrTagTaken) {
		t.Errorf("error %v", err)
	}
	if err := w.TagFree("library/app", "..", o.Digest("base")); err == nil {
		t.Error("it takes any name")
	}
}

// TestRemovedMeanwhile: what a registry removes beside a run is made again.
func TestRemovedMeanwhile(t *testing.T) {
	o := newOrigin(t)
	w := o.open(t, t.TempDir(), tree.Options{})
	for range 2 {
		if made, err := w.Link(o.app()); made != 6 || err != nil {
			t.Errorf("made %d, error %v", made, err)
		}
		if err := os.RemoveAll(filepath.Join(w.Dir(), "repositories/library/app/_layers")); err != nil {
			t.Fatal(err)
		}
		if made, err := w.LinkLayer("library/app", o.Digest("base")); made != 1 || err != nil {
			t.Errorf("made %d, error %v", made, err)
		}
		if err := os.RemoveAll(filepath.Join(w.Dir(), "repositories")); err != nil {
			t.Fatal(err)
		}
	}
}

// FuzzLink holds that no names lead to files elsewhere than in the repository.
func FuzzLink(f *testing.F) {
	amd := digest.FromString("amd").String()
	for _, seed := range [][3]string{{"library/app", "v1", amd}, {"../..", "v1", amd}, {"a", "../../x", amd}, {"a", "v1", "sha256:../../../x"}, {"a//b", "", amd}, {"_layers", ".", ""}} {
		f.Add(seed[0], seed[1], seed[2])
	}
	dir := f.TempDir()
	w, err := tree.Open(filepath.Join(dir, "tree"), nil)
	if err != nil {
		f.Fatal(err)
	}
	defer w.Close()
	f.Fuzz(func(t *testing.T, repository, tag, d string) {
		l := tree.Links{Repository: repository, Tag: tag, Layers: []digest.Digest{digest.Digest(d)}, Revisions: []digest.Digest{digest.Digest(d)}}
		made, err := w.Link(l)
		valid := storage.ValidRepository(repository) && (tag == "" || storage.ValidTag(tag)) && digest.Digest(d).Validate() == nil
		if valid != (err == nil) || !valid && made > 0 {
			t.Fatalf("made %d, error %v", made, err)
		}
		if !valid {
			return
		}
		found := links(t, dir)
		if made != len(found) {
			t.Errorf("made %d, there are %v", made, found)
		}
		for name := range found {
			rest, ok := strings.CutPrefix(name, "tree/docker/registry/v2/repositories/"+repository+"/_")
			if !ok || !strings.HasPrefix(rest, "layers/"+strings.Replace(d, ":", "/", 1)) && !strings.HasPrefix(rest, "manifests/") {
				t.Errorf("%q, %q and %q make %s", repository, tag, d, name)
			}
		}
		if err := os.RemoveAll(filepath.Join(w.Dir(), "repositories", filepath.FromSlash(repository))); err != nil {
			t.Error(err)
		}
	})
}
