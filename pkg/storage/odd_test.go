package storage_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// odd is a tree as they are found, and what is said of it.
type odd struct {
	name     string
	tree     string
	readData bool
	images   string // as describe gives them
	findings string // of a thorough scan
}

func (o odd) run(t *testing.T) {
	b, dir := build(t, o.tree)
	x := scan(t, dir, storage.ScanOptions{Thorough: true, ReadData: o.readData})
	if diff := cmp.Diff(lines(o.images), describe(b, x)); diff != "" {
		t.Errorf("images: %s", diff)
	}
	if diff := cmp.Diff(lines(o.findings), findings(b, x)); diff != "" {
		t.Errorf("findings: %s", diff)
	}
}

func runAll(t *testing.T, all []odd) {
	for _, o := range all {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			o.run(t)
		})
	}
}

const tagLink = "repositories/library/app/_manifests/tags/v1/current/link"

func TestOddLinks(t *testing.T) {
	runAll(t, []odd{
		{name: "sound", tree: sound, images: "library/app:v1 whole"},
		{
			name:     "empty tag link",
			tree:     sound + `write tag:library/app:v1`,
			images:   "library/app:v1 tag-link-empty, perhaps <app>\nlibrary/app@<app> whole",
			findings: "skip tag-link-empty library/app:v1 " + tagLink + "\n",
		},
		{
			name: "empty tag link with two in its history",
			tree: `
				image old amd64 base
				image app amd64 base top
				tag library/app v1 old
				tag library/app v1 app
				write tag:library/app:v1`,
			images: `
				library/app:v1 tag-link-empty
				library/app@<app> whole
				library/app@<old> whole`,
			findings: "skip tag-link-empty library/app:v1 " + tagLink,
		},
		{
			name:     "empty tag link of NUL bytes",
			tree:     sound + `write tag:library/app:v1 "\x00\x00\x00"`,
			images:   "library/app:v1 tag-link-empty, perhaps <app>\nlibrary/app@<app> whole",
			findings: "skip tag-link-empty library/app:v1 " + tagLink,
		},
		{
			name:     "empty revision link",
			tree:     sound + `write revision:library/app@app`,
			images:   "library/app:v1 revision-link-empty, perhaps <app>",
			findings: "skip revision-link-empty library/app:v1 repositories/library/app/_manifests/revisions/sha256/<app>/link",
		},
		{
			name:     "empty revision link without a tag",
			tree:     "image app amd64 base\npush library/app app\nwrite revision:library/app@app",
			findings: "skip revision-link-empty library/app repositories/library/app/_manifests/revisions/sha256/<app>/link",
		},
		{
			name:   "empty revision link of a child",
			tree:   multi + `write revision:library/app@arm`,
			images: "library/app:v1 whole",
			findings: `
				note revision-link-empty library/app repositories/library/app/_manifests/revisions/sha256/<arm>/link`,
		},
		{
			name:     "no revision link of a child",
			tree:     multi + `remove revision:library/app@arm`,
			images:   "library/app:v1 whole",
			findings: "note blob-unlinked library/app:v1 repositories/library/app/_manifests/revisions/sha256/<arm>/link",
		},
		{
			name: "padded",
			tree: sound + `
				write tag:library/app:v1 "sha256:<app>\n"
				write revision:library/app@app " \tsha256:<app>\x00\x00"
				write layer:library/app@base "sha256:<base>\r\n"`,
			images: "library/app:v1 whole",
			findings: `
				note link-padded library/app repositories/library/app/_layers/sha256/<base>/link
				note link-padded library/app repositories/library/app/_manifests/revisions/sha256/<app>/link
				note link-padded library/app:v1 ` + tagLink,
		},
		{
			name:     "no algorithm",
			tree:     sound + `write tag:library/app:v1 "<app>"`,
			images:   "library/app:v1 link-invalid, perhaps <app>\nlibrary/app@<app> whole",
			findings: "skip link-invalid library/app:v1 " + tagLink,
		},
		{
			name:     "unknown algorithm",
			tree:     sound + `write tag:library/app:v1 "blake3:<app>"`,
			images:   "library/app:v1 link-invalid, perhaps <app>\nlibrary/app@<app> whole",
			findings: "skip link-invalid library/app:v1 " + tagLink,
		},
		{
			name:     "wrong length",
			tree:     sound + `write tag:library/app:v1 "sha256:<app>00"`,
			images:   "library/app:v1 link-invalid, perhaps <app>\nlibrary/app@<app> whole",
			findings: "skip link-invalid library/app:v1 " + tagLink,
		},
		{
			name:     "over 1 KiB",
			tree:     sound + `truncate tag:library/app:v1 1000000`,
			images:   "library/app:v1 link-invalid, perhaps <app>\nlibrary/app@<app> whole",
			findings: "skip link-invalid library/app:v1 " + tagLink,
		},
		{
			name: "links that name another digest",
			tree: sound + `
				image other amd64 base
				push library/app other
				write revision:library/app@app sha256:<other>
				write layer:library/app@top sha256:<base>`,
			images: "library/app:v1 link-mismatch, perhaps <app>\nlibrary/app@<other> whole",
			findings: `
				note link-mismatch library/app repositories/library/app/_layers/sha256/<top>/link
				skip link-mismatch library/app:v1 repositories/library/app/_manifests/revisions/sha256/<app>/link`,
		},
		{
			name:     "directory in place of a link",
			tree:     sound + `mkdir tag:library/app:v1`,
			images:   "library/app:v1 link-not-a-file, perhaps <app>\nlibrary/app@<app> whole",
			findings: "skip link-not-a-file library/app:v1 " + tagLink,
		},
		{
			name: "FIFOs in place of links",
			tree: sound + `
				mkfifo tag:library/app:v1
				tag library/app v2 app
				mkfifo revision:library/app@app
				mkfifo layer:library/app@top`,
			images: "library/app:v1 link-not-a-file, perhaps <app>\nlibrary/app:v2 link-not-a-file, perhaps <app>",
			findings: `
				note link-not-a-file library/app repositories/library/app/_layers/sha256/<top>/link
				skip link-not-a-file library/app:v1 ` + tagLink + `
				skip link-not-a-file library/app:v2 repositories/library/app/_manifests/revisions/sha256/<app>/link`,
		},
		{
			name: "file or FIFO in place of a tag's directory",
			tree: sound + `
				write repositories/library/app/_manifests/tags/v2 sha256:<app>
				mkfifo repositories/library/app/_manifests/tags/v3
				write repositories/library/app/_manifests/tags/.keep`,
			images: "library/app:v1 whole\nlibrary/app:v2 link-not-a-file\nlibrary/app:v3 link-not-a-file",
			findings: `
				skip link-not-a-file library/app:v2 repositories/library/app/_manifests/tags/v2/current/link
				skip link-not-a-file library/app:v3 repositories/library/app/_manifests/tags/v3/current/link`,
		},
		{
			name:     "link that is a symbolic link to nowhere",
			tree:     sound + `symlink tag:library/app:v1 /nowhere/at/all`,
			images:   "library/app:v1 link-not-a-file, perhaps <app>\nlibrary/app@<app> whole",
			findings: "skip link-not-a-file library/app:v1 " + tagLink,
		},
		{
			name: "tag's directory that is a symbolic link",
			tree: sound + `
				symlink repositories/library/app/_manifests/tags/alias v1`,
			images: "library/app:alias whole\nlibrary/app:v1 whole",
		},
		{
			name: "leftovers",
			tree: sound + `
				write repositories/library/app/_manifests/tags/v1/current/link.6e0c.tmp sha
				push library/app app
				write repositories/library/app/_manifests/revisions/sha256/<base>/link.6e0d.tmp sha`,
			images: "library/app:v1 whole",
			findings: `
				note link-leftover library/app repositories/library/app/_manifests/revisions/sha256/<base>/link.6e0d.tmp
				note link-leftover library/app ` + tagLink + `.6e0c.tmp`,
		},
		{
			name:   "deleted tag",
			tree:   sound + "tag library/app v2 app\nremove repositories/library/app/_manifests/tags/v2/current",
			images: "library/app:v1 whole\nlibrary/app:v2 tag-deleted, perhaps <app>",
			findings: `
				note tag-deleted library/app:v2 repositories/library/app/_manifests/tags/v2/current/link`,
		},
	})
}

// A tag's finding offers the one digest that its history names; of two, neither.
func TestOfferedByHistory(t *testing.T) {
	offer := "its history names sha256:<app>"
	for damage, want := range map[string]string{
		"write tag:library/app:v1":                                          "it has no bytes; " + offer,
		"remove repositories/library/app/_manifests/tags/v1/current":        offer,
		"image old amd64\ntag library/app v1 old\nwrite tag:library/app:v1": "it has no bytes",
		"remove revision:library/app@app":                                   "",
	} {
		b, dir := build(t, sound+damage)
		for _, f := range scan(t, dir, storage.ScanOptions{}).Findings() {
			if got := b.Symbolic(f.Detail); f.Tag == "v1" && got != want {
				t.Errorf("%s: %s: %q, want %q", damage, f.Code, got, want)
			}
		}
	}
}

func TestOddManifests(t *testing.T) {
	app := "blobs/sha256/<app>/data"
	runAll(t, []odd{
		{
			name:     "no revision link",
			tree:     sound + `remove revision:library/app@app`,
			images:   "library/app:v1 revision-missing, perhaps <app>",
			findings: "skip revision-missing library/app:v1 repositories/library/app/_manifests/revisions/sha256/<app>/link",
		},
		{
			name:     "neither revision link nor blob",
			tree:     sound + "remove revision:library/app@app\nremove blob:app\nremove blob:app-config\nremove blob:base\nremove blob:top\nremove repositories/library/app/_layers",
			images:   "library/app:v1 manifest-missing",
			findings: "skip manifest-missing library/app:v1 " + app,
		},
		{
			name:     "gone",
			tree:     "image app amd64\ntag library/app v1 app\nremove blob:app\nremove blob:app-config\nremove repositories/library/app/_layers",
			images:   "library/app:v1 manifest-missing <app>",
			findings: "skip manifest-missing library/app:v1 " + app,
		},
		{
			name:     "empty",
			tree:     "manifest app x {}\ntag library/app v1 app\nwrite blob:app",
			images:   "library/app:v1 manifest-damaged <app>",
			findings: "skip manifest-damaged library/app:v1 " + app,
		},
		{
			name:     "truncated",
			tree:     "manifest app x {}\ntag library/app v1 app\ntruncate blob:app 1",
			images:   "library/app:v1 manifest-damaged <app>",
			findings: "skip manifest-damaged library/app:v1 " + app,
		},
		{
			name:     "over 32 MiB",
			tree:     "manifest app x {}\ntag library/app v1 app\ntruncate blob:app 5000000000",
			images:   "library/app:v1 manifest-too-large <app>",
			findings: "skip manifest-too-large library/app:v1 " + app,
		},
		{
			name:     "no manifest",
			tree:     "manifest app x {\"schemaVersion\":2}\ntag library/app v1 app",
			images:   "library/app:v1 manifest-invalid <app>",
			findings: "skip manifest-invalid library/app:v1 " + app,
		},
		{
			name:     "media type that no header takes",
			tree:     `manifest app - {"schemaVersion":2,"mediaType":"a/b\r\nX-Evil: 1","layers":[]}` + "\ntag library/app v1 app",
			images:   "library/app:v1 manifest-invalid <app>",
			findings: "skip manifest-invalid library/app:v1 " + app,
		},
		{
			name:     "no JSON, and no tag",
			tree:     "manifest app x nonsense\npush library/app app",
			findings: "skip manifest-invalid library/app " + app,
		},
		{
			name:     "no tags at all",
			tree:     "image app amd64 base\npush library/app app",
			images:   "library/app@<app> whole",
			findings: "note repository-untagged library/app repositories/library/app",
		},
		{
			name:     "no tags left",
			tree:     sound + `remove repositories/library/app/_manifests/tags/v1`,
			images:   "library/app@<app> whole",
			findings: "note repository-untagged library/app repositories/library/app",
		},
		{
			name:   "missing child",
			tree:   multi + "remove blob:arm\nremove revision:library/app@arm\nremove blob:arm-config\nremove blob:top-arm\nremove layer:library/app@top-arm\nremove layer:library/app@arm-config",
			images: "library/app:v1 index-incomplete <arm>",
			findings: `
				skip index-incomplete library/app:v1 blobs/sha256/<arm>/data`,
		},
		{
			name:   "missing layer of a child in a nested index",
			tree:   multi + "index nested multi\ntag library/app v2 nested\nremove blob:top-arm",
			images: "library/app:v1 blob-missing <top-arm>\nlibrary/app:v2 blob-missing <top-arm>",
			findings: `
				note layer-link-dangling library/app repositories/library/app/_layers/sha256/<top-arm>/link
				skip blob-missing library/app:v1 blobs/sha256/<top-arm>/data
				skip blob-missing library/app:v2 blobs/sha256/<top-arm>/data`,
		},
		{
			name:     "index of layers",
			tree:     "blob one\nblob two\nindex cache one two\ntag team/cache c cache",
			images:   "team/cache:c whole",
			findings: "note index-of-layers team/cache:c blobs/sha256/<cache>/data",
		},
		{
			name:     "schema 1",
			tree:     "schema1 old base top\ntag library/old v1 old",
			images:   "library/old:v1 whole",
			findings: "note schema1 library/old:v1 blobs/sha256/<old>/data",
		},
		{
			name:     "no media type",
			tree:     "image app amd64 base\n" + `manifest typeless - {"schemaVersion":2,"config":<@app-config>,"layers":[<@base>]}` + "\ntag library/app v1 typeless\npush library/app app",
			images:   "library/app:v1 whole\nlibrary/app@<app> whole",
			findings: "note media-type-absent library/app:v1 blobs/sha256/<typeless>/data",
		},
		{
			name:     "unknown media type",
			tree:     "blob base\n" + `manifest app - {"schemaVersion":2,"mediaType":"application/vnd.example.manifest.v9+json","layers":[<@base>]}` + "\ntag library/app v1 app",
			images:   "library/app:v1 whole",
			findings: "note media-type-unknown library/app:v1 " + app,
		},
		{
			name:     "artifact manifest",
			tree:     "blob base\n" + `manifest app - {"mediaType":"application/vnd.oci.artifact.manifest.v1+json","artifactType":"a/b","blobs":[<@base>]}` + "\ntag library/app v1 app",
			images:   "library/app:v1 whole",
			findings: "note artifact-manifest library/app:v1 " + app,
		},
		{
			name:   "referrers",
			tree:   sound + "artifact sig a/b app note\nartifact of-sig a/b sig\npush library/app sig\npush library/app of-sig",
			images: "library/app:v1 whole",
		},
		{
			name:     "referrer without its subject",
			tree:     sound + "image other amd64\nartifact sig a/b other note\npush library/app sig\nremove blob:other\nremove blob:other-config",
			images:   "library/app:v1 whole\nlibrary/app@<sig> whole",
			findings: "note subject-missing library/app blobs/sha256/<sig>/data",
		},
		{
			name:   "charts and attestations",
			tree:   "helm chart web\ntag charts/web 1 chart\nimage app amd64\nattestation att app\nindex multi app att\ntag library/app 1 multi",
			images: "charts/web:1 whole\nlibrary/app:1 whole",
		},
	})
}

func TestOddBlobs(t *testing.T) {
	top := "library/app:v1 blobs/sha256/<top>/data"
	runAll(t, []odd{
		{
			name:     "missing",
			tree:     sound + "remove blob:top\nremove layer:library/app@top",
			images:   "library/app:v1 blob-missing <top>",
			findings: "skip blob-missing " + top,
		},
		{
			name:     "directory",
			tree:     sound + `mkdir blob:top`,
			images:   "library/app:v1 blob-not-a-file <top>",
			findings: "skip blob-not-a-file " + top,
		},
		{
			name:     "FIFO",
			tree:     sound + `mkfifo blob:top`,
			readData: true,
			images:   "library/app:v1 blob-not-a-file <top>",
			findings: "skip blob-not-a-file " + top,
		},
		{
			name:     "FIFO for a config",
			tree:     sound + `mkfifo blob:app-config`,
			images:   "library/app:v1 blob-not-a-file <app-config>",
			findings: "skip blob-not-a-file library/app:v1 blobs/sha256/<app-config>/data",
		},
		{
			name:   "FIFOs for directories",
			tree:   sound + "mkfifo blobs/sha256/00\nmkfifo blobs/sha384\nmkfifo repositories/pipe\nmkfifo repositories/library/app/_manifests/revisions/pipe",
			images: "library/app:v1 whole",
		},
		{
			name:     "empty",
			tree:     sound + `write blob:top`,
			images:   "library/app:v1 blob-empty <top>",
			findings: "skip blob-empty " + top,
		},
		{
			name:   "empty, and right",
			tree:   `blob none ""` + "\nimage app amd64 none\ntag library/app v1 app",
			images: "library/app:v1 whole",
		},
		{
			name:     "truncated",
			tree:     sound + `truncate blob:top 5`,
			images:   "library/app:v1 blob-truncated <top>",
			findings: "skip blob-truncated " + top,
		},
		{
			name:     "truncated config",
			tree:     sound + `truncate blob:app-config 5`,
			images:   "library/app:v1 blob-truncated <app-config>",
			findings: "skip blob-truncated library/app:v1 blobs/sha256/<app-config>/data",
		},
		{
			name:   "corrupt, unread",
			tree:   sound + `corrupt blob:top`,
			images: "library/app:v1 whole",
		},
		{
			name:     "corrupt, read",
			tree:     sound + `corrupt blob:top`,
			readData: true,
			images:   "library/app:v1 blob-corrupt <top>",
			findings: "skip blob-corrupt " + top,
		},
		{
			name:     "corrupt config, which is always read",
			tree:     sound + `corrupt blob:app-config`,
			images:   "library/app:v1 blob-corrupt <app-config>",
			findings: "skip blob-corrupt library/app:v1 blobs/sha256/<app-config>/data",
		},
		{
			name:     "descriptor with a wrong size",
			tree:     "image app amd64 base\n" + `manifest odd - {"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":<@app-config>,"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:<base>","size":7}]}` + "\npush library/app app\ntag library/app v1 odd",
			images:   "library/app:v1 whole\nlibrary/app@<app> whole",
			findings: "note descriptor-size blobs/sha256/<base>/data",
		},
		{
			name:   "wrong fan-out",
			tree:   sound + "move blob:top blobs/sha256/zz/<top>/data",
			images: "library/app:v1 blob-missing <top>",
			findings: `
				note blob-misplaced blobs/sha256/zz/<top>/data
				note layer-link-dangling library/app repositories/library/app/_layers/sha256/<top>/link
				skip blob-missing ` + top,
		},
		{
			name:     "no fan-out",
			tree:     sound + "blob stray\nmove blob:stray blobs/sha256/<stray>/data",
			images:   "library/app:v1 whole",
			findings: "note blob-misplaced blobs/sha256/<stray>/data",
		},
		{
			name:     "orphan",
			tree:     sound + "blob orphan",
			images:   "library/app:v1 whole",
			findings: "note blob-unreferenced blobs/sha256/<orphan>/data",
		},
		{
			name: "parts of a deleted image",
			tree: sound + "image old amd64 base old-top\npush library/app old\nremove revision:library/app@old\nremove layer:library/app@old-top\nremove layer:library/app@old-config",
			// The directory of the revision stays.
			images: "library/app:v1 whole",
			findings: `
				note blob-unreferenced blobs/sha256/<old-config>/data
				note blob-unreferenced blobs/sha256/<old-top>/data
				note blob-unreferenced blobs/sha256/<old>/data`,
		},
		{
			name:     "dangling layer link",
			tree:     sound + "blob ghost\nremove blob:ghost\nwrite layer:library/app@ghost sha256:<ghost>",
			images:   "library/app:v1 whole",
			findings: "note layer-link-dangling library/app repositories/library/app/_layers/sha256/<ghost>/link",
		},
		{
			name:     "unlinked layer",
			tree:     sound + `remove layer:library/app@top`,
			images:   "library/app:v1 whole",
			findings: "note blob-unlinked library/app:v1 repositories/library/app/_layers/sha256/<top>/link",
		},
		{
			name:     "foreign layer",
			tree:     "image win windows/amd64 base foreign:remote\ntag library/win v1 win",
			images:   "library/win:v1 whole",
			findings: "note foreign-layer library/win:v1 blobs/sha256/<win>/data",
		},
		{
			name:   "sha512",
			tree:   "image app amd64 sha512:base top\ntag library/app v1 app",
			images: "library/app:v1 whole",
		},
		{
			name:   "sha512 whose blob is missing",
			tree:   "image app amd64 sha512:base top\ntag library/app v1 app\nremove blob:base",
			images: "library/app:v1 blob-missing sha512:<base>",
			findings: `
				note layer-link-dangling library/app repositories/library/app/_layers/sha256/<base>/link
				note layer-link-dangling library/app repositories/library/app/_layers/sha512/<base>/link
				skip blob-missing library/app:v1 blobs/sha256/<base>/data`,
		},
		{
			name:   "sha512 whose link names another blob",
			tree:   "image app amd64 sha512:base top\ntag library/app v1 app\nwrite repositories/library/app/_layers/sha512/<base:sha512>/link sha256:<top>",
			images: "library/app:v1 blob-truncated sha512:<base>",
			findings: `
				note blob-unreferenced blobs/sha256/<base>/data
				skip blob-truncated library/app:v1 blobs/sha256/<top>/data`,
		},
		{
			name:   "sha512 kept as such",
			tree:   "image app amd64 sha512:base top\ntag library/app v1 app\nremove repositories/library/app/_layers/sha512\nmove blob:base blobs/sha512/<base:sha512:2>/<base:sha512>/data",
			images: "library/app:v1 whole",
			findings: `
				note blob-unlinked library/app:v1 repositories/library/app/_layers/sha512/<base>/link
				note layer-link-dangling library/app repositories/library/app/_layers/sha256/<base>/link`,
		},
	})
}

func TestOddRepositories(t *testing.T) {
	runAll(t, []odd{
		{
			name:   "below one another",
			tree:   "image app amd64\ntag a 1 app\ntag a/b 1 app\ntag a/b/c/d/e 1 app",
			images: "a/b/c/d/e:1 whole\na/b:1 whole\na:1 whole",
		},
		{
			name:   "words of the format",
			tree:   "image app amd64\ntag tags/current link app\ntag link current app\ntag blobs/sha256 index app\ntag manifests/tags data app\ntag data/link revisions app",
			images: "blobs/sha256:index whole\ndata/link:revisions whole\nlink:current whole\nmanifests/tags:data whole\ntags/current:link whole",
		},
		{
			name:   "invalid names",
			tree:   "image app amd64\ntag Upper/app v1 app\ntag library/app -v1 app\ntag library/app v+1 app\ntag a__b/c.d v1 app\ntag a..b v1 app",
			images: "a__b/c.d:v1 whole\nlibrary/app@<app> whole",
			findings: `
				skip repository-name repositories/Upper/app
				skip repository-name repositories/a..b
				note repository-untagged library/app repositories/library/app
				skip tag-name library/app repositories/library/app/_manifests/tags/-v1
				skip tag-name library/app repositories/library/app/_manifests/tags/v+1`,
		},
		{
			name:     "uploads only",
			tree:     "random half 5000\nmove blob:half repositories/up/loads/_uploads/6e0c/data\nwrite repositories/up/loads/_uploads/6e0c/startedat 2024-01-01T00:00:00Z",
			findings: "note uploads-leftover up/loads repositories/up/loads/_uploads",
		},
		{
			name:     "uploads beside an image",
			tree:     sound + "write repositories/library/app/_uploads/6e0c/data x\nwrite repositories/library/app/_uploads/6e0c/hashstates/sha256/1 x",
			images:   "library/app:v1 whole",
			findings: "note uploads-leftover library/app repositories/library/app/_uploads",
		},
		{
			name:   "symbolic links",
			tree:   sound + "move repositories ../../../disk\nsymlink repositories ../../../disk\nmove blobs ../../../disk2\nsymlink blobs ../../../disk2\nsymlink ../../../disk/other library",
			images: "library/app:v1 whole\nother/app:v1 whole",
		},
		{
			name:   "loops",
			tree:   sound + "symlink repositories/library/up ..\nsymlink repositories/self self\nsymlink repositories/gone /nowhere/at/all",
			images: "library/app:v1 whole",
			findings: `
				skip repository-loop repositories/gone
				skip repository-loop repositories/library/up
				skip repository-loop repositories/self`,
		},
		{
			name:     "links out of reach within",
			tree:     sound + "symlink repositories/library/app/_manifests/tags /nowhere/at/all",
			images:   "library/app@<app> whole",
			findings: "skip repository-loop library/app repositories/library/app/_manifests/tags",
		},
		{
			name:     "file in place of a directory",
			tree:     sound + "write repositories/other/_manifests x",
			images:   "library/app:v1 whole",
			findings: "skip repository-loop other repositories/other/_manifests/revisions\nskip repository-loop other repositories/other/_manifests/tags",
		},
		{
			name: "noise",
			tree: sound + `
				mkdir repositories/lost+found
				write repositories/.DS_Store x
				write repositories/library/._app x
				write repositories/library/app/.nfs0001 x
				write repositories/library/app/_manifests/.DS_Store x
				write repositories/library/app/_manifests/tags/.DS_Store x
				write repositories/library/app/_manifests/tags/v1/index/.DS_Store x
				write repositories/library/app/_manifests/revisions/.DS_Store x
				write repositories/library/app/_layers/.DS_Store x
				write repositories/@eaDir/library/_manifests/x x
				write repositories/.snapshot/hourly/library/_manifests/x x
				write blobs/.DS_Store x
				write blobs/sha256/.DS_Store x
				mkdir blobs/lost+found`,
			images: "library/app:v1 whole",
		},
		{
			name:     "pull-through cache",
			tree:     sound + `write ../../../scheduler-state.json {}`,
			images:   "library/app:v1 whole",
			findings: "note pull-through-cache scheduler-state.json",
		},
	})
}
