package serve_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// answers is what a distribution registry answered over a tree.
type answers struct {
	Repositories map[string]struct {
		Blobs     map[string]int64
		Manifests map[string]struct{ MediaType string }
		Tags      map[string]struct{ Digest, MediaType string }
	}
}

// TestGenuine holds what is served, of trees that real registries left, in
// directories and in archives, against what those registries served.
func TestGenuine(t *testing.T) {
	for location, file := range map[string]string{
		"distribution-3": "distribution-3", "distribution-2.8": "distribution-2.8", "distribution-2.8.tar.gz": "distribution-2.8",
	} {
		t.Run(location, func(t *testing.T) {
			content, err := os.ReadFile("../../testdata/" + file + ".served.json")
			if err != nil {
				t.Fatal(err)
			}
			var want answers
			if err := json.Unmarshal(content, &want); err != nil {
				t.Fatal(err)
			}
			s := open(t, "../../testdata/"+location, plan.Rules{Untagged: true})
			checked := 0
			for name, r := range want.Repositories {
				for tag, is := range r.Tags {
					if storage.IsSchema1(is.MediaType) {
						continue // which a registry signs anew for every answer
					}
					checked++
					s.holdManifest(t, name+"/manifests/"+tag, is.Digest, is.MediaType)
				}
				for d, is := range r.Manifests {
					if !storage.IsSchema1(is.MediaType) {
						checked++
						s.holdManifest(t, name+"/manifests/"+d, d, is.MediaType)
					}
				}
				for d := range r.Blobs {
					checked++
					got := s.ask("GET", "/v2/"+name+"/blobs/"+d)
					if got.status != 200 || digest.Digest(d).Algorithm().FromString(got.body).String() != d {
						t.Errorf("%s, blob %s: status %d, %d bytes", name, d, got.status, len(got.body))
					}
				}
			}
			if checked < 100 {
				t.Errorf("%d answers: this shows too little", checked)
			}
		})
	}
}

func (s *served) holdManifest(t *testing.T, path, d, mediaType string) {
	t.Helper()
	got := s.ask("GET", "/v2/"+path, "Accept: "+strings.Join(storage.ManifestMediaTypes, ", "))
	if got.status != 200 || got.header.Get("Content-Type") != mediaType || digest.FromString(got.body).String() != d {
		t.Errorf("%s: status %d, %s: %s", path, got.status, got.header.Get("Content-Type"), got.body)
	}
}
