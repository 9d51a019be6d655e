package push_test

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/push"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// A fixture is an image, and the files of its layout by name.
type fixture struct {
	plan.Image
	files map[string][]byte
	dir   string // empty until it is written
}

func newFixture(name string) *fixture {
	repository, tag, _ := strings.Cut(name, ":")
	f := &fixture{files: map[string][]byte{"version": []byte("Directory Transport Version: 1.1\n")}}
	f.Source = plan.Reference{Repository: repository, Tag: tag}
	f.Target = f.Source
	return f
}

// blob adds a blob under its digest by an algorithm.
func (f *fixture) blob(algorithm digest.Algorithm, mediaType, content string) ocispec.Descriptor {
	d := ocispec.Descriptor{MediaType: mediaType, Digest: algorithm.FromString(content), Size: int64(len(content))}
	name := d.Digest.Encoded()
	if algorithm != digest.Canonical {
		f.files[algorithm.String()+"-"+name] = []byte(content)
		f.files["version"] = []byte("Directory Transport Version: 1.2\n")
	}
	if f.files[name] == nil {
		f.Blobs = append(f.Blobs, &d)
	}
	f.files[name] = []byte(content)
	return d
}

// top makes a manifest the image's own.
func (f *fixture) top(mediaType string, content []byte) *fixture {
	f.topAs(mediaType, content, digest.FromBytes(content))
	return f
}

func (f *fixture) topAs(mediaType string, content []byte, d digest.Digest) {
	f.files["manifest.json"] = content
	f.Manifest = &ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(content))}
	f.Manifests = append(f.Manifests, f.Manifest)
	f.Source.Digest, f.Target.Digest = d, d
}

// image is an OCI image of a config that tells it from others, and layers.
func image(name string, layers ...string) *fixture {
	f := newFixture(name)
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest}
	m.SchemaVersion = 2
	m.Config = f.blob(digest.Canonical, ocispec.MediaTypeImageConfig, `{"architecture":"amd64","os":"linux","author":"`+strings.Join(layers, "+")+`"}`)
	m.Layers = []ocispec.Descriptor{}
	for _, l := range layers {
		m.Layers = append(m.Layers, f.blob(digest.Canonical, ocispec.MediaTypeImageLayer, l))
	}
	return f.top(ocispec.MediaTypeImageManifest, marshal(m))
}

// index is an OCI index of images or indexes.
func index(name string, children ...*fixture) *fixture {
	f := newFixture(name)
	x := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex}
	x.SchemaVersion = 2
	for _, c := range children {
		x.Manifests = append(x.Manifests, *c.Manifest)
		for n, content := range c.files {
			if n != "manifest.json" && n != "version" {
				f.files[n] = content
			}
		}
		f.files[c.Manifest.Digest.Encoded()+".manifest.json"] = c.files["manifest.json"]
		f.Manifests = append(f.Manifests, c.Manifests...)
		f.Blobs = append(f.Blobs, c.Blobs...)
	}
	return f.top(ocispec.MediaTypeImageIndex, marshal(x))
}

func marshal(v any) []byte {
	content, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return content
}

// rename is the same image under another name.
func (f *fixture) rename(name string) *fixture {
	g := newFixture(name)
	maps.Copy(g.files, f.files)
	to := g.Source
	g.Image = f.Image
	g.Source, g.Target = to, to
	g.Source.Digest, g.Target.Digest = f.Manifest.Digest, f.Manifest.Digest
	return g
}

// write puts the layout on disk, once.
func (f *fixture) write(t testing.TB) string {
	t.Helper()
	if f.dir != "" {
		return f.dir
	}
	f.dir = t.TempDir()
	for name, content := range f.files {
		if err := os.WriteFile(filepath.Join(f.dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return f.dir
}

// pushTo pushes the image.
func (f *fixture) pushTo(ctx context.Context, t testing.TB, r *push.Registry) (report.Outcome, error) {
	t.Helper()
	return pushLayout(ctx, t, r, f.write(t), f.Image)
}

func pushLayout(ctx context.Context, t testing.TB, r *push.Registry, dir string, i plan.Image) (report.Outcome, error) {
	t.Helper()
	layout, err := push.Layout(dir)
	if err != nil {
		t.Fatal(err)
	}
	o, err := r.Push(ctx, layout, i)
	if (err != nil) != (o.Status == report.Failed) || (err != nil) != (o.Error != "") {
		t.Errorf("outcome %+v beside the error %v", o, err)
	}
	return o, err
}

// mustPush pushes images one after another.
func mustPush(t testing.TB, r *push.Registry, images ...*fixture) {
	t.Helper()
	for _, f := range images {
		if o, err := f.pushTo(t.Context(), t, r); err != nil || o.Status != report.Done {
			t.Fatalf("pushing %s: %s: %v", f.Source, o.Status, err)
		}
	}
}

// schema1 is an image of docker's first schema, unsigned as a registry keeps it.
func schema1(name string, layers ...string) *fixture {
	f := newFixture(name)
	type fsLayer struct {
		BlobSum digest.Digest `json:"blobSum"`
	}
	type history struct {
		V1Compatibility string `json:"v1Compatibility"`
	}
	m := struct {
		SchemaVersion int       `json:"schemaVersion"`
		Name          string    `json:"name"`
		Tag           string    `json:"tag"`
		Architecture  string    `json:"architecture"`
		FSLayers      []fsLayer `json:"fsLayers"`
		History       []history `json:"history"`
	}{SchemaVersion: 1, Name: f.Source.Repository, Tag: f.Source.Tag, Architecture: "amd64"}
	for _, l := range layers {
		d := f.blob(digest.Canonical, "", l)
		m.FSLayers = append(m.FSLayers, fsLayer{d.Digest})
		m.History = append(m.History, history{`{"id":"` + d.Digest.Encoded() + `"}`})
	}
	content, err := json.MarshalIndent(m, "", "   ")
	if err != nil {
		panic(err)
	}
	return f.top(storage.MediaTypeDockerSchema1, content)
}

// withSHA512 has its config and its layer under sha512.
func withSHA512(name string) *fixture {
	f := newFixture(name)
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest}
	m.SchemaVersion = 2
	m.Config = f.blob(digest.SHA512, ocispec.MediaTypeImageConfig, `{"architecture":"amd64","os":"linux"}`)
	m.Layers = []ocispec.Descriptor{f.blob(digest.SHA512, ocispec.MediaTypeImageLayer, "layer")}
	return f.top(ocispec.MediaTypeImageManifest, marshal(m))
}
