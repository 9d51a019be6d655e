package storage

import (
	"strings"

	"github.com/opencontainers/go-digest"
)

// validate is Validate of a digest. A tree has so many of them that the regular
// expression which that takes is spared those of sha256.
func validate(d digest.Digest) error {
	hex, ok := strings.CutPrefix(string(d), "sha256:")
	if !ok || len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "" {
		return d.Validate()
	}
	return nil
}

// newDigest is a digest by its two parts, of which either may be anything.
func newDigest(algorithm digest.Algorithm, hex string) digest.Digest {
	return digest.Digest(string(algorithm) + ":" + hex)
}
