package storagetest

import (
	"encoding/json"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerSchema1  = "application/vnd.docker.distribution.manifest.v1+json"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
	dockerLayer    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	dockerForeign  = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
	helmConfig     = "application/vnd.cncf.helm.config.v1+json"
	helmChart      = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
)

// Image adds an OCI image. The platform is [os/]architecture[/variant]. A layer
// is a blob's name, which is made if it is not there; "foreign:" before it makes
// it one that is kept elsewhere, "sha512:" one that is named by that digest. The
// config is a blob with the name of the image and "-config".
func (b *Builder) Image(name, platform string, layers ...string) {
	b.image(name, ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageConfig, platform, layers)
}

// Docker adds an image of docker's schema 2.
func (b *Builder) Docker(name, platform string, layers ...string) {
	b.image(name, dockerManifest, dockerConfig, platform, layers)
}

func (b *Builder) image(name, mediaType, configType, platform string, layers []string) {
	config := ocispec.Image{Platform: parsePlatform(platform), Author: name}
	config.RootFS.Type = "layers"
	list, parts := b.layers(mediaType == dockerManifest, layers)
	for _, l := range list {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, l.Digest)
	}
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: mediaType, Layers: list}
	m.Config = b.config(name, configType, marshal(config))
	b.addManifest(name, mediaType, marshal(m), append([]part{{name + "-config", m.Config.Digest}}, parts...))
	b.contents[name].descriptor.Platform = &config.Platform
}

func (b *Builder) config(of, mediaType string, bytes []byte) ocispec.Descriptor {
	name := of + "-config"
	b.add(name, &content{bytes: bytes, kept: true, descriptor: ocispec.Descriptor{MediaType: mediaType}})
	return b.contents[name].descriptor
}

func (b *Builder) addManifest(name, mediaType string, bytes []byte, parts []part) {
	b.add(name, &content{bytes: bytes, kept: true, manifest: true, parts: parts, descriptor: ocispec.Descriptor{MediaType: mediaType}})
}

// layers describes layers, and makes those that are new.
func (b *Builder) layers(docker bool, names []string) (list []ocispec.Descriptor, parts []part) {
	for _, name := range names {
		kind, bare, ok := strings.Cut(name, ":")
		if !ok {
			kind, bare = "", name
		}
		c := b.layer(bare, kind != "foreign")
		d := ocispec.Descriptor{MediaType: c.descriptor.MediaType, Digest: c.descriptor.Digest, Size: c.descriptor.Size}
		if docker {
			d.MediaType = dockerLayer
		}
		switch kind {
		case "":
		case "foreign":
			d.URLs = []string{"https://example.com/layers/" + bare}
			d.MediaType = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
			if docker {
				d.MediaType = dockerForeign
			}
			list = append(list, d)
			continue
		case "sha512":
			d.Digest = digest.SHA512.FromBytes(c.bytes)
		default:
			b.fail("%q is no kind of layer", kind)
		}
		list, parts = append(list, d), append(parts, part{bare, d.Digest})
	}
	return list, parts
}

func (b *Builder) layer(name string, kept bool) *content {
	bytes := []byte("the bytes of " + name + "\n")
	if c := b.contents[name]; c != nil {
		bytes = c.bytes
	}
	b.add(name, &content{bytes: bytes, kept: kept, descriptor: ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip}})
	return b.lookUp(name)
}

// Artifact adds an OCI manifest with an artifact type and the empty config; the
// subject, a manifest's name, may be "".
func (b *Builder) Artifact(name, artifactType, subject string, layers ...string) {
	list, parts := b.layers(false, layers)
	m := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		ArtifactType: artifactType, Layers: list, Config: b.config(name, ocispec.MediaTypeEmptyJSON, []byte("{}")),
	}
	if subject != "" {
		of := b.lookUp(subject).descriptor
		m.Subject = &ocispec.Descriptor{MediaType: of.MediaType, Digest: of.Digest, Size: of.Size}
	}
	b.addManifest(name, m.MediaType, marshal(m), append([]part{{name + "-config", m.Config.Digest}}, parts...))
}

// Large adds an artifact whose manifest has an annotation of so many bytes.
func (b *Builder) Large(name string, size int, layers ...string) {
	list, parts := b.layers(false, layers)
	m := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		ArtifactType: "application/vnd.example.large", Layers: list, Config: b.config(name, ocispec.MediaTypeEmptyJSON, []byte("{}")),
		Annotations: map[string]string{"com.example.padding": strings.Repeat("x", size)},
	}
	b.addManifest(name, m.MediaType, marshal(m), append([]part{{name + "-config", m.Config.Digest}}, parts...))
}

// Helm adds a chart.
func (b *Builder) Helm(name, chart string) {
	list, parts := b.layers(false, []string{chart})
	list[0].MediaType = helmChart
	config := b.config(name, helmConfig, marshal(map[string]string{"apiVersion": "v2", "name": name, "version": "0.1.0"}))
	m := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Config: config, Layers: list,
	}
	b.addManifest(name, m.MediaType, marshal(m), append([]part{{name + "-config", config.Digest}}, parts...))
}

// Attestation adds what BuildKit puts beside an image into its index.
func (b *Builder) Attestation(name, of string) {
	b.Image(name, "unknown/unknown", name+"-statement")
	b.contents[name].descriptor.Annotations = map[string]string{
		"vnd.docker.reference.digest": b.Digest(of).String(),
		"vnd.docker.reference.type":   "attestation-manifest",
	}
}

// Index adds an OCI image index. A child that is a blob makes it one as build
// caches have.
func (b *Builder) Index(name string, children ...string) {
	b.index(name, ocispec.MediaTypeImageIndex, children)
}

// List adds docker's manifest list.
func (b *Builder) List(name string, children ...string) { b.index(name, dockerList, children) }

func (b *Builder) index(name, mediaType string, children []string) {
	m := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: mediaType, Manifests: []ocispec.Descriptor{}}
	var parts []part
	for _, child := range children {
		d := b.lookUp(child).descriptor
		m.Manifests, parts = append(m.Manifests, d), append(parts, part{child, d.Digest})
	}
	b.addManifest(name, mediaType, marshal(m), parts)
}

// Schema1 adds an image of docker's first schema as registries keep it: what
// was signed, without the signatures.
func (b *Builder) Schema1(name string, layers ...string) {
	type sum struct {
		BlobSum digest.Digest `json:"blobSum"`
	}
	type history struct {
		V1Compatibility string `json:"v1Compatibility"`
	}
	m := struct {
		SchemaVersion int       `json:"schemaVersion"`
		Name          string    `json:"name"`
		Tag           string    `json:"tag"`
		Architecture  string    `json:"architecture"`
		FSLayers      []sum     `json:"fsLayers"`
		History       []history `json:"history"`
	}{SchemaVersion: 1, Name: name, Tag: "latest", Architecture: "amd64"}
	list, parts := b.layers(true, layers)
	for n, l := range list {
		m.FSLayers = append(m.FSLayers, sum{l.Digest})
		id := digest.FromString(name + layers[n]).Encoded()
		m.History = append(m.History, history{`{"id":"` + id + `","architecture":"amd64","os":"linux"}`})
	}
	bytes, _ := json.MarshalIndent(m, "", "   ")
	b.addManifest(name, dockerSchema1, bytes, parts)
}

// Manifest adds a manifest of any form, expanded from a template; see Expand.
// What the template names by "<@name>" is pushed along with it.
func (b *Builder) Manifest(name, mediaType, template string) {
	var parts []part
	for _, named := range placeholder.FindAllStringSubmatch(template, -1) {
		if bare, ok := strings.CutPrefix(named[1], "@"); ok {
			parts = append(parts, part{bare, b.lookUp(bare).descriptor.Digest})
		}
	}
	b.addManifest(name, mediaType, []byte(b.Expand(template)), parts)
}

func parsePlatform(s string) ocispec.Platform {
	parts := strings.Split(s, "/")
	switch len(parts) {
	case 1:
		return ocispec.Platform{OS: "linux", Architecture: parts[0]}
	case 2:
		return ocispec.Platform{OS: parts[0], Architecture: parts[1]}
	default:
		return ocispec.Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]}
	}
}

// marshal is for values that always can be.
func marshal(v any) []byte {
	bytes, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return bytes
}
