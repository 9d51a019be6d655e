package storage

import (
	"io/fs"
	"iter"
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

// newDigests gives the digests that a directory's names are the second part of.
// They share one string: of so many, what the runtime rounds each up to counts.
func newDigests(algorithm digest.Algorithm, entries []fs.DirEntry) iter.Seq2[int, digest.Digest] {
	var all strings.Builder
	for _, e := range entries {
		all.WriteString(string(newDigest(algorithm, e.Name())))
	}
	return func(yield func(int, digest.Digest) bool) {
		rest := all.String()
		for n, e := range entries {
			length := len(algorithm) + len(":") + len(e.Name())
			if !yield(n, digest.Digest(rest[:length])) {
				return
			}
			rest = rest[length:]
		}
	}
}

// newDigest is a digest by its two parts, of which either may be anything.
func newDigest(algorithm digest.Algorithm, hex string) digest.Digest {
	return digest.Digest(string(algorithm) + ":" + hex)
}
