package storage

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Sharing changes nothing of what manifests say, and what says the same is one.
func TestShared(t *testing.T) {
	d := digest.FromString("layer")
	amd, win := &ocispec.Platform{OS: "linux", Architecture: "amd64"}, &ocispec.Platform{OS: "windows", Architecture: "amd64", OSFeatures: []string{"win32k"}}
	all := []ocispec.Descriptor{
		{Digest: d, Size: 5, MediaType: "a"},
		{Digest: d, Size: 6, MediaType: "a"},
		{Digest: d, Size: 5, MediaType: "b"},
		{Digest: d, Size: 5, MediaType: "a", ArtifactType: "c"},
		{Digest: d, Size: 5, MediaType: "a", URLs: []string{"https://example.com"}},
		{Digest: d, Size: 5, MediaType: "a", Platform: amd},
		{Digest: d, Size: 5, MediaType: "a", Platform: win},
		{Digest: d, Size: 5, MediaType: "a", Platform: &ocispec.Platform{OS: "windows", Architecture: "amd64"}},
		{Digest: digest.FromString("other"), Size: 5, MediaType: "a"},
	}
	s := newScanner(nil, nil)
	for first := range all {
		s.shared = newShared(s)
		for n := range all { // beginning with each of them in turn
			want := all[(first+n)%len(all)]
			was := want
			m := &Manifest{Blobs: []*ocispec.Descriptor{&was}, Manifests: []*ocispec.Descriptor{&was}, Subject: &was}
			s.shared.manifest(m)
			for _, got := range []*ocispec.Descriptor{m.Blobs[0], m.Manifests[0], m.Subject} {
				if diff := cmp.Diff(want, *got); diff != "" {
					t.Error(diff)
				}
			}
		}
	}
	again := all[len(all)-1]
	m := &Manifest{Blobs: []*ocispec.Descriptor{&again, &again}}
	s.shared.manifest(m)
	if m.Blobs[0] != m.Blobs[1] || m.Blobs[0] == &again {
		t.Error("a descriptor is kept twice, or as it was decoded")
	}
}

// The short way to a closure gives what the long one does.
func TestPlainClosure(t *testing.T) {
	have := func(name string) *blob { return &blob{digest: digest.FromString(name), size: int64(len(name))} }
	s := newScanner(nil, nil)
	for _, b := range []*blob{have("config"), have("layer"), have("other layer"), have("empty")} {
		s.blobs[b.digest] = b
	}
	s.blobs[digest.FromString("bad")] = bad("damaged", "as it is")
	describe := func(name string, size int) *ocispec.Descriptor {
		return &ocispec.Descriptor{MediaType: "layer", Digest: digest.FromString(name), Size: int64(size)}
	}
	linux := &ocispec.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
	var tops []digest.Digest
	for n, blobs := range [][]string{
		{"config", "layer", "other layer"}, {}, {"config", "layer", "layer"}, {"config", "absent"}, {"config", "bad"}, {"layer", "image 0"},
		strings.Split(strings.Repeat("layer ", 80)+"config", " "),
	} {
		m := &Manifest{Descriptor: *describe(fmt.Sprint("image ", n), 100)}
		m.MediaType, m.Platform = ocispec.MediaTypeImageManifest, linux
		for _, b := range blobs {
			m.Blobs = append(m.Blobs, describe(b, len(b)))
		}
		s.manifests[m.Digest] = &manifestFile{manifest: m}
		tops = append(tops, m.Digest)
	}
	s.manifests[tops[1]].manifest.Platform = &ocispec.Platform{OS: "unknown"}
	x := s.index()
	plain := 0
	for _, d := range tops {
		long := walk{x: x, c: &Closure{}, seen: map[digest.Digest]bool{}}
		long.manifest(&ocispec.Descriptor{Digest: d}, "absent")
		if diff := cmp.Diff(long.c, x.Closure(d)); diff != "" {
			t.Errorf("%s: %s", d, diff)
		}
		if x.plain(d) != nil {
			plain++
		}
	}
	if plain != 2 {
		t.Errorf("%d closures came the short way", plain)
	}
}
