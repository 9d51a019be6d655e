package main

import (
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

// TestServed holds what drydock calls whole against what a distribution registry
// serves over the same damaged tree: every byte of it, by its tag.
//
// No tag is served that drydock does not call whole. The other way round there
// are two differences, both meant, and both about links whose loss costs no byte:
//
//   - A registry serves a child or a blob only where the repository links it,
//     by a link that is there and names it. The bytes are found without: drydock
//     carries the image, and notes blob-unlinked or what is wrong with the link.
//   - A registry takes a link as it is, and gives up where there are NUL bytes,
//     blanks or a newline around the digest. drydock reads it without, and notes
//     link-padded.
//
// One thing is taken out of the registry's tree: a FIFO in place of a file, which
// it would wait at forever.
func TestServed(t *testing.T) {
	seeds := 2
	if n, err := strconv.Atoi(os.Getenv("DRYDOCK_DAMAGE_SEEDS")); err == nil {
		seeds = n
	}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 11))
			root := filepath.Join(t.TempDir(), "registry")
			if err := randomTree(random).WriteTo(root); err != nil {
				t.Fatal(err)
			}
			v2 := filepath.Join(root, storagetest.V2)
			damageTenth(t, random, v2)
			whole := calledWhole(drydock(t, nil, "list", root, "-o", "json", "--read-data"))

			serving := filepath.Join(t.TempDir(), "serving") // a registry may write
			copyTree(t, root, serving)
			removeFIFOs(t, serving)
			server, err := harbortest.NewRegistry(serving)
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()

			s := serverOver{t: t, url: server.URL, v2: v2, causes: map[string]int{}}
			for _, name := range tagsIn(v2) {
				s.hold(name, slices.Contains(whole, name))
			}
			t.Logf("%d tags whole and served, %d not served for want of links: %v", s.both, s.unserved, s.causes)
			if s.both < 30 || s.causes["unlinked"] == 0 || s.causes["padded"] == 0 {
				t.Error("this tree shows too little")
			}
		})
	}
}

// serverOver is a registry over a copy of a damaged tree.
type serverOver struct {
	t              *testing.T
	url, v2        string
	both, unserved int
	causes         map[string]int // of what is whole and not served
}

// lack is something that the registry does not serve, or not with the right bytes,
// and the links it goes by, with the digest that each should name.
type lack struct {
	what  string
	links map[string]string
}

func (s *serverOver) hold(name string, whole bool) {
	lacks := s.lacks(name)
	switch {
	case len(lacks) == 0 && !whole:
		s.t.Errorf("%s is served, and not called whole", name)
	case len(lacks) == 0:
		s.both++
	case whole:
		s.unserved++
		for _, l := range lacks {
			s.explain(name, l)
		}
	}
}

// explain finds the link that keeps the registry from serving what is whole.
func (s *serverOver) explain(name string, l lack) {
	for link, want := range l.links {
		content, there := readRegular(filepath.Join(s.v2, link))
		hex, read := linkedHex(filepath.Join(s.v2, link))
		switch {
		case string(content) == "sha256:"+want:
			continue
		case there && read && hex == want:
			s.causes["padded"]++
			return
		case !strings.Contains(link, "/tags/") && !strings.HasPrefix(l.what, "tag "):
			s.causes["unlinked"]++
			return
		}
	}
	s.t.Errorf("%s is called whole, and not served: %s", name, l.what)
}

// lacks asks for a tag's manifest, and for all that it names.
func (s *serverOver) lacks(name string) []lack {
	repository, tag, _ := strings.Cut(name, ":")
	tagLink := filepath.Join("repositories", repository, "_manifests/tags", tag, "current/link")
	hex, ok := linkedHex(filepath.Join(s.v2, tagLink))
	content := s.get(repository + "/manifests/" + tag)
	if !ok || digest.FromBytes(content).Encoded() != hex {
		return []lack{{"tag " + tag, map[string]string{tagLink: hex, revisionLink(repository, hex): hex}}}
	}
	return s.lacksOf(repository, content)
}

func revisionLink(repository, hex string) string {
	return filepath.Join("repositories", repository, "_manifests/revisions/sha256", hex, "link")
}

func (s *serverOver) lacksOf(repository string, manifest []byte) []lack {
	m, err := storage.ParseManifest(manifest, digest.FromBytes(manifest), "")
	if err != nil {
		return []lack{{what: err.Error()}}
	}
	var all []lack
	for _, child := range m.Manifests {
		content := s.get(repository + "/manifests/" + child.Digest.String())
		if digest.FromBytes(content) != child.Digest {
			hex := child.Digest.Encoded()
			all = append(all, lack{"manifest " + hex, map[string]string{revisionLink(repository, hex): hex}})
			continue
		}
		all = append(all, s.lacksOf(repository, content)...)
	}
	for _, blob := range m.Blobs {
		if digest.FromBytes(s.get(repository+"/blobs/"+blob.Digest.String())) != blob.Digest {
			hex := blob.Digest.Encoded()
			link := filepath.Join("repositories", repository, "_layers/sha256", hex, "link")
			all = append(all, lack{"blob " + hex, map[string]string{link: hex}})
		}
	}
	return all
}

// get gives nothing where the registry has nothing to give, or breaks off.
func (s *serverOver) get(path string) []byte {
	req, err := http.NewRequest(http.MethodGet, s.url+"/v2/"+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header["Accept"] = storage.ManifestMediaTypes
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil
	}
	return content
}

// tagsIn gives every tag that has a directory.
func tagsIn(v2 string) []string {
	dirs, _ := filepath.Glob(filepath.Join(v2, "repositories/*/*/_manifests/tags/*"))
	var names []string
	for _, dir := range dirs {
		parts := strings.Split(strings.TrimPrefix(dir, v2), "/")
		names = append(names, parts[2]+"/"+parts[3]+":"+parts[6])
	}
	return names
}

func removeFIFOs(t *testing.T, root string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type()&fs.ModeNamedPipe != 0 {
			err = os.Remove(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
