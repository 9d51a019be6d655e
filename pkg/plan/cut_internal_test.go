package plan

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

var all = func(d digest.Digest) *ocispec.Descriptor { return &ocispec.Descriptor{Digest: d} }

func FuzzCutManifests(f *testing.F) {
	for _, s := range []string{
		`{"manifests":[]}`, `{"manifests":[{"digest":"sha256:00"}]}`, "{\n \"manifests\" : [ \n {\"digest\":\"a\",\"size\":1} , {\"digest\":\"b\"}\n ]\n}",
		`{"manifests":null}`, `{"manifests":{}}`, `{"manifests":1}`, `{"manifests":[1]}`, `[]`, ``, `{`, `{"Manifests":[]}`, `{"manifests":[],"manifests":[{}]}`,
		`{"manifests":[{"digest":"a","digest":"b","size":1}], "x":[1,2]}`, "\ufeff{}", `{"manifests":[{"digest":"a"},]}`, `null`, `"manifests"`,
	} {
		f.Add([]byte(s), byte(1))
	}
	f.Fuzz(func(t *testing.T, index []byte, which byte) {
		same, err := cutManifests(index, all)
		if err != nil {
			return
		}
		if !bytes.Equal(same, index) {
			t.Fatalf("keeping all makes %q of %q", same, index)
		}
		n := 0
		cut, err := cutManifests(index, func(d digest.Digest) *ocispec.Descriptor {
			n++
			switch {
			case which>>(n%8)&1 == 0:
				return nil
			case n%2 == 0:
				return &ocispec.Descriptor{Digest: digest.FromString(string(d)), Size: 12345}
			}
			return all(d)
		})
		if err == nil && json.Valid(index) && !json.Valid(cut) {
			t.Fatalf("%q is cut to %q", index, cut)
		}
	})
}

func FuzzMatch(f *testing.F) {
	for _, s := range [][3]string{
		{"**", "a/b", "v1"}, {"*/b:v*", "a/b", "v1"}, {"a**b", "a/x/b", ""}, {"{a,b**}", "a", "v"}, {"[**]", "a", ""}, {`\**`, "a", ""}, {"a/**", "a/b", "c"},
		{"**:latest", "a", "latest"}, {"***", "a/b/c", "d"}, {"{{a**,b},c}", "ax/y", ""}, {"a@sha256:*", "a", ""}, {"*0", "1", "0"}, {"a**0", "a/x", "0"},
	} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, pattern, repository, tag string) {
		if len(pattern) > 60 || strings.Count(pattern, "*") > 12 {
			return // patterns come from the command line: no one harms but himself
		}
		if (&Rules{Include: []string{pattern}}).Check() != nil {
			return
		}
		ref := Reference{Repository: repository, Tag: tag, Digest: "sha256:00"}
		if storage.ValidRepository(repository) && Match(pattern, ref) && !reaches(pattern, repository) {
			t.Errorf("%q fits %s and does not reach %s", pattern, ref, repository)
		}
		if storage.ValidRepository(repository) && (tag == "" || storage.ValidTag(tag)) && !Match("**", ref) {
			t.Errorf("** does not fit %s", ref)
		}
	})
}

func FuzzParseDestination(f *testing.F) {
	for _, s := range []string{"harbor.example.com", "http://[::1]:5000/old", "docker://a:1/b/c", "u@h", "h:99999", "[::1%25lo]", "https://h//x//", "a:b:c", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDestination(s)
		if err != nil {
			return
		}
		if d.Host == "" || strings.ContainsAny(d.Host, "/@ ?#\\%\x00\n") || (d.Prefix != "" && !storage.ValidRepository(d.Prefix)) {
			t.Errorf("%q is taken as %+v", s, d)
		}
		again, err := ParseDestination(d.Host + "/" + d.Prefix)
		again.PlainHTTP = d.PlainHTTP
		if err != nil || again != d {
			t.Errorf("%q: %+v, and again %+v, error %v", s, d, again, err)
		}
	})
}

func TestReaches(t *testing.T) {
	for _, tt := range []struct {
		pattern, repository string
		want                bool
	}{
		{"team/app:v1", "team/app", true},
		{"team/app:v1", "team", true}, // it may be hidden there
		{"team/app:v1", "other", false},
		{"team/app", "team/application", false},
		{"team/app@sha256:00", "team/app", true},
		{"**:latest", "any/thing", true},
		{"t*/x", "team", true},
		{"{team/app:v1,other:v2}", "other", true},
		{"{team/app,x}", "team/app", true},
	} {
		if got := reaches(tt.pattern, tt.repository); got != tt.want {
			t.Errorf("reaches(%q, %q) is %v", tt.pattern, tt.repository, got)
		}
	}
}

func TestReferrerOf(t *testing.T) {
	hex := strings.Repeat("ab", 32)
	for tag, want := range map[string]digest.Digest{
		"sha256-" + hex:                               digest.Digest("sha256:" + hex),
		"sha256-" + hex + ".sig":                      digest.Digest("sha256:" + hex),
		"sha256-" + hex + ".any.thing":                digest.Digest("sha256:" + hex),
		"sha512-" + strings.Repeat("ab", 64) + ".att": digest.Digest("sha512:" + strings.Repeat("ab", 64)),
		"sha512-" + hex:                               "", // too short
		"sha256-" + hex + "00":                        "",
		"sha256-" + strings.ToUpper(hex):              "",
		"sha256-" + hex + "sig":                       "",
		"sha256-" + hex + ".":                         "",
		"xsha256-" + hex:                              "",
		"md5-" + hex:                                  "",
		"latest":                                      "",
	} {
		if got := referrerOf(tag); got != want {
			t.Errorf("%s refers to %q", tag, got)
		}
	}
}

// TestCutKeepsAll cuts generated indexes without cutting anything, and then to
// each of their children alone.
func TestCutKeepsAll(t *testing.T) {
	blanks := []string{"", " ", "\n", "\t \r\n  "}
	for n := range 200 {
		blank := func(i int) string { return blanks[(n*7+i*3+n/4)%len(blanks)] }
		var children []string
		for i := range n % 5 {
			children = append(children, blank(i)+`{"digest":"`+string(rune('a'+i))+`"`+blank(i+1)+`,"size":`+strings.Repeat("1", i+1)+`}`+blank(i+2))
		}
		index := []byte("{" + blank(1) + `"manifests"` + blank(2) + ":" + blank(3) + "[" + strings.Join(children, ",") + blank(4) + "]" + blank(5) + `,"z":{"manifests":[]}}`)
		got, err := cutManifests(index, all)
		if err != nil || !bytes.Equal(got, index) {
			t.Fatalf("%q becomes %q, error %v", index, got, err)
		}
		for i := range children {
			only := digest.Digest(rune('a' + i))
			got, err := cutManifests(index, func(d digest.Digest) *ocispec.Descriptor {
				if d == only {
					return all(d)
				}
				return nil
			})
			var is ocispec.Index
			if err != nil || json.Unmarshal(got, &is) != nil || len(is.Manifests) != 1 || is.Manifests[0].Digest != only {
				t.Fatalf("%q becomes %q, error %v", index, got, err)
			}
		}
	}
}
