package source_test

import (
	"crypto/sha512"
	"fmt"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

// TestKeep unpacks of an archive what is wanted, wherever its name says which
// bytes it has. What says what is in the archive can be read all the same.
func TestKeep(t *testing.T) {
	wanted, other := strings.Repeat("wanted ", 3000), strings.Repeat("other ", 3000)
	long := strings.Repeat("long ", 3000)
	sum512 := fmt.Sprintf("%x", sha512.Sum512([]byte(long)))
	manifest := "{" + strings.Repeat(" ", 9000) + "}"
	content := gzipped(t, tape(
		blob(wanted), blob(other), blob("small"), blob(manifest), file(tagV1, "sha256:x"),
		gnuLong('L', v2+"blobs/sha512/"+sum512[:2]+"/"+sum512+"/data", file("data", long)),
		file("layouts/app:v1/"+digest.FromString(other).Encoded(), other),
		file("layouts/app:v1/"+digest.FromString(other).Encoded()+".manifest.json", other),
		gnuLong('L', "layouts/app:v1/sha512-"+sum512, file("data", long)),
	))
	path := save(t, "a.tgz", content)
	for _, test := range []struct {
		name   string
		wanted []digest.Digest
		unpack bool
		disk   []string // what is unpacked
	}{
		{"nothing", nil, false, nil},
		{"nothing, unpacked", nil, true, nil},
		{"one", []digest.Digest{digest.FromString(wanted)}, true, []string{wanted}},
		{"by another algorithm", []digest.Digest{digest.SHA512.FromString(long), digest.FromString("small")}, true, []string{long, "small"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			opts := &source.Options{Keep: func(d digest.Digest) bool {
				for _, w := range test.wanted {
					if d == w {
						return true
					}
				}
				return false
			}}
			dir := t.TempDir()
			if test.unpack {
				opts.Unpack = dir
			}
			src := openWith(t, path, opts)
			got := places(t, dir)
			for _, c := range test.disk {
				sum := digest.FromString(c).Encoded()
				if got[sum] == "" {
					t.Errorf("%.10s… is not there", c)
				}
				delete(got, sum)
			}
			if len(got) > 0 {
				t.Errorf("there are more: %v", got)
			}
			if got := read(src, blobName(digest.FromString(other))); got != "error: its bytes were not kept" {
				t.Errorf("what is not wanted: %.50s", got)
			}
			if info, err := src.Stat(blobName(digest.FromString(other))); err != nil || info.Size() != int64(len(other)) {
				t.Errorf("its size: %v, %v", info, err)
			}
			if _, known := src.(source.DigestFS).Digest(blobName(digest.FromString(other)), digest.SHA256); known {
				t.Error("it was hashed")
			}
			if got := read(src, "repositories/app/_manifests/tags/v1/current/link"); got != "sha256:x" {
				t.Errorf("a link: %s", got)
			}
			if test.unpack {
				return // a second look, at what the first one found out
			}
			if got := read(src, blobName(digest.FromString(manifest))); got != manifest {
				t.Errorf("a manifest: %.50s", got)
			}
		})
	}
}
