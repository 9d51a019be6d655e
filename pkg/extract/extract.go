// Package extract takes one image out of a source, as what other tools read: an
// OCI layout, an OCI archive, or an archive for docker load.
//
// Manifests, configs and layers keep their bytes. All of them are hashed on the
// way, and what comes out is whole or not there.
package extract

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// Format is what an image becomes.
type Format string

// The formats.
const (
	OCI           Format = "oci"            // a directory, OCI image spec 1.1, image-layout.md
	OCIArchive    Format = "oci-archive"    // the same in a tar
	DockerArchive Format = "docker-archive" // what docker save writes and docker load reads
)

// FormatOf is the format that the name of a file or directory asks for.
func FormatOf(name string) Format {
	switch lower := strings.ToLower(name); {
	case name == "-":
		return DockerArchive
	case strings.HasSuffix(lower, ".oci.tar"), strings.HasSuffix(lower, ".oci"):
		return OCIArchive
	case strings.HasSuffix(lower, ".tar"):
		return DockerArchive
	default:
		return OCI
	}
}

// Valid tells whether the format is one of these.
func (f Format) Valid() bool { return f == OCI || f == OCIArchive || f == DockerArchive }

// ParseReference reads REPOSITORY[:TAG|@DIGEST]; the tag is latest if none is given.
func ParseReference(s string) (plan.Reference, error) {
	bad := func(why string) (plan.Reference, error) {
		return plan.Reference{}, report.WithHint(fmt.Errorf("bad image %q: %s", s, why),
			"write REPOSITORY:TAG or REPOSITORY@DIGEST, as drydock list -o names shows them")
	}
	var r plan.Reference
	name, d, byDigest := strings.Cut(s, "@")
	if byDigest {
		r.Digest = digest.Digest(d)
		if err := r.Digest.Validate(); err != nil {
			return bad(err.Error())
		}
	}
	name, tag, tagged := strings.Cut(name, ":")
	r.Repository = name
	switch {
	case !storage.ValidRepository(name):
		return bad(fmt.Sprintf("%q is no repository", name))
	case byDigest && tagged:
		return bad("a tag and a digest")
	case byDigest:
		return r, nil
	case !tagged:
		tag = "latest"
	case !storage.ValidTag(tag):
		return bad(fmt.Sprintf("%q is no tag", tag))
	}
	r.Tag = tag
	return r, nil
}

// Image is one image of a source, ready to be written.
type Image struct {
	Reference plan.Reference // with its digest
	Manifest  ocispec.Descriptor
	Manifests []*ocispec.Descriptor // children before parents, Manifest last
	Blobs     []*ocispec.Descriptor // each once
	Size      int64                 // bytes of all these

	src   source.Source
	index *storage.Index
}

// Needs tells of a blob's or a manifest's digest, as the names of files have it,
// whether it is a part of the image: its own, or the one that it is kept under.
func (i *Image) Needs() func(digest.Digest) bool {
	needed, kept := map[digest.Digest]bool{}, map[string]bool{}
	need := func(d digest.Digest) { needed[d], kept[i.index.Path(d)] = true, true }
	for _, m := range i.Manifests {
		need(m.Digest)
	}
	for _, b := range i.Blobs {
		need(b.Digest)
	}
	return func(d digest.Digest) bool { return needed[d] || kept[storage.BlobPath(d)] }
}

// In is the image in another source that has the same files, from which it will
// be written.
func (i *Image) In(src source.Source) *Image {
	there := *i
	there.src = src
	return &there
}

// Write writes an archive to w. Where it fails, what was written is not whole.
func (i *Image) Write(ctx context.Context, w io.Writer, f Format) error {
	switch f {
	case OCIArchive:
		return i.writeOCI(ctx, newTarSink(w))
	case DockerArchive:
		return i.writeDocker(ctx, newTarSink(w))
	default:
		return fmt.Errorf("%s is a directory and no archive", f)
	}
}
