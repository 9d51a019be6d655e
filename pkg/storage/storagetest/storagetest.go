// Package storagetest writes registry storage trees from symbolic names, sound
// ones and damaged ones: a test says "the tag v1 leads to multi, whose child
// arm lacks its layer", and every digest is filled in.
//
//	b := storagetest.New()
//	b.Image("amd", "amd64", "base", "app") // layers are made as they are named
//	b.Image("arm", "arm64", "base", "app-arm")
//	b.Index("multi", "amd", "arm")
//	b.Tag("library/app", "v1", "multi")
//	b.Remove("blob:app-arm")
//	err := b.WriteTo(dir) // dir/docker/registry/v2/…
//
// The same as lines of text, for test scripts, is read by Parse. The same calls
// give the same bytes and times.
//
// The on-disk format is written out here once more, on purpose: a mistake about
// it in package storage is not repeated by its tests.
package storagetest

import (
	"crypto/sha256"
	_ "crypto/sha512" // digests of that algorithm
	"fmt"
	"math/rand/v2"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// V2 is where the tree lies below a registry's root directory.
const V2 = "docker/registry/v2"

// Epoch is when the first push of a tree takes place; each one after it comes a
// minute later. The links of a push have its time.
var Epoch = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// Builder gathers what a tree is to hold, and then what is to be damaged. The
// first mistake, such as a name that is not there, is told by WriteTo.
type Builder struct {
	contents map[string]*content
	order    []string // names, as they came
	pushes   []push
	damages  []damage
	err      error
}

// content is a manifest or a blob under its symbolic name.
type content struct {
	bytes      []byte
	descriptor ocispec.Descriptor // as others name it
	manifest   bool
	kept       bool // false for a foreign layer, which no registry has
	parts      []part
}

// part is what a manifest needs from its repository.
type part struct {
	name   string
	digest digest.Digest // under which the manifest names it
}

type push struct {
	repository, tag, name string // no tag: by digest
}

// New starts an empty tree.
func New() *Builder { return &Builder{contents: map[string]*content{}} }

func (b *Builder) fail(format string, args ...any) {
	if b.err == nil {
		b.err = fmt.Errorf(format, args...)
	}
}

// add files a content. The same name again must mean the same bytes.
func (b *Builder) add(name string, c *content) {
	if old := b.contents[name]; old != nil {
		if string(old.bytes) != string(c.bytes) {
			b.fail("%q is two different things", name)
		}
		old.kept = old.kept || c.kept
		return
	}
	if name == "" || strings.ContainsAny(name, "<>@:/ ") {
		b.fail("%q is no symbolic name", name)
	}
	c.descriptor.Digest, c.descriptor.Size = digest.FromBytes(c.bytes), int64(len(c.bytes))
	b.contents[name] = c
	b.order = append(b.order, name)
}

func (b *Builder) lookUp(name string) *content {
	if c := b.contents[name]; c != nil {
		return c
	}
	b.fail("nothing is named %q", name)
	return &content{descriptor: ocispec.Descriptor{Digest: digest.FromString(name)}}
}

// Blob adds a blob. One that no manifest names is an orphan.
func (b *Builder) Blob(name, bytes string) {
	b.add(name, &content{bytes: []byte(bytes), kept: true, descriptor: ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip}})
}

// Random adds a blob of so many bytes, which its name decides.
func (b *Builder) Random(name string, size int) {
	bytes := make([]byte, size)
	rand.NewChaCha8(sha256.Sum256([]byte(name))).Read(bytes)
	b.Blob(name, string(bytes))
}

// Tag pushes a manifest under a tag, with all that it needs. A tag that is
// pushed twice was overwritten: its history keeps the first. Names in a tag are
// expanded, as in "sha256-<app>.sig".
func (b *Builder) Tag(repository, tag, name string) { b.push(repository, b.Expand(tag), name) }

// Push pushes a manifest by its digest.
func (b *Builder) Push(repository, name string) { b.push(repository, "", name) }

func (b *Builder) push(repository, tag, name string) {
	if !b.lookUp(name).manifest {
		b.fail("%q is pushed and no manifest", name)
	}
	b.pushes = append(b.pushes, push{repository, tag, name})
}

// Digest gives what a name stands for.
func (b *Builder) Digest(name string) digest.Digest { return b.lookUp(name).descriptor.Digest }

// Bytes gives what a name stands for, to be left alone.
func (b *Builder) Bytes(name string) []byte { return b.lookUp(name).bytes }

// WriteTo writes the tree below a registry's root directory, then does the
// damages in their order.
func (b *Builder) WriteTo(dir string) error {
	if b.err != nil {
		return fmt.Errorf("building tree: %w", b.err)
	}
	w := &writer{b: b, root: filepath.Join(dir, filepath.FromSlash(V2)), home: dir}
	w.mkdir(filepath.Join(w.root, "blobs"))
	w.mkdir(filepath.Join(w.root, "repositories"))
	for _, name := range b.order {
		if c := b.contents[name]; c.kept {
			w.write(blobPath(c.descriptor.Digest), c.bytes, Epoch)
		}
	}
	for n, p := range b.pushes {
		w.push(p, Epoch.Add(time.Duration(n)*time.Minute))
	}
	if w.err != nil {
		return fmt.Errorf("writing tree: %w", w.err)
	}
	for _, d := range b.damages {
		if err := w.damage(d); err != nil {
			return fmt.Errorf("damaging tree: %s %s: %w", d.verb, d.place, err)
		}
	}
	return nil
}

// push writes a manifest's links, those of its children and those of its blobs.
func (w *writer) push(p push, at time.Time) {
	c, d := w.b.contents[p.name], w.b.contents[p.name].descriptor.Digest
	if p.tag != "" {
		tag := path.Join(manifests(p.repository), "tags", p.tag)
		w.link(path.Join(tag, "current/link"), d, at)
		w.link(path.Join(tag, "index", below(d), "link"), d, at)
	}
	w.link(path.Join(manifests(p.repository), "revisions", below(d), "link"), d, at)
	for _, part := range c.parts {
		own := w.b.contents[part.name]
		if own.manifest {
			w.push(push{repository: p.repository, name: part.name}, at)
			continue
		}
		// Pushed under another algorithm, a blob is kept under its sha256.
		w.link(path.Join(repository(p.repository), "_layers", below(part.digest), "link"), own.descriptor.Digest, at)
		w.link(path.Join(repository(p.repository), "_layers", below(own.descriptor.Digest), "link"), own.descriptor.Digest, at)
	}
}
