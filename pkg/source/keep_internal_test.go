package source

import (
	"strings"
	"testing"
)

// FuzzStatedDigest reads a digest out of any name: what it gives is one, and is in
// the name.
func FuzzStatedDigest(f *testing.F) {
	hex := strings.Repeat("0a", 32)
	for _, name := range []string{
		"blobs/sha256/0a/" + hex + "/data", "blobs/sha512/0a/" + hex + hex + "/data", "blobs/sha256/0a/" + hex[1:] + "/data",
		"app:v1/" + hex, "app:v1/" + hex + ".manifest.json", "app:v1/sha512-" + hex + hex, "data", "a/b/c/data", "//" + hex + "//data", "",
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		d, ok := statedDigest(strings.Split(name, "/"))
		if ok && (d.Validate() != nil || !strings.Contains(name, d.Encoded())) {
			t.Errorf("%q: %q", name, d)
		}
	})
}
