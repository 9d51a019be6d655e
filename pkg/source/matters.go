package source

import (
	"encoding/hex"
	"strings"

	"github.com/opencontainers/go-digest"
)

// junk is what uploads leave over; it is in a directory of this name.
const junk = "_uploads"

// matters tells whether a file may be of use by its path: as part of a
// registry's storage or of layouts, or as the first name of such a file. A
// backup of a whole disk holds much that is not.
func matters(path []string) bool {
	found := false
	for i, part := range path {
		switch part {
		case junk:
			return false
		case "blobs", "repositories":
			found = true
		case "v2":
			found = found || (i >= 2 && path[i-1] == "registry" && path[i-2] == "docker")
		}
	}
	return found || (len(path) > 0 && ofLayout(path[len(path)-1]))
}

// ofLayout tells of names that files of layouts have, and those beside them.
func ofLayout(name string) bool {
	switch name {
	case "manifest.json", "version", "scheduler-state.json", "SHA256SUMS":
		return true
	}
	return isInventory(name) || isDigest(name)
}

// isDigest tells of names of a layout's blobs and manifests: <hex>,
// <hex>.manifest.json, and sha512-<hex> where it is not sha256.
func isDigest(name string) bool {
	name = strings.TrimPrefix(strings.TrimSuffix(name, ".manifest.json"), "sha512-")
	return isHex(name, 64) || isHex(name, 128)
}

// isInventory tells of the list of contents that a bundle has, which may be long.
func isInventory(name string) bool { return strings.HasSuffix(name, "inventory.json") }

// isHex tells digits of a digest, as registries write them.
func isHex(s string, digits int) bool {
	if len(s) != digits {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// ownFile tells whether a file is to be one on disk even where it is small: it
// may be a blob, of which layouts are made by hard links.
func ownFile(path []string) bool {
	for _, part := range path {
		if part == "blobs" {
			return true
		}
	}
	return isDigest(path[len(path)-1])
}

// statedSum is the sha256 that a file's name says it has: blobs/sha256/ab/<hex>/data
// in a registry's storage, <hex> or <hex>.manifest.json in a layout. It need not be true.
func statedSum(path []string) (sum [32]byte, ok bool) {
	name := path[len(path)-1]
	if len(path) >= 4 && name == "data" && path[len(path)-4] == "sha256" {
		name = path[len(path)-2]
	}
	name = strings.TrimSuffix(name, ".manifest.json")
	if !isHex(name, 64) {
		return sum, false
	}
	_, err := hex.Decode(sum[:], []byte(name))
	return sum, err == nil
}

// statedDigest is the digest that a file's name says it has, by whatever algorithm.
func statedDigest(path []string) (digest.Digest, bool) {
	name := path[len(path)-1]
	if len(path) >= 4 && name == "data" {
		d := digest.NewDigestFromEncoded(digest.Algorithm(path[len(path)-4]), path[len(path)-2])
		return d, d.Validate() == nil
	}
	name = strings.TrimPrefix(strings.TrimSuffix(name, ".manifest.json"), "sha512-")
	switch {
	case isHex(name, 64):
		return digest.NewDigestFromEncoded(digest.SHA256, name), true
	case isHex(name, 128):
		return digest.NewDigestFromEncoded(digest.SHA512, name), true
	}
	return "", false
}

// statesSHA512 tells whether a file's name says that it has a sha512.
func statesSHA512(path []string) bool {
	for _, part := range path[max(len(path)-2, 0):] {
		if isHex(strings.TrimSuffix(strings.TrimPrefix(part, "sha512-"), ".manifest.json"), 128) {
			return true
		}
	}
	return false
}
