package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
)

// factsOfContents are about manifests and blobs.
var factsOfContents = []fact{
	{
		name: "the children of an index have to be in its repository before it",
		tree: "image amd amd64 base\nimage arm arm64 base\nindex multi amd arm\nlist list amd arm\ntag fine/multi v1 multi\ntag fine/list v1 list",
		tags: []string{"fine/list:v1", "fine/multi:v1"},
		then: func(t *testing.T, w *world, _ result) {
			for _, repository := range []string{"fine/multi", "fine/list"} {
				at := func(reference string) int {
					return slices.IndexFunc(w.h.Requests(), func(q harbortest.Request) bool {
						return q.Method == "PUT" && q.Path == "/v2/"+repository+"/manifests/"+reference
					})
				}
				amd, arm, tag := at(w.tree.Digest("amd").String()), at(w.tree.Digest("arm").String()), at("v1")
				if amd < 0 || arm < 0 || tag < max(amd, arm) {
					t.Errorf("%s: the children were sent as %d and %d, the index as %d", repository, amd, arm, tag)
				}
			}
			if body := string(w.to.get(t, "/api/v2.0/projects/fine/repositories/multi/artifacts/"+w.tree.Digest("amd").String())); !strings.Contains(body, w.tree.Digest("amd").String()) {
				t.Errorf("the child is not in the API: %.300s", body)
			}
		},
	},
	{
		name: "a blob that a sibling repository has is missing all the same",
		tree: many(6, "image i%d amd64 base\ntag fine/app%d v1 i%d"),
		then: func(t *testing.T, w *world, r result) {
			settled(6, 0, 0)(t, w, r)
			sent, mounted := w.putsOf("base"), w.count("POST", "mount="+w.tree.Digest("base").String()+"|mount=sha256%3A"+w.tree.Digest("base").Encoded())
			if sent != 1 || mounted != 6 {
				t.Errorf("base was sent %d times, and asked for %d times", sent, mounted)
			}
		},
	},
	{
		name: "a wrong size in a descriptor is not checked",
		tree: `
blob layer
blob config {}
manifest wrong application/vnd.oci.image.manifest.v1+json {"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":<@config>,"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:<layer>","size":77}]}
tag fine/app v1 wrong
write layer:fine/app@layer sha256:<layer>
`,
		says: []string{"descriptor-size"}, tags: []string{"fine/app:v1"},
	},
	{
		name: "a digest that does not match",
		tree: "random own 5000\nimage one amd64 base own\nimage two amd64 base\ntag fine/app v1 one\ntag fine/app v2 two\ncorrupt blob:own",
		code: exitLeftOut, says: []string{"own|DIGEST_INVALID|bytes are not"},
		tags: []string{"fine/app:v2"}, then: settled(1, 0, 1),
	},
	{
		name: "a manifest that does not state its media type",
		tree: `
image one amd64 base
manifest typeless - {"schemaVersion":2,"config":<@one-config>,"layers":[<@base>]}
tag fine/app v1 typeless
`,
		tags: []string{"fine/app:v1"},
	},
	{
		name: "a manifest over 4 MiB",
		tree: "large large 4200000 base\nimage one amd64 base\ntag fine/app v1 large\ntag fine/app v2 one",
		code: exitLeftOut, says: []string{"manifest-large.*", "MANIFEST_INVALID"},
		tags: []string{"fine/app:v2"}, then: checks(settled(1, 0, 1), failsOnce("PUT", "fine/app/manifests/v1")),
	},
	{
		name: "a manifest of schema 1 is taken by its digest, and tagged then",
		tree: "schema1 old base\nimage one amd64 base\ntag fine/app v1 old\ntag fine/app v2 one",
		tags: []string{"fine/app:v1", "fine/app:v2"},
		then: func(t *testing.T, w *world, r result) {
			if w.asked("PUT", "fine/app/manifests/v1") || !w.asked("POST", "^/api/v2.0/projects/fine/repositories/app/artifacts/sha256:.*/tags") {
				t.Error("it was not tagged by the API")
			}
			w.h.ResetRequests()
			if r := drydock(t, w.to, "migrate", w.root, w.to.url, "-o", "json"); r.summary.Skipped != 2 {
				t.Errorf("again, of 2 images %d were skipped\n%s", r.summary.Skipped, r.stderr)
			}
		},
	},
	{
		name: "a manifest with a subject",
		tree: "image one amd64 base\nartifact sig application/vnd.example.signature one bytes\ntag fine/app v1 one\npush fine/app sig",
		tags: []string{"fine/app:v1"},
		then: func(t *testing.T, w *world, _ result) {
			w.to.hasReferrer(t, "fine/app", w.tree.Digest("one"), w.tree.Digest("sig"))
		},
	},
	{
		name: "a subject that comes after what refers to it",
		tree: "image one amd64 base\nartifact sig application/vnd.example.signature one bytes\ntag fine/app signature sig\nremove blob:one",
		tags: []string{"fine/app:signature", "fine/app:v1"},
		then: func(t *testing.T, w *world, _ result) {
			_, root := parsedTree(t, "image one amd64 base\ntag fine/app v1 one")
			if r := drydock(t, w.to, "migrate", root, w.to.url); r.code != exitDone {
				t.Error(r.stdout, r.stderr)
			}
			w.to.hasReferrer(t, "fine/app", w.tree.Digest("one"), w.tree.Digest("sig"))
		},
	},
	{
		name: "a tag of cosign's is a tag",
		tree: "image one amd64 base\nimage sig unknown/unknown sig-bytes\ntag fine/app v1 one\ntag fine/app sha256-<one>.sig sig",
		tags: []string{"fine/app:sha256-<one>.sig", "fine/app:v1"},
	},
	{
		name: "a mount across projects takes both rights in one token",
		tree: many(3, "image i%d amd64 base\ntag team%d/app v1 i%d"),
		then: func(t *testing.T, w *world, r result) {
			settled(3, 0, 0)(t, w, r)
			created := 0
			for _, q := range w.h.Requests() {
				if q.Method == "POST" && strings.Contains(q.RawQuery, w.tree.Digest("base").Encoded()) && q.Status == http.StatusCreated {
					created++
				}
			}
			if n := w.putsOf("base"); n != 1 || created != 2 {
				t.Errorf("base was sent %d times and mounted %d times", n, created)
			}
		},
	},
	{
		name: "a mount that is refused with 401",
		tree: many(3, "image i%d amd64 base\ntag team%d/app v1 i%d"),
		setUp: func(_ *testing.T, w *world) {
			w.h.SetFaults(func(r *http.Request) harbortest.Fault {
				if harbortest.Kind(r) == "mount" {
					return harbortest.NoRight
				}
				return harbortest.NoFault
			})
		},
		tags: []string{"team0/app:v1", "team1/app:v1", "team2/app:v1"},
		then: func(t *testing.T, w *world, _ result) {
			if n := w.putsOf("base"); n != 3 {
				t.Errorf("base was sent %d times, want once for each project", n)
			}
		},
	},
	{
		name: "a monolithic POST is not one",
		then: func(t *testing.T, w *world, _ result) {
			if w.asked("POST", "[?&]digest=") || !w.asked("PUT", "blobs/uploads/.*digest=") {
				t.Error("a blob was sent with a POST")
			}
		},
	},
	{
		name: "a foreign layer with urls, whose blob is absent",
		tree: "image win windows/amd64 base foreign:windows\ntag fine/app v1 win",
		says: []string{"foreign-layer"}, tags: []string{"fine/app:v1"},
	},
	{
		name: "a foreign layer with urls that are not http is a 500 for good",
		tree: `
blob away
image one amd64 base
manifest ftp application/vnd.oci.image.manifest.v1+json {"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":<@one-config>,"layers":[{"mediaType":"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip","digest":"sha256:<away>","size":<away:size>,"urls":["ftp://example.com/away"]}]}
tag fine/app v1 ftp
tag fine/app v2 one
remove blob:away
`,
		code: exitLeftOut, says: []string{"MANIFEST_BLOB_UNKNOWN"},
		tags: []string{"fine/app:v2"}, then: failsOnce("PUT", "fine/app/manifests/v1"),
	},
	{
		name: "a blob of no bytes",
		tree: "blob nothing \"\"\nimage empty amd64 base nothing\ntag fine/app v1 empty\ntag finer/app v1 empty",
		tags: []string{"fine/app:v1", "finer/app:v1"},
	},
	{
		name: "configs of Helm's, of no content, and of a type of their own",
		tree: `
helm chart web
artifact thing application/vnd.example.thing - note
blob words "no JSON at all"
blob base
manifest free application/vnd.oci.image.manifest.v1+json {"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.example.config","digest":"sha256:<words>","size":<words:size>},"layers":[<@base>]}
tag fine/chart 0.1.0 chart
tag fine/thing v1 thing
tag fine/free v1 free
write layer:fine/free@words sha256:<words>
`,
		tags: []string{"fine/chart:0.1.0", "fine/free:v1", "fine/thing:v1"},
	},
	{
		name: "an image's config that is not JSON is a 500 for good",
		tree: `
blob words "no JSON at all"
image one amd64 base
manifest wordy application/vnd.oci.image.manifest.v1+json {"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:<words>","size":<words:size>},"layers":[<@base>]}
tag fine/app v1 wordy
tag fine/app v2 one
write layer:fine/app@words sha256:<words>
`,
		args: []string{"--retry-times", "2"},
		code: exitLeftOut, says: []string{"config-not-json.*", "500 Internal Server Error"}, tags: []string{"fine/app:v2"},
		then: func(t *testing.T, w *world, _ result) {
			if n := w.count("PUT", "fine/app/manifests/v1"); n > 3 {
				t.Errorf("%d tries", n)
			}
		},
	},
	{
		name: "an ORAS artifact manifest",
		tree: `
blob note
manifest oras application/vnd.cncf.oras.artifact.manifest.v1+json {"mediaType":"application/vnd.cncf.oras.artifact.manifest.v1+json","artifactType":"application/vnd.example","blobs":[<@note>]}
tag fine/app v1 oras
`,
		code: exitLeftOut, says: []string{"artifact-manifest", "MANIFEST_INVALID"},
		tags: []string{}, then: failsOnce("PUT", "fine/app/manifests/v1"),
	},
}

// putsOf gives how often a blob was sent.
func (w *world) putsOf(name string) int {
	return w.count("PUT", "/blobs/uploads/.*digest=sha256(:|%3A)"+w.tree.Digest(name).Encoded())
}
