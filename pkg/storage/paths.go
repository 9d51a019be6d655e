// Package storage knows the on-disk format of a container registry, the tree
// below docker/registry/v2: it scans one into an Index of repositories, tags
// and manifests, and says what each image needs and what is wrong with it.
//
//	blobs/<algorithm>/<first two digits>/<hex>/data          every byte there is
//	repositories/<repository>/_layers/<algorithm>/<hex>/link
//	repositories/<repository>/_manifests/revisions/<algorithm>/<hex>/link
//	repositories/<repository>/_manifests/tags/<tag>/current/link
//	repositories/<repository>/_manifests/tags/<tag>/index/<algorithm>/<hex>/link
//	repositories/<repository>/_uploads/<uuid>/…
//
// A link is a file that holds a digest. A revision is a manifest that a
// repository has. The format is defined by distribution, in
// registry/storage/paths.go; nothing outside this package knows it.
package storage

import (
	_ "crypto/sha256" // the algorithms that digests may have
	_ "crypto/sha512"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/opencontainers/go-digest"
)

// Root is where a registry's tree lies, below the root directory that it is
// configured with.
const Root = "docker/registry/v2"

const (
	blobsDir        = "blobs"
	repositoriesDir = "repositories"
	manifestsDir    = "_manifests"
	layersDir       = "_layers"
	uploadsDir      = "_uploads"
	tagsDir         = manifestsDir + "/tags"
	revisionsDir    = manifestsDir + "/revisions"
	currentDir      = "current"
	indexDir        = "index"
	linkFile        = "link"
	dataFile        = "data"
)

// Tops are the directories of a tree that may lie on disks of their own: the tree
// itself, by its path, and the two that hold everything.
func Tops(v2 string) []string {
	return []string{v2, filepath.Join(v2, blobsDir), filepath.Join(v2, repositoriesDir)}
}

// BlobPath is where a blob's bytes lie, relative to docker/registry/v2. The
// digest has to be valid.
func BlobPath(d digest.Digest) string {
	return blobsDir + "/" + fanOut(d) + "/" + d.Encoded() + "/" + dataFile
}

// fanOut is a blob's directory of the first two digits, below blobs.
func fanOut(d digest.Digest) string {
	return d.Algorithm().String() + "/" + d.Encoded()[:2]
}

func repositoryPath(repository string) string {
	return repositoriesDir + "/" + repository
}

// RevisionLinkPath is where the link lies that makes a manifest a repository's,
// relative to docker/registry/v2. Here and in the functions below, names and
// digests have to be valid.
func RevisionLinkPath(repository string, d digest.Digest) string {
	return repositoryPath(repository) + "/" + revisionsDir + "/" + linkBelow(d)
}

// linkBelow is where a digest's link lies in a directory of such links.
func linkBelow(d digest.Digest) string {
	return d.Algorithm().String() + "/" + d.Encoded() + "/" + linkFile
}

// LayerLinkPath is where the link lies that makes a blob a repository's.
func LayerLinkPath(repository string, d digest.Digest) string {
	return repositoryPath(repository) + "/" + layersDir + "/" + linkBelow(d)
}

func tagPath(repository, tag string) string {
	return repositoryPath(repository) + "/" + tagsDir + "/" + tag
}

// TagLinkPath is where the link lies that says what a tag names.
func TagLinkPath(repository, tag string) string {
	return tagPath(repository, tag) + "/" + currentDir + "/" + linkFile
}

// TagIndexLinkPath is where the link lies that says that a tag named a manifest
// at some time, as it does now or did before.
func TagIndexLinkPath(repository, tag string, d digest.Digest) string {
	return tagPath(repository, tag) + "/" + indexDir + "/" + linkBelow(d)
}

// The grammars of repository and tag names are those of the OCI distribution
// spec 1.1, "Pulling manifests". The length is what distribution's reference
// package allows.
var (
	repositoryGrammar = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagGrammar        = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
)

const maxRepositoryName = 255 // characters

// ValidRepository tells whether a registry takes this repository name.
func ValidRepository(name string) bool {
	return len(name) <= maxRepositoryName && repositoryGrammar.MatchString(name)
}

// ValidTag tells whether a registry takes this tag.
func ValidTag(name string) bool { return tagGrammar.MatchString(name) }

// noise tells what file systems, desktops and appliances leave in any
// directory. Nothing of it is a name that a registry gives.
func noise(name string) bool {
	switch name {
	case "lost+found", ".snapshot", ".snapshots", ".zfs", // file systems
		"@eaDir", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot", // appliances
		".DS_Store", ".AppleDouble", ".Spotlight-V100", ".Trashes", ".fseventsd", ".TemporaryItems",
		"Thumbs.db", "desktop.ini", "$RECYCLE.BIN", "System Volume Information":
		return true
	}
	return strings.HasPrefix(name, "._") || strings.HasPrefix(name, ".nfs") || strings.HasPrefix(name, ".Trash")
}
