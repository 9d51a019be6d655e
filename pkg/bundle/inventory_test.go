package bundle_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/bundle"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

func encoded(t testing.TB, inv *bundle.Inventory) string {
	t.Helper()
	var b bytes.Buffer
	if n, err := inv.WriteTo(&b); err != nil || n != int64(b.Len()) {
		t.Fatalf("%d of %d bytes, error %v", n, b.Len(), err)
	}
	return b.String()
}

func decoded(t testing.TB, text string) *bundle.Inventory {
	t.Helper()
	inv, err := bundle.ReadInventory(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return inv
}

// TestInventory: it has every image and every manifest as the index has them, and
// is the same when it was written and read.
func TestInventory(t *testing.T) {
	eachTree(t, func(t *testing.T, tr tree) {
		inv := tr.bundle(t, nil).Inventory()
		text := encoded(t, inv)
		again := decoded(t, text)
		diff(t, text, encoded(t, again))
		diff(t, digest.FromString(text), inv.Digest())
		diff(t, digest.FromString(text), again.Digest())
		diff(t, inv.Images, again.Images)
		diff(t, inv.Blobs, again.Blobs)
		for _, m := range again.Manifests {
			want := tr.x.Manifest(m.Digest)
			if d := cmp.Diff(want, m, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(storage.Manifest{}, "Raw")); d != "" {
				t.Errorf("manifest %s: -want +got:\n%s", m.Digest, d)
			}
		}
		diff(t, len(tr.p.Images), len(inv.Images))
		for _, i := range tr.p.Images {
			of, ok := inv.Image(i.Source.Repository, i.Source.Tag, i.Source.Digest)
			manifests, blobs := inv.Needs(of.Digest)
			size := int64(0)
			for _, m := range manifests {
				size += m.Size
			}
			for _, b := range blobs {
				size += b.Size
			}
			if !ok || size != i.Size || len(manifests) != len(i.Manifests) || len(blobs) != len(i.Blobs) || of.Name() != i.LayoutPath() {
				t.Errorf("%s: %+v of %d bytes", i.Source, of, size)
			}
		}
	})
}

func TestInventoryLookUp(t *testing.T) {
	tr := write(t, sample, plan.Rules{})
	inv := tr.bundle(t, nil).Inventory()
	for _, tt := range []struct {
		repository, tag, digest string
		want                    bool
	}{
		{"library/app", "v1", "", true},
		{"library/app", "v1", "nonsense", true}, // the tag says which
		{"library/app", "", string(tr.Digest("sig")), true},
		{"library/app", "", string(tr.Digest("amd")), false},
		{"library/app", "v2", "", false},
		{"library", "v1", "", false},
	} {
		if _, ok := inv.Image(tt.repository, tt.tag, digest.Digest(tt.digest)); ok != tt.want {
			t.Errorf("%s:%s %s: %v", tt.repository, tt.tag, tt.digest, ok)
		}
	}
	if m, b := inv.Needs("sha256:no"); m != nil || b != nil {
		t.Errorf("%v %v", m, b)
	}
}

// TestInventoryForm: one that was written once is read for ever. Where this
// fails, the version of the form has to change.
func TestInventoryForm(t *testing.T) {
	const text = `{"formatVersion":1,
"base":"sha256:1111111111111111111111111111111111111111111111111111111111111111",
"images":[
{"repository":"a/app","tag":"v1","digest":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","updated":"2024-01-02T03:04:05Z","leftOut":true},
{"repository":"b","digest":"sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"}],
"manifests":[
{"digest":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","mediaType":"application/vnd.oci.image.manifest.v1+json","size":500,"platform":{"architecture":"arm64","os":"linux","variant":"v8"},"blobs":[{"digest":"sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc","mediaType":"application/vnd.oci.image.config.v1+json","size":7},{"digest":"sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd","mediaType":"foreign","size":9,"urls":["https://example.com/d"]}]},
{"digest":"sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","mediaType":"application/vnd.oci.image.index.v1+json","size":600,"artifactType":"x","subject":{"digest":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","size":500},"manifests":[{"digest":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","mediaType":"application/vnd.oci.image.manifest.v1+json","size":500}],"mediaTypeImplied":true,"artifactTypeImplied":true}],
"blobs":[
{"digest":"sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc","size":7,"path":"a/app:v1/cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc","repository":"a/app"}]
}
`
	inv := decoded(t, text)
	diff(t, text, encoded(t, inv))
	m := inv.Manifest(inv.Images[1].Digest)
	if m.Stated || m.ArtifactType != "x" || m.Descriptor.ArtifactType != "" || m.Subject.Size != 500 {
		t.Errorf("%+v", m)
	}
	if !inv.Blobs[0].LeftOut() || inv.Images[0].Updated.Unix() != 1704164645 || !inv.Images[1].Updated.IsZero() {
		t.Errorf("%+v %+v", inv.Blobs, inv.Images)
	}
	decoded(t, strings.Replace(text, `"base"`, `"fromLaterOn":{"a":[1,{}]},"base"`, 1))
	decoded(t, strings.Replace(text, `"size":7,"path"`, `"more":null,"size":7,"path"`, 1))
}

// replaced is a sound inventory with one thing changed.
func replaced(t *testing.T, text, old, with string) string {
	t.Helper()
	if !strings.Contains(text, old) {
		t.Fatalf("there is no %q to replace", old)
	}
	return strings.Replace(text, old, with, 1)
}

// TestInventoryRefused: what does not hold together is refused, with a hint.
func TestInventoryRefused(t *testing.T) {
	tr := write(t, "image one amd64 base\nimage two arm64 base\nindex multi one two\ntag a/app v1 multi\ntag a/app v2 one\n", plan.Rules{})
	text := encoded(t, tr.bundle(t, nil).Inventory())
	decoded(t, text)
	line := func(of string) string { // of a list, with its comma
		at := strings.Index(text, of)
		from, to := strings.LastIndexByte(text[:at], '\n'), at+strings.IndexByte(text[at:], '\n')
		return text[from:to]
	}
	base, other := string(tr.Digest("base")), "sha256:"+strings.Repeat("0", 64)
	for name, changed := range map[string]string{
		"nothing":             "",
		"null":                "null",
		"a list":              "[]",
		"an empty object":     "{}",
		"no version":          replaced(t, text, `"formatVersion":1,`, ""),
		"another version":     replaced(t, text, `"formatVersion":1`, `"formatVersion":2`),
		"a version twice":     replaced(t, text, `"formatVersion":1`, `"formatVersion":1,"formatVersion":1`),
		"half":                text[:len(text)/2],
		"all but the end":     text[:len(text)-3],
		"more behind":         text + "{}",
		"garbage behind":      text + "x",
		"images an object":    replaced(t, text, `"images":[`, `"images":{`),
		"images null":         `{"formatVersion":1,"images":null}`,
		"an image null":       `{"formatVersion":1,"images":[null]}`,
		"a repository":        replaced(t, text, `"repository":"a/app"`, `"repository":"a/../app"`),
		"an absolute one":     replaced(t, text, `"repository":"a/app"`, `"repository":"/app"`),
		"an empty one":        replaced(t, text, `"repository":"a/app"`, `"repository":""`),
		"the inventory's own": replaced(t, text, `"repository":"a/app"`, `"repository":"drydock-inventory.json/x"`),
		"a tag":               replaced(t, text, `"tag":"v1"`, `"tag":"../v1"`),
		"a tag twice":         replaced(t, text, `"tag":"v2"`, `"tag":"v1"`),
		"an image's digest":   replaced(t, text, `"digest":"sha256:`, `"digest":"sha256:x`),
		"a time":              replaced(t, text, `"updated":"2024`, `"updated":"x2024`),
		"an image left out":   replaced(t, text, `"tag":"v1"`, `"tag":"v1","leftOut":true`),
		"no manifest":         strings.Replace(text, line(`{"digest":"`+string(tr.Digest("one"))), "", 1),
		"a manifest twice":    strings.Replace(text, line(`{"digest":"`+string(tr.Digest("one"))), line(`{"digest":"`+string(tr.Digest("one")))+line(`{"digest":"`+string(tr.Digest("one"))), 1),
		"a manifest's size":   replaced(t, text, fmt.Sprintf(`"size":%d,`, len(tr.Bytes("one"))), `"size":-1,`),
		"a large manifest":    replaced(t, text, fmt.Sprintf(`"size":%d,`, len(tr.Bytes("multi"))), `"size":33554433,`),
		"a size over all":     replaced(t, text, `"size":`, `"size":9223372036854775808,"x":`),
		"a size in parts":     replaced(t, text, `"size":`, `"size":1.5,"x":`),
		"no blob":             strings.Replace(text, line(`{"digest":"`+base+`","size":`+fmt.Sprint(len(tr.Bytes("base")))), "", 1),
		"a blob's size":       replaced(t, text, fmt.Sprintf(`"size":%d,"path"`, len(tr.Bytes("base"))), `"size":-1,"path"`),
		"a vast blob":         replaced(t, text, fmt.Sprintf(`"size":%d,"path"`, len(tr.Bytes("base"))), fmt.Sprintf(`"size":%d,"path"`, int64(math.MaxInt64))),
		"a path up":           replaced(t, text, `"path":"a/app:v1/`, `"path":"../a/app:v1/`),
		"a path elsewhere":    replaced(t, text, `"path":"a/app:v1/`, `"path":"a/app/`),
		"a path of nothing":   replaced(t, text, `"path":"a/app:v1/`, `"path":"`),
		"a path of another":   replaced(t, text, `"path":"a/app:v1/`+tr.Digest("base").Encoded(), `"path":"a/app:v1/`+tr.Digest("one-config").Encoded()),
		"a manifest's path":   replaced(t, text, `"path":"a/app:v1/`+tr.Digest("base").Encoded(), `"path":"a/app:v1/manifest.json`),
		"an absolute path":    replaced(t, text, `"path":"a/app:v1/`, `"path":"/a/app:v1/`),
		"no path":             replaced(t, text, `"path":`, `"x":`),
		"left out of nothing": replaced(t, text, `"path":`, `"repository":"a/app","path":`),
		"a blob's repository": replaced(t, text, `"path":`, `"repository":"A","path":`),
		"a base":              replaced(t, text, `"images"`, `"base":"sha256:00","images"`),
		"a base of its own":   replaced(t, text, `"images"`, `"base":"sha512:`+strings.Repeat("0", 128)+`","images"`),
		"a blob twice":        replaced(t, text, `"blobs":[`+"\n{", `"blobs":[`+"\n"+`{"digest":"`+base+`","size":1,"path":"a/app:v1/`+tr.Digest("base").Encoded()+`"},{`),
		"many urls":           replaced(t, text, `"size":`+fmt.Sprint(len(tr.Bytes("base")))+"}", `"size":1,"urls":["`+strings.Repeat(`","`, 40_000)+`"]}`),
		"a child's digest":    replaced(t, text, `"manifests":[{"digest":"sha256:`, `"manifests":[{},{"digest":"sha256:`),
		"a missing child":     replaced(t, text, `"manifests":[{"digest":"`, `"manifests":[{"digest":"`+other+`","size":1},{"digest":"`),
		"itself":              replaced(t, text, `"manifests":[{"digest":"`, `"manifests":[{"digest":"`+string(tr.Digest("multi"))+`","size":1},{"digest":"`),
	} {
		t.Run(name, func(t *testing.T) {
			inv, err := bundle.ReadInventory(strings.NewReader(changed))
			if err == nil || inv != nil || report.Advice(err) == "" {
				t.Errorf("error %v", err)
			}
			if err != nil && len(err.Error()) > 700 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

// TestInventoryNesting: indexes that lie too deep in each other, or in a ring,
// are refused before anyone goes down.
func TestInventoryNesting(t *testing.T) {
	nested := func(depth int, ring bool) string {
		hex := func(n int) string { return fmt.Sprintf("sha256:%064x", n) }
		var manifests []string
		for n := range depth {
			child := ""
			if n < depth-1 || ring {
				child = fmt.Sprintf(`,"manifests":[{"digest":"%s","size":1}]`, hex((n+1)%depth))
			}
			manifests = append(manifests, fmt.Sprintf(`{"digest":"%s","mediaType":"x","size":1%s}`, hex(n), child))
		}
		return fmt.Sprintf(`{"formatVersion":1,"images":[{"repository":"a","tag":"b","digest":"%s"}],"manifests":[%s]}`, hex(0), strings.Join(manifests, ","))
	}
	inv := decoded(t, nested(64, false))
	if manifests, _ := inv.Needs(inv.Images[0].Digest); len(manifests) != 64 {
		t.Errorf("%d manifests", len(manifests))
	}
	for name, text := range map[string]string{
		"deep": nested(65, false), "deeper": nested(10_000, false), "itself": nested(1, true), "a ring": nested(2, true), "a large ring": nested(10_000, true),
	} {
		if _, err := bundle.ReadInventory(strings.NewReader(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestInventoryUnreadable: an error of reading stays what it is.
func TestInventoryUnreadable(t *testing.T) {
	for _, before := range []string{"", "{", `{"formatVersion":1,`, `{"formatVersion":1,"images":[`, `{"formatVersion":1}`} {
		r := io.MultiReader(strings.NewReader(before), errReader{errDisk})
		if _, err := bundle.ReadInventory(r); !errors.Is(err, errDisk) {
			t.Errorf("behind %q: %v", before, err)
		}
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// FuzzInventory: whatever is read without an error holds together, is the same
// when written again, and can be built on.
func FuzzInventory(f *testing.F) {
	tr := write(f, january, plan.Rules{})
	full := tr.bundle(f, nil).Inventory()
	since := tr.bundle(f, &bundle.Options{Since: full}).Inventory()
	for _, inv := range []*bundle.Inventory{full, since} {
		text := encoded(f, inv)
		f.Add(text)
		f.Add(strings.ReplaceAll(text, "c/gone", "b/gone"))
		f.Add(strings.ReplaceAll(text, `"latest"`, `"other"`))
		f.Add(strings.ReplaceAll(text, `"size":`, `"size":1`))
		f.Add(text[:len(text)/2])
	}
	f.Add(`{"formatVersion":1}`)
	f.Add(`{"formatVersion":1,"images":[],"manifests":[],"blobs":[]}`)
	f.Add(`{"formatVersion":1,"base":"sha256:1111111111111111111111111111111111111111111111111111111111111111","images":[null],"manifests":[{}],"blobs":[0]}`)
	f.Fuzz(func(t *testing.T, text string) {
		inv, err := bundle.ReadInventory(strings.NewReader(text))
		if err != nil {
			if report.Advice(err) == "" {
				t.Errorf("no hint: %v", err)
			}
			return
		}
		again := decoded(t, encoded(t, inv))
		diff(t, encoded(t, inv), encoded(t, again))
		for _, i := range inv.Images {
			manifests, _ := inv.Needs(i.Digest)
			if !slices.ContainsFunc(manifests, func(m *storage.Manifest) bool { return m.Digest == i.Digest }) {
				t.Errorf("%s has no manifest", i.Name())
			}
		}
		b, err := bundle.New(tr.x, tr.p, &bundle.Options{Since: inv})
		if err != nil {
			t.Fatalf("building on it: %v", err)
		}
		var archive bytes.Buffer
		res, err := b.Write(t.Context(), tr.src, &archive)
		if err != nil || int64(archive.Len()) != b.Size() {
			t.Fatalf("%d bytes of %d, error %v", archive.Len(), b.Size(), err)
		}
		for _, o := range res.Outcomes {
			if o.Status == report.Failed {
				t.Errorf("%+v", o)
			}
		}
	})
}
