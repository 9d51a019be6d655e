package storage

import (
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Media types of manifests and configs beside those of the OCI image spec. The
// docker ones are defined in distribution's docs, spec/manifest-v2-2.md and
// deprecated-schema-v1.md; the ORAS one in the ORAS artifacts spec, which was
// given up for the OCI's subject field.
const (
	MediaTypeDockerManifest      = "application/vnd.docker.distribution.manifest.v2+json"
	MediaTypeDockerList          = "application/vnd.docker.distribution.manifest.list.v2+json"
	MediaTypeDockerSchema1       = "application/vnd.docker.distribution.manifest.v1+json"
	MediaTypeDockerSchema1Signed = "application/vnd.docker.distribution.manifest.v1+prettyjws"
	MediaTypeDockerConfig        = "application/vnd.docker.container.image.v1+json"
	MediaTypeOCIArtifact         = "application/vnd.oci.artifact.manifest.v1+json"
	MediaTypeORASArtifact        = "application/vnd.cncf.oras.artifact.manifest.v1+json"
)

// ManifestMediaTypes are all types of manifests known here, as they go into an
// Accept header.
var ManifestMediaTypes = []string{
	ocispec.MediaTypeImageIndex,
	ocispec.MediaTypeImageManifest,
	MediaTypeDockerList,
	MediaTypeDockerManifest,
	MediaTypeDockerSchema1Signed,
	MediaTypeDockerSchema1,
	MediaTypeOCIArtifact,
	MediaTypeORASArtifact,
}

// IsIndex tells whether manifests of this type name other manifests.
func IsIndex(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageIndex || mediaType == MediaTypeDockerList
}

// IsSchema1 tells whether this is one of the two types of docker's first schema.
func IsSchema1(mediaType string) bool {
	return mediaType == MediaTypeDockerSchema1 || mediaType == MediaTypeDockerSchema1Signed
}

// IsManifest tells whether the type is one of a manifest, known or, by its
// words, likely.
func IsManifest(mediaType string) bool {
	return slices.Contains(ManifestMediaTypes, mediaType) ||
		strings.Contains(mediaType, ".manifest.") || strings.Contains(mediaType, ".index.")
}

// IsImageConfig tells whether the type is a runnable image's config, which
// names its platform.
func IsImageConfig(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageConfig || mediaType == MediaTypeDockerConfig
}

// guessMediaType works the type of a manifest out of its content, where it does
// not state one, as distribution does when it serves it: only OCI manifests need
// not state theirs, so that docker's config does not make it one of docker's.
// (registry/storage/manifeststore.go and manifest/ocischema)
func guessMediaType(doc *document) string {
	switch {
	case doc.SchemaVersion == 1 && doc.Signatures != nil:
		return MediaTypeDockerSchema1Signed
	case doc.SchemaVersion == 1:
		return MediaTypeDockerSchema1
	case doc.Manifests != nil && doc.Config == nil && doc.Layers == nil:
		return ocispec.MediaTypeImageIndex
	case doc.Manifests == nil && (doc.Config != nil || doc.Layers != nil):
		return ocispec.MediaTypeImageManifest
	case doc.Blobs != nil && doc.ArtifactType != "":
		return MediaTypeOCIArtifact
	default:
		return ""
	}
}
