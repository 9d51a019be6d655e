package extract_test

import (
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/extract"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

// opened is a source with what is in it.
type opened struct {
	tree  *storagetest.Builder
	root  string
	src   source.Source
	index *storage.Index
}

func openTree(t *testing.T, text string) *opened {
	t.Helper()
	tree, root := storagetest.Make(t, text)
	o := openAt(t, root)
	o.tree = tree
	return o
}

func openAt(t *testing.T, location string) *opened {
	t.Helper()
	src, err := source.Open(t.Context(), location, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	x, err := storage.Scan(t.Context(), src, &storage.ScanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return &opened{root: location, src: src, index: x}
}

func (o *opened) find(t *testing.T, image, platform string, f extract.Format) (*extract.Image, error) {
	t.Helper()
	if o.tree != nil {
		image = o.tree.Expand(image)
	}
	ref, err := extract.ParseReference(image)
	if err != nil {
		t.Fatal(err)
	}
	return extract.Find(o.src, o.index, extract.Choice{Reference: ref, Platform: platform, Host: "linux/amd64", Format: f})
}

const tree = `
image amd amd64 base top base
image arm linux/arm64/v8 base top-arm
index multi amd arm
image broken s390x base lost
index partly amd broken
index elsewhere broken
image foreign amd64 base foreign:windows
image sums amd64 sha512:base
docker classic amd64 base
helm chart web
schema1 old base
tag library/app latest multi
tag library/app one amd
tag library/app partly partly
tag library/app elsewhere elsewhere
tag library/app foreign foreign
tag library/app classic classic
tag library/app sums sums
tag library/app chart chart
tag library/app old old
tag library/app lost amd
write tag:library/app:lost
remove blob:lost
`

func TestFind(t *testing.T) {
	o := openTree(t, tree)
	tests := []struct {
		image, platform string
		format          extract.Format
		want            string // the manifest's name
		err, hint       string
	}{
		{image: "library/app", format: extract.OCI, want: "multi"},
		{image: "library/app:latest", format: extract.DockerArchive, want: "amd"},
		{image: "library/app", platform: "linux/arm64", format: extract.DockerArchive, want: "arm"},
		{image: "library/app", platform: "linux/arm64/v8", format: extract.OCIArchive, want: "arm"},
		{image: "library/app", platform: "linux/arm64/v7", format: extract.OCI, err: "nothing for linux/arm64/v7", hint: "it has linux/amd64, linux/arm64/v8"},
		{image: "library/app@sha256:<arm>", format: extract.DockerArchive, want: "arm"},
		{image: "library/app:one", platform: "linux/amd64", format: extract.OCI, want: "amd"},
		{image: "library/app:one", platform: "linux/arm64", format: extract.OCI, err: "is for linux/amd64, not for linux/arm64"},
		{image: "library/app:partly", format: extract.OCI, err: "incomplete", hint: "--platform takes what is whole of it: linux/amd64"},
		{image: "library/app:partly", platform: "linux/amd64", format: extract.OCI, want: "amd"},
		{image: "library/app:elsewhere", format: extract.OCI, err: "incomplete", hint: "drydock check"},
		{image: "library/app:elsewhere", format: extract.DockerArchive, err: "nothing for linux/amd64", hint: "linux/s390x"},
		{image: "library/app:foreign", format: extract.OCI, want: "foreign"},
		{image: "library/app:foreign", format: extract.DockerArchive, err: "kept elsewhere", hint: "oci-archive"},
		{image: "library/app:chart", format: extract.OCIArchive, want: "chart"},
		{image: "library/app:chart", format: extract.DockerArchive, err: "no image that docker runs"},
		{image: "library/app:old", format: extract.OCI, err: "first schema", hint: "serve"},
		{image: "library/app:none", format: extract.OCI, err: "has no tag none", hint: "it has chart, classic"},
		{image: "library/none", format: extract.OCI, err: "no repository library/none", hint: "drydock list"},
		{image: "library/app@sha256:<base>", format: extract.OCI, err: "has no manifest"},
		{image: "library/app:lost", format: extract.OCI, err: "a tag's link is an empty file", hint: "--recover"},
	}
	for _, test := range tests {
		t.Run(test.image+" "+test.platform+" "+string(test.format), func(t *testing.T) {
			i, err := o.find(t, test.image, test.platform, test.format)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) || !strings.Contains(report.Advice(err), test.hint) {
					t.Errorf("error %v, hint %q", err, report.Advice(err))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if i.Manifest.Digest != o.tree.Digest(test.want) {
				t.Errorf("manifest %s, want %s", i.Manifest.Digest, o.tree.Digest(test.want))
			}
		})
	}
	ref := plan.Reference{Repository: "library/app", Tag: "lost"}
	i, err := extract.Find(o.src, o.index, extract.Choice{Reference: ref, Format: extract.OCI, Recover: true})
	if err != nil || i.Manifest.Digest != o.tree.Digest("amd") {
		t.Errorf("recovered: %+v, %v", i, err)
	}
}

func TestParseReference(t *testing.T) {
	sum := digest.FromString("x")
	for s, want := range map[string]plan.Reference{
		"a":                      {Repository: "a", Tag: "latest"},
		"a/b:1.0":                {Repository: "a/b", Tag: "1.0"},
		"a/b@" + sum.String():    {Repository: "a/b", Digest: sum},
		"":                       {},
		"A":                      {},
		"a:":                     {},
		"a:.x":                   {},
		"../a":                   {},
		"a:1@" + sum.String():    {},
		"a@sha256:123":           {},
		"host.example.com:5/a:1": {},
	} {
		got, err := extract.ParseReference(s)
		if (err != nil) != (want == plan.Reference{}) || (err == nil && got != want) {
			t.Errorf("%q: %+v, %v", s, got, err)
		}
	}
}

func TestFormatOf(t *testing.T) {
	for name, want := range map[string]extract.Format{
		"-": extract.DockerArchive, "a.tar": extract.DockerArchive, "a.oci.tar": extract.OCIArchive, "a.OCI": extract.OCIArchive, "dir": extract.OCI, "a.tar.d/": extract.OCI,
	} {
		if got := extract.FormatOf(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func FuzzParseReference(f *testing.F) {
	for _, s := range []string{"a", "a/b:1", "a@sha256:" + strings.Repeat("0", 64), "a:1@x", "@", ":", "a:b:c", "../x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := extract.ParseReference(s)
		if err != nil {
			return
		}
		if !storage.ValidRepository(r.Repository) || (r.Tag == "") == (r.Digest == "") || (r.Tag != "" && !storage.ValidTag(r.Tag)) || (r.Digest != "" && r.Digest.Validate() != nil) {
			t.Errorf("%q: %+v", s, r)
		}
		if again, err := extract.ParseReference(r.String()); err != nil || again != r {
			t.Errorf("%q: %+v is not %+v: %v", s, again, r, err)
		}
	})
}
