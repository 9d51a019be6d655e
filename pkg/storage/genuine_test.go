package storage_test

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// served is what a registry answered over a tree: see testdata/README.md.
type served struct {
	Repositories map[string]servedRepository `json:"repositories"`
}

type servedRepository struct {
	Tags      map[string]servedManifest        `json:"tags"`
	Manifests map[digest.Digest]servedManifest `json:"manifests"`
	Blobs     map[digest.Digest]int64          `json:"blobs"`
	Absent    []digest.Digest                  `json:"absent"`
}

type servedManifest struct {
	Digest       digest.Digest   `json:"digest"`
	MediaType    string          `json:"mediaType"`
	Size         int64           `json:"size"`
	Config       digest.Digest   `json:"config"`
	Layers       []digest.Digest `json:"layers"`
	Manifests    []digest.Digest `json:"manifests"`
	Subject      digest.Digest   `json:"subject"`
	ArtifactType string          `json:"artifactType"`
	Untagged     bool            `json:"untagged"`
}

const testdata = "../../testdata"

// TestGenuine compares genuine trees with what registries serve from them.
func TestGenuine(t *testing.T) {
	archive := t.TempDir()
	unpack(t, filepath.Join(testdata, "distribution-2.8.tar.gz"), archive)
	for _, c := range []struct{ dir, served string }{
		{filepath.Join(testdata, "distribution-2.8"), "distribution-2.8.served.json"},
		{filepath.Join(testdata, "distribution-3"), "distribution-3.served.json"},
		{archive, "distribution-2.8.served.json"},
	} {
		t.Run(c.served, func(t *testing.T) {
			bytes, err := os.ReadFile(filepath.Join(testdata, c.served))
			if err != nil {
				t.Fatal(err)
			}
			var want served
			if err := json.Unmarshal(bytes, &want); err != nil {
				t.Fatal(err)
			}
			x := scan(t, c.dir, storage.ScanOptions{Thorough: true, ReadData: true})
			compareServed(t, want, x)
			for _, f := range x.Findings() {
				if f.Level == report.Skip {
					t.Errorf("finding %+v", f)
				}
			}
		})
	}
}

func compareServed(t *testing.T, want served, x *storage.Index) {
	t.Helper()
	var names []string
	for r := range x.Repositories() {
		// A repository of which everything was deleted has nothing to serve;
		// whether it is listed differs between versions.
		if len(r.Tags)+len(r.Manifests) > 0 {
			names = append(names, r.Name)
		}
	}
	for name, r := range want.Repositories {
		if len(r.Tags)+len(r.Manifests) == 0 {
			delete(want.Repositories, name)
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want.Repositories)), names); diff != "" {
		t.Fatalf("repositories: %s", diff)
	}
	for name, r := range want.Repositories {
		compareRepository(t, r, x, x.Repository(name))
	}
}

func compareRepository(t *testing.T, want servedRepository, x *storage.Index, r *storage.Repository) {
	t.Helper()
	tags, wantTags := map[string]digest.Digest{}, map[string]digest.Digest{}
	for _, tag := range r.Tags {
		tags[tag.Name] = tag.Digest
		if tag.Problem != nil {
			t.Errorf("%s:%s: %v", r.Name, tag.Name, tag.Problem)
		}
	}
	for name, m := range want.Tags {
		wantTags[name] = m.Digest
	}
	if diff := cmp.Diff(wantTags, tags); diff != "" {
		t.Errorf("%s: tags: %s", r.Name, diff)
	}
	got := map[digest.Digest]servedManifest{}
	for _, m := range r.Manifests {
		got[m.Digest] = asServed(m)
		compareClosure(t, want, x.Closure(m.Digest))
	}
	manifests := map[digest.Digest]servedManifest{}
	for d, m := range want.Manifests {
		m.Untagged = false
		manifests[d] = normal(m)
	}
	if diff := cmp.Diff(manifests, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s: manifests: %s", r.Name, diff)
	}
	compareUntagged(t, want, r)
}

// compareUntagged wants those that nothing leads to: the registry's word, less
// those that lead to their subject, which go with it.
func compareUntagged(t *testing.T, want servedRepository, r *storage.Repository) {
	t.Helper()
	var untagged, got []digest.Digest
	for d, m := range want.Manifests {
		_, subject := want.Manifests[m.Subject]
		if m.Untagged && !subject {
			untagged = append(untagged, d)
		}
	}
	for _, m := range r.Untagged() {
		got = append(got, m.Digest)
	}
	slices.Sort(untagged)
	if diff := cmp.Diff(untagged, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s: untagged: %s", r.Name, diff)
	}
}

// asServed puts a manifest into the form of the registry's word.
func asServed(m *storage.Manifest) servedManifest {
	s := servedManifest{Digest: m.Digest, MediaType: m.MediaType, Size: m.Size}
	for _, c := range m.Manifests {
		s.Manifests = append(s.Manifests, c.Digest)
	}
	for _, b := range m.Blobs {
		s.Layers = append(s.Layers, b.Digest)
	}
	if m.Subject != nil {
		s.Subject = m.Subject.Digest
	}
	s.ArtifactType = m.Descriptor.ArtifactType
	return normal(s)
}

// normal puts all blobs of a manifest, whatever they are, into one sorted list:
// the children of a build cache's index are blobs to us. A manifest of schema 1
// is signed anew when it is served, with another type and another size.
func normal(s servedManifest) servedManifest {
	s.Layers = slices.Clone(s.Layers)
	if s.Config != "" {
		s.Layers, s.Config = append(s.Layers, s.Config), ""
	}
	s.Layers, s.Manifests = append(s.Layers, s.Manifests...), nil
	slices.Sort(s.Layers)
	s.Layers = slices.Compact(s.Layers)
	if storage.IsSchema1(s.MediaType) {
		s.MediaType, s.Size = storage.MediaTypeDockerSchema1, 0
	}
	return s
}

// compareClosure wants every part of an image to be there, with the size that
// was served, and none that a registry does not have.
func compareClosure(t *testing.T, want servedRepository, c *storage.Closure) {
	t.Helper()
	if !c.Whole() {
		t.Errorf("not whole: %+v", c.Problems)
	}
	for _, b := range c.Blobs {
		if size, ok := want.Blobs[b.Digest]; !ok || size != b.Size {
			t.Errorf("blob %s has %d bytes, served %d, %v", b.Digest, b.Size, size, ok)
		}
		if slices.Contains(want.Absent, b.Digest) {
			t.Errorf("blob %s is absent by design", b.Digest)
		}
	}
	for _, m := range c.Manifests {
		if s, ok := want.Manifests[m.Digest]; !ok || (s.Size != m.Size && !storage.IsSchema1(m.MediaType)) {
			t.Errorf("manifest %s has %d bytes, served %d, %v", m.Digest, m.Size, s.Size, ok)
		}
	}
	needed := map[digest.Digest]bool{}
	for _, m := range c.Manifests {
		s := want.Manifests[m.Digest]
		for _, list := range [][]digest.Digest{{s.Config}, s.Layers, s.Manifests} {
			for _, d := range list {
				needed[d] = d != "" && !slices.Contains(want.Absent, d)
			}
		}
	}
	for _, list := range [][]digest.Digest{digests(c.Blobs), digests(c.Manifests)} {
		for _, d := range list {
			delete(needed, d)
		}
	}
	for d, is := range needed {
		if is {
			t.Errorf("%s is not in the closure", d)
		}
	}
}

// unpack unpacks an archive that we made ourselves.
func unpack(t *testing.T, archive, dir string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	r := tar.NewReader(z)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.FileInfo().IsDir() {
			err = os.MkdirAll(path, 0o755)
		} else if bytes, readErr := io.ReadAll(r); readErr != nil {
			err = readErr
		} else {
			err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, bytes, 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
