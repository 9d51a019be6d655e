package plan_test

import (
	"encoding/json"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

func trimmed(t *testing.T, tr tree, tag string) plan.Image {
	t.Helper()
	p := tr.plan(t, plan.Rules{Incomplete: plan.TrimIncomplete, Include: []string{tag}, NoReferrers: true})
	if len(p.Images) != 1 || p.Images[0].Trim == nil {
		t.Fatalf("not trimmed: %v", tr.sources(p))
	}
	return p.Images[0]
}

func TestTrim(t *testing.T) {
	// The bytes outside the children are the index's own, odd as they are.
	const (
		head = "{ \"schemaVersion\":2,\n\t\"x-unknown\": {\"manifests\": [1,  2]},\n\"mediaType\" : \"" + ocispec.MediaTypeImageIndex + "\",\n \"manifests\":[\n   "
		tail = "\n ] , \"annotations\":{\"b\":\"\u00e9 <&>\",\"a\":\"\"}  }\n"
		bare = "image ok amd64 base\nimage bad arm64 l-bad\nimage ok2 s390x base\n"
	)
	for _, tt := range []struct{ name, children, want string }{
		{"first", "<@bad> ,\n\n  <@ok>,<@ok2>", "<@ok>,<@ok2>"},
		{"middle", "<@ok> ,\n\n  <@bad>,<@ok2>", "<@ok>,<@ok2>"},
		{"last", "<@ok>,<@ok2>  ,<@bad>", "<@ok>,<@ok2>"},
		{"all but one", "<@bad>,<@bad>,<@ok2>, <@bad>", "<@ok2>"},
		{"unknown fields of children", "<@bad>,{\"y\":[1.50,{}],\"digest\":\"sha256:<ok>\" , \"size\":<ok:size>,\"mediaType\":\"" + ocispec.MediaTypeImageManifest + "\",\"annotations\":{\"k\":\"v\"}}",
			"{\"y\":[1.50,{}],\"digest\":\"sha256:<ok>\" , \"size\":<ok:size>,\"mediaType\":\"" + ocispec.MediaTypeImageManifest + "\",\"annotations\":{\"k\":\"v\"}}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := parse(t, bare, func(b *storagetest.Builder) {
				b.Manifest("multi", ocispec.MediaTypeImageIndex, head+tt.children+tail)
				b.Tag("app", "multi", "multi")
				b.Remove("blob:l-bad")
			})
			i := trimmed(t, tr, "app:multi")
			content := i.Trim.Contents[i.Manifest.Digest]
			diff(t, head+tr.Expand(tt.want)+tail, string(content))
			if i.Manifest.Size != int64(len(content)) || i.Manifest.Digest != digest.FromBytes(content) || i.Target.Digest != i.Manifest.Digest {
				t.Errorf("descriptor %+v, target %+v", i.Manifest, i.Target)
			}
			diff(t, tr.Digest("multi"), i.Trim.Old)
			diff(t, tr.Digest("multi"), i.Source.Digest)
		})
	}
}

func TestTrimNested(t *testing.T) {
	tr := parse(t, `
image ok amd64 base
image bad arm64 l-bad
image ok2 s390x base l2
index sound ok ok2
index inner bad ok
index none bad
index outer sound inner none ok2
list deep outer
tag app deep deep
tag app none none
remove blob:l-bad
`)
	i := trimmed(t, tr, "app:deep")
	if len(i.Trim.Contents) != 3 {
		t.Errorf("%d indexes are new", len(i.Trim.Contents))
	}
	read := func(d digest.Digest) (index ocispec.Index) {
		t.Helper()
		if err := json.Unmarshal(i.Trim.Contents[d], &index); err != nil {
			t.Fatal(err)
		}
		for _, c := range index.Manifests {
			if content, ok := i.Trim.Contents[c.Digest]; ok && int64(len(content)) != c.Size {
				t.Errorf("%s is said to have %d bytes", c.Digest, c.Size)
			}
		}
		return index
	}
	outer := read(read(i.Manifest.Digest).Manifests[0].Digest)
	var got []digest.Digest
	for _, c := range outer.Manifests {
		got = append(got, c.Digest)
	}
	diff(t, []digest.Digest{tr.Digest("sound"), got[1], tr.Digest("ok2")}, got)
	inner := read(got[1])
	diff(t, tr.Digest("ok"), inner.Manifests[0].Digest)
	diff(t, 1, len(inner.Manifests))

	var order, blobs []digest.Digest
	size := int64(0)
	for _, m := range i.Manifests {
		order, size = append(order, m.Digest), size+m.Size
	}
	for _, b := range i.Blobs {
		blobs, size = append(blobs, b.Digest), size+b.Size
	}
	diff(t, []digest.Digest{tr.Digest("ok"), tr.Digest("ok2"), tr.Digest("sound"), got[1], read(i.Manifest.Digest).Manifests[0].Digest, i.Manifest.Digest}, order)
	diff(t, []digest.Digest{tr.Digest("ok-config"), tr.Digest("base"), tr.Digest("ok2-config"), tr.Digest("l2")}, blobs)
	diff(t, size, i.Size)
	diff(t, []string{"linux/amd64", "linux/s390x"}, i.Platforms)

	p := tr.plan(t, plan.Rules{Incomplete: plan.TrimIncomplete, Include: []string{"app:none"}})
	diff(t, []string{"-app:none blob-missing"}, tr.sources(p))
}

// TestTrimNot has indexes that cannot be cut without harm.
func TestTrimNot(t *testing.T) {
	for name, add := range map[string]func(b *storagetest.Builder){
		"a layer of a build cache is gone": func(b *storagetest.Builder) { b.Index("x", "ok", "l-cache"); b.Remove("blob:l-cache") },
		"children said twice": func(b *storagetest.Builder) {
			b.Manifest("x", ocispec.MediaTypeImageIndex, `{"schemaVersion":2,"manifests":[<@ok>],"Manifests":[<@ok>,<@bad>]}`)
		},
		"the content of a child to be cut": func(b *storagetest.Builder) {
			b.Index("inner", "ok", "bad")
			b.Manifest("x", ocispec.MediaTypeImageIndex, `{"schemaVersion":2,"manifests":[{"data":"e30=","digest":"sha256:<inner>","size":<inner:size>}]}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			tr := parse(t, "image ok amd64 base\nimage bad arm64 l-bad\nblob l-cache\n", add, func(b *storagetest.Builder) {
				b.Tag("app", "v1", "x")
				b.Remove("blob:l-bad")
			})
			p := tr.plan(t, plan.Rules{Incomplete: plan.TrimIncomplete})
			if len(p.LeftOut) != 1 {
				t.Errorf("not left out: %v", tr.sources(p))
			}
		})
	}
	t.Run("a layer of a build cache stays", func(t *testing.T) {
		tr := parse(t, "image ok amd64 base\nimage bad arm64 l-bad\nblob l-cache\nindex x ok bad l-cache\ntag app v1 x\nremove blob:l-bad\n")
		i := trimmed(t, tr, "app")
		if last := i.Blobs[len(i.Blobs)-1]; last.Digest != tr.Digest("l-cache") || last.Size == 0 {
			t.Errorf("blobs are %v", i.Blobs)
		}
	})
}
