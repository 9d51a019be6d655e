package serve_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
)

// pages follows the links of a list, and gives its pages.
func (s *served) pages(path, key string) (pages [][]string) {
	s.t.Helper()
	for path != "" {
		got := s.ask("GET", path)
		var doc map[string]any
		if err := json.Unmarshal([]byte(got.body), &doc); err != nil || got.status != 200 {
			s.t.Fatalf("%s: status %d: %s", path, got.status, got.body)
		}
		page := []string{}
		for _, name := range doc[key].([]any) {
			if d, ok := name.(map[string]any); ok {
				name = d["digest"]
			}
			page = append(page, name.(string))
		}
		pages = append(pages, page)
		path = next(s.t, got)
	}
	return pages
}

var nextLink = regexp.MustCompile(`^<(.*)>; rel="next"$`)

func next(t *testing.T, a answer) string {
	t.Helper()
	link := a.header.Get("Link")
	if link == "" {
		return ""
	}
	parts := nextLink.FindStringSubmatch(link)
	if parts == nil {
		t.Fatalf("Link %q", link)
	}
	return parts[1]
}

func TestLists(t *testing.T) {
	s := start(t, tree, plan.Rules{})
	tests := []struct {
		path, key string
		want      [][]string
	}{
		{"/v2/_catalog", "repositories", [][]string{{"library/app", "other/app"}}},
		{"/v2/_catalog?n=1", "repositories", [][]string{{"library/app"}, {"other/app"}}},
		{"/v2/_catalog?last=library/b", "repositories", [][]string{{"other/app"}}},
		{"/v2/_catalog?last=zzz", "repositories", [][]string{{}}},
		{"/v2/library/app/tags/list", "tags", [][]string{{"classic", "list", "v1", "v2"}}},
		{"/v2/library/app/tags/list?n=3", "tags", [][]string{{"classic", "list", "v1"}, {"v2"}}},
		{"/v2/library/app/tags/list?n=2", "tags", [][]string{{"classic", "list"}, {"v1", "v2"}}},
		{"/v2/library/app/tags/list?n=4", "tags", [][]string{{"classic", "list", "v1", "v2"}}},
		{"/v2/library/app/tags/list?n=9&last=list", "tags", [][]string{{"v1", "v2"}}},
		{"/v2/library/app/tags/list?n=0", "tags", [][]string{{}}},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, s.pages(test.path, test.key)); diff != "" {
			t.Errorf("%s:\n%s", test.path, diff)
		}
	}
	for _, n := range []string{"-1", "x", "99999999999999999999", ""} {
		if got := s.ask("GET", "/v2/_catalog?n="+n); got.status != 400 || got.code() != "PAGINATION_NUMBER_INVALID" {
			t.Errorf("n=%s: status %d, %s", n, got.status, got.body)
		}
	}
	if got := s.ask("GET", "/v2/no/such/tags/list"); got.status != 404 || got.code() != "NAME_UNKNOWN" {
		t.Errorf("status %d, %s", got.status, got.body)
	}
}

func TestReferrers(t *testing.T) {
	s := start(t, tree, plan.Rules{})
	tests := []struct{ path, want, filters string }{
		{"<amd>", "<sbom> <signature>", ""},
		{"<amd>?artifactType=application/vnd.example.sbom", "<sbom>", "artifactType"},
		{"<amd>?artifactType=no/such", "", "artifactType"},
		{"<sbom>", "<deep>", ""},
		{"<multi>", "", ""},
		{"<alone>", "", ""},
	}
	for _, test := range tests {
		got := s.ask("GET", "/v2/library/app/referrers/"+test.path)
		var list ocispec.Index
		if err := json.Unmarshal([]byte(got.body), &list); err != nil || got.status != 200 || list.Manifests == nil {
			t.Fatalf("%s: status %d: %s", test.path, got.status, got.body)
		}
		want := map[string]bool{}
		for _, d := range strings.Fields(s.expand(test.want)) {
			want[d] = true
		}
		found := map[string]bool{}
		for _, d := range list.Manifests {
			found[d.Digest.String()] = true
			if d.ArtifactType == "" || d.MediaType != ociManifest || d.Size == 0 {
				t.Errorf("%s: %+v", test.path, d)
			}
		}
		if diff := cmp.Diff(want, found); diff != "" {
			t.Errorf("%s:\n%s", test.path, diff)
		}
		if got.header.Get("OCI-Filters-Applied") != test.filters || got.header.Get("Content-Type") != ociIndex || list.SchemaVersion != 2 {
			t.Errorf("%s: %v, %s", test.path, got.header, got.body)
		}
	}
	if got := s.ask("GET", "/v2/library/app/referrers/v1"); got.status != 400 || got.code() != "DIGEST_INVALID" {
		t.Errorf("a tag: status %d, %s", got.status, got.body)
	}
}

// TestManyReferrers has more of them than go into one answer.
func TestManyReferrers(t *testing.T) {
	var text strings.Builder
	text.WriteString("image amd amd64 base\ntag library/app v1 amd\n")
	note := strings.Repeat("x", 1<<20)
	for n := range 8 {
		fmt.Fprintf(&text, `manifest ref%d %s {"schemaVersion":2,"mediaType":%q,"artifactType":"a/%d","config":<@base>,"layers":[],"subject":{"mediaType":%q,"digest":"sha256:<amd>","size":1},"annotations":{"note":%q}}`+"\npush library/app ref%d\n",
			n, ociManifest, ociManifest, n%2, ociManifest, fmt.Sprint(note, n), n)
	}
	s := start(t, text.String(), plan.Rules{})
	for _, filter := range []string{"", "?artifactType=" + url.QueryEscape("a/1")} {
		want := 8
		if filter != "" {
			want = 4
		}
		pages := s.pages(s.expand("/v2/library/app/referrers/<amd>")+filter, "manifests")
		seen := map[string]bool{}
		for _, page := range pages {
			for _, d := range page {
				seen[d] = true
			}
		}
		if len(seen) != want || len(pages) < 2 {
			t.Errorf("%q: %d referrers in %d pages", filter, len(seen), len(pages))
		}
	}
}
