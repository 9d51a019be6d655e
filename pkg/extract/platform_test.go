package extract_test

import (
	"strings"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/extract"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

const platforms = `
image v3 linux/amd64/v3 one
image plain linux/amd64 two
image plain-arm linux/arm64 three
image arm6 linux/arm/v6 four
image arm7 linux/arm/v7 five
image ltsc2019 windows/amd64 six
image ltsc2022 windows/amd64 seven
index many v3 plain plain-arm arm6 arm7
index fast v3
tag library/app many many
tag library/app fast fast
tag library/app alone plain-arm
manifest windows application/vnd.oci.image.index.v1+json {"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:<ltsc2019>","size":<ltsc2019:size>,"platform":{"os":"windows","architecture":"amd64","os.version":"10.0.17763.6293"}},{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:<ltsc2022>","size":<ltsc2022:size>,"platform":{"os":"windows","architecture":"amd64","os.version":"10.0.20348.2700"}}]}
push library/app ltsc2019
push library/app ltsc2022
tag library/app windows windows
`

// TestPlatforms holds that a platform is found by each of the names that it has,
// and that the plain one goes before a variant that not every machine runs.
func TestPlatforms(t *testing.T) {
	o := openTree(t, platforms)
	for _, test := range []struct{ image, platform, want, err, hint string }{
		{image: "library/app:many", platform: "linux/amd64", want: "plain"},
		{image: "library/app:many", want: "plain"}, // the host's
		{image: "library/app:many", platform: "linux/amd64/v1", want: "plain"},
		{image: "library/app:many", platform: "linux/amd64/v3", want: "v3"},
		{image: "library/app:many", platform: "linux/amd64/v2", err: "nothing for linux/amd64/v2", hint: "it has linux/amd64/v3, linux/amd64, linux/arm64, linux/arm/v6, linux/arm/v7;"},
		{image: "library/app:many", platform: "Linux/x86_64", want: "plain"},
		{image: "library/app:many", platform: "linux/arm64", want: "plain-arm"},
		{image: "library/app:many", platform: "linux/arm64/v8", want: "plain-arm"},
		{image: "library/app:many", platform: "linux/aarch64", want: "plain-arm"},
		{image: "library/app:many", platform: "linux/arm", want: "arm7"},
		{image: "library/app:many", platform: "linux/arm/6", want: "arm6"},
		{image: "library/app:many", platform: "linux/arm/v5", err: "nothing for"},
		{image: "library/app:fast", platform: "linux/amd64", want: "v3"},
		{image: "library/app:alone", platform: "linux/arm64/v8", want: "plain-arm"},
		{image: "library/app:alone", platform: "linux/arm64/v9", err: "is for linux/arm64, not for linux/arm64/v9"},
		{image: "library/app:windows", platform: "windows/amd64", err: "has several images for windows/amd64", hint: "library/app@sha256:<ltsc2019> (10.0.17763.6293), library/app@sha256:<ltsc2022> (10.0.20348.2700)"},
		{image: "library/app:windows", err: "nothing for linux/amd64", hint: "it has windows/amd64;"},
		{image: "library/app@sha256:<ltsc2022>", platform: "windows/amd64", want: "ltsc2022"},
	} {
		i, err := o.find(t, test.image, test.platform, extract.DockerArchive)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) || !strings.Contains(report.Advice(err), o.tree.Expand(test.hint)) {
				t.Errorf("%s for %q: error %v, hint %q", test.image, test.platform, err, report.Advice(err))
			}
			continue
		}
		if err != nil || i.Manifest.Digest != o.tree.Digest(test.want) {
			t.Errorf("%s for %q: %v, want %s; %v", test.image, test.platform, i, test.want, err)
		}
	}
}

func TestValidPlatform(t *testing.T) {
	for s, want := range map[string]bool{"linux/arm64": true, "linux/arm/v7": true, "": false, "arm64": false, "linux/": false, "/arm64": false, "a/b/c/d": false, "a//b": false} {
		if extract.ValidPlatform(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}
