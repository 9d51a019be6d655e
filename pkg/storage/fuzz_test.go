package storage

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const someHex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// checkPath holds that a path stays where it belongs.
func checkPath(t *testing.T, name, below string) {
	t.Helper()
	if !fs.ValidPath(name) || !strings.HasPrefix(name, below+"/") || path.Clean(name) != name {
		t.Errorf("the path %q", name)
	}
}

func FuzzParseLink(f *testing.F) {
	for _, seed := range []string{
		"", "\n", "\x00\x00", "sha256:" + someHex, "sha256:" + someHex + "\n", " sha256:" + someHex + "\x00",
		someHex, "sha256:", "sha256:" + someHex[1:], "SHA256:" + someHex, "sha256:" + strings.ToUpper(someHex),
		"blake3:" + someHex, "sha256:../../../../etc/passwd", "sha512:" + someHex + someHex, strings.Repeat("a", maxLink+1),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		before := bytes.Clone(content)
		l := parseLink(content)
		if !bytes.Equal(before, content) {
			t.Error("the content was changed")
		}
		if (l.problem == "") != (l.digest.Validate() == nil) {
			t.Fatalf("digest %q, problem %q", l.digest, l.problem)
		}
		if l.problem != "" {
			if len(l.detail) > 1000 {
				t.Errorf("a detail of %d bytes", len(l.detail))
			}
			return
		}
		checkPath(t, BlobPath(l.digest), "blobs")
		if !bytes.Contains(content, []byte(l.digest)) || l.padded == (string(content) == l.digest.String()) {
			t.Errorf("%q was read from %q, padded %v", l.digest, content, l.padded)
		}
	})
}

func FuzzParseManifest(f *testing.F) {
	d := `"digest":"sha256:` + someHex + `","size":0`
	for _, seed := range []string{
		``, `{}`, `null`, `[]`, `{"schemaVersion":2}`, `{"schemaVersion":1,"fsLayers":[{"blobSum":"sha256:` + someHex + `"}]}`,
		`{"schemaVersion":1,"fsLayers":[{}],"signatures":[]}`,
		`{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json",` + d + `},"layers":[{` + d + `}]}`,
		`{"schemaVersion":2,"config":null,"layers":[]}`,
		`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json",` + d + `,"platform":{"os":"linux","architecture":"amd64"}}]}`,
		`{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.layer.v1.tar",` + d + `}]}`,
		`{"schemaVersion":2,"manifests":[],"layers":[]}`,
		`{"schemaVersion":2,"mediaType":"a/b","layers":[{"digest":"sha256:../..","size":1}]}`,
		`{"schemaVersion":2,"mediaType":"a/b","layers":[{"digest":"` + strings.Repeat("x", 500) + `"}]}`,
		`{"schemaVersion":2,"mediaType":"a/b","layers":[{"digest":"sha256:` + someHex + `","size":-1}]}`,
		`{"mediaType":"application/vnd.oci.artifact.manifest.v1+json","artifactType":"a/b","blobs":[{` + d + `}],"subject":{` + d + `}}`,
		`{"schemaVersion":2,"mediaType":"a/b","layers":[],"subject":{"digest":"x"}}`,
		`{"schemaVersion":2,"mediaType":"a/b","layers":[{` + d + `,"urls":["https://example.com/"]}]}`,
	} {
		f.Add([]byte(seed), "")
		f.Add([]byte(seed), ocispec.MediaTypeImageManifest)
	}
	f.Fuzz(func(t *testing.T, content []byte, stated string) {
		own := digest.FromBytes(content)
		m, err := ParseManifest(content, own, stated)
		if err != nil {
			if len(err.Error()) > 10000+len(content) {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		checkManifest(t, m, own, int64(len(content)))
		checkClosure(t, content, own, m)
	})
}

func checkManifest(t *testing.T, m *Manifest, own digest.Digest, size int64) {
	t.Helper()
	if m.Digest != own || m.Size != size || m.MediaType == "" {
		t.Errorf("%+v", m.Descriptor)
	}
	for _, list := range [][]*ocispec.Descriptor{m.Manifests, m.Blobs} {
		for _, c := range list {
			checkPath(t, BlobPath(c.Digest), "blobs")
			if c.Size < 0 && !IsSchema1(m.MediaType) {
				t.Errorf("%s has %d bytes", c.Digest, c.Size)
			}
		}
	}
	if m.Subject != nil {
		checkPath(t, RevisionLinkPath("library/app", m.Subject.Digest), "repositories/library/app")
	}
}

// checkClosure holds that an image is whole only if all that it names is there.
func checkClosure(t *testing.T, content []byte, own digest.Digest, m *Manifest) {
	t.Helper()
	b := NewBuilder(nil, nil)
	b.Manifest("library/app", own, content, m.MediaType)
	b.Tag("library/app", "v1", own, time.Time{})
	x, err := b.Index(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := x.Closure(own)
	absent := len(m.Manifests)
	for _, blob := range m.Blobs {
		if len(blob.URLs) == 0 {
			absent++
		}
	}
	if c.Whole() != (absent == 0) {
		t.Errorf("whole %v, and %d of it are absent", c.Whole(), absent)
	}
	for _, p := range c.Problems {
		if p.Digest.Validate() != nil || !fs.ValidPath(p.Path) && p.Path != "" {
			t.Errorf("%+v", p)
		}
	}
}

func FuzzSignedPayload(f *testing.F) {
	body := `{"schemaVersion":1,"name":"a"`
	header := func(length int, tail string) string {
		text := fmt.Sprintf(`{"formatLength":%d,"formatTail":"%s"}`, length, base64.RawURLEncoding.EncodeToString([]byte(tail)))
		return base64.RawURLEncoding.EncodeToString([]byte(text))
	}
	for _, seed := range []string{
		``, `{}`, `{"schemaVersion":1}`, `{"schemaVersion":1,"signatures":[{}]}`,
		body + `,"signatures":[{"protected":"` + header(len(body), "}") + `"}]}`,
		body + `,"signatures":[{"protected":"` + header(1<<62, "}") + `"}]}`,
		body + `,"signatures":[{"protected":"` + header(-1, "}") + `"}]}`,
		body + `,"signatures":[{"protected":"!"}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		before := bytes.Clone(content)
		payload, err := SignedPayload(content)
		if !bytes.Equal(before, content) {
			t.Error("the content was changed")
		}
		if !HasDigest(content, digest.FromBytes(content)) {
			t.Error("the content has not its own digest")
		}
		if err == nil && !HasDigest(content, digest.FromBytes(payload)) {
			t.Error("the content has not the digest of what was signed")
		}
	})
}

func FuzzNames(f *testing.F) {
	for _, seed := range []string{
		"", "library/app", "a", "a/b/c/d/e", "..", "../..", "a/../b", "/a", "a/", "a//b", "A", "a__b", "a___b", "a.-b", "a--b",
		"_a", "a\x00b", "a\nb", "ä", "v1", "-v1", ".v1", "v+1", "current", "link", strings.Repeat("a", 129), strings.Repeat("a/", 128) + "a",
	} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, repository, tag string) {
		if !ValidRepository(repository) {
			return
		}
		checkPath(t, repositoryPath(repository), "repositories")
		if !ValidTag(tag) {
			return
		}
		checkPath(t, TagLinkPath(repository, tag), "repositories/"+repository)
		if path.Base(tagPath(repository, tag)) != tag {
			t.Errorf("the tag %q", tag)
		}
	})
}
