// Layouts writes small images as OCI layouts, for scripts/testdata to push with real clients.
//
// Usage:
//
//	layouts [-seed N] [-chart NAME] DIR
//
// Each image is DIR/<id>, an OCI layout whose index.json names one manifest (as "image"), and DIR/<id>.digest is that
// manifest's digest. DIR/chart.tgz is a Helm chart called NAME, and DIR/upload.bin some bytes of a layer nobody
// finishes. The bytes depend on the seed and on nothing else: no clock, no order, no map.
package main

import (
	"crypto/ed25519"
	_ "crypto/sha512" // for digest.SHA512
	"encoding/base64"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Media types that image-spec does not name.
const (
	dockerManifest     = "application/vnd.docker.distribution.manifest.v2+json"
	dockerConfig       = "application/vnd.docker.container.image.v1+json"
	dockerLayer        = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	dockerForeignLayer = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"

	ociForeignLayer = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"

	cosignPayload  = "application/vnd.dev.cosign.simplesigning.v1+json"
	dsseEnvelope   = "application/vnd.dsse.envelope.v1+json"
	inTotoJSON     = "application/vnd.in-toto+json"
	spdxJSON       = "text/spdx+json"
	buildkitConfig = "application/vnd.buildkit.cacheconfig.v0"
)

// epoch is the time of everything that has one.
var epoch = time.Date(2024, time.February, 29, 12, 0, 0, 0, time.UTC)

func main() {
	seed := flag.Uint64("seed", 0, "make other images of the same kind")
	chart := flag.String("chart", "web", "name of the Helm chart")
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *seed, *chart); err != nil {
		fmt.Fprintln(os.Stderr, "layouts:", err)
		os.Exit(1)
	}
}

func run(dir string, seed uint64, chart string) error {
	m := &maker{dir: dir, seed: seed, algorithm: digest.SHA256, blobs: map[digest.Digest][]byte{}}
	for _, put := range []func() error{
		m.images, m.indexes, m.signatures, m.referrers, m.oddities,
		func() error { return m.chart(chart) },
		func() error {
			return os.WriteFile(filepath.Join(dir, "upload.bin"), m.bytes("upload", 1500), 0o644)
		},
	} {
		if err := put(); err != nil {
			return err
		}
	}
	return nil
}

// images makes the single-platform ones, and bases that others share layers with.
func (m *maker) images() error {
	amd64 := platform("linux/amd64")
	base := []layer{m.gzipLayer("base/0"), m.gzipLayer("base/1")}
	same := m.gzipLayer("duplicate")

	web := image{platform: amd64, layers: append(slices.Clone(base), m.gzipLayer("web/0"), m.gzipLayer("web/1"))}
	images := map[string]image{
		"base":       {platform: amd64, layers: base},
		"web":        web,
		"one":        {platform: amd64, layers: []layer{m.gzipLayer("one")}},
		"many":       {platform: amd64, layers: m.gzipLayers("many", 5+m.upTo("many", 4))},
		"plain-tar":  {platform: amd64, layers: []layer{m.tarLayer("plain/0"), m.tarLayer("plain/1")}},
		"duplicate":  {platform: amd64, layers: []layer{same, m.gzipLayer("between"), same}},
		"old":        {platform: amd64, layers: append(slices.Clone(base), m.gzipLayer("old"))},
		"new":        {platform: amd64, layers: append(slices.Clone(base), m.gzipLayer("new"))},
		"deleted":    {platform: amd64, layers: append(slices.Clone(base), m.gzipLayer("deleted"))},
		"untagged":   {platform: amd64, layers: append(slices.Clone(base), m.gzipLayer("untagged"))},
		"words":      {platform: amd64, layers: []layer{m.gzipLayer("words")}},
		"typeless":   {platform: amd64, layers: base, noMediaType: true},
		"docker":     {platform: amd64, layers: append(slices.Clone(base), m.gzipLayer("docker")), docker: true},
		"windows":    {platform: windows(), layers: []layer{m.foreign("windows/base", dockerForeignLayer), m.gzipLayer("windows")}, docker: true},
		"ociforeign": {platform: windows(), layers: []layer{m.foreign("oci/base", ociForeignLayer), m.gzipLayer("ociforeign")}},
	}
	extras := 0
	if m.seed != 0 { // seed 0 is what the repository keeps: only what has a name in the script
		extras = 2 + m.upTo("extras", 5)
	}
	for i := range extras {
		name := fmt.Sprintf("extra-%d", i)
		images[name] = image{platform: amd64, layers: m.gzipLayers(name, 1+m.upTo(name, 4))}
	}
	for id, img := range images {
		if err := m.write(id, m.image(img)); err != nil {
			return err
		}
	}
	return nil
}

// indexes makes the multi-platform ones.
func (m *maker) indexes() error {
	three := m.platformImages("three", "linux/amd64", "linux/arm64/v8", "linux/arm/v7")
	two := m.platformImages("two", "linux/amd64", "linux/arm64")
	if err := m.write("three", m.index(three...)); err != nil {
		return err
	}
	if err := m.write("two", m.index(two...)); err != nil {
		return err
	}

	built := m.platformImages("buildkit", "linux/amd64", "linux/arm64")
	for _, child := range slices.Clone(built) {
		built = append(built, m.attestation(child.Digest))
	}
	if err := m.write("buildkit", m.index(built...)); err != nil {
		return err
	}

	inner := m.index(m.platformImages("inner", "linux/s390x", "linux/ppc64le")...)
	return m.write("nested", m.index(inner, two[0]))
}

// attestation is an image's provenance as BuildKit adds it to an index: a manifest for no platform.
func (m *maker) attestation(subject digest.Digest) ocispec.Descriptor {
	const predicate = "https://slsa.dev/provenance/v0.2"
	statement := mustJSON(map[string]any{
		"_type":         "https://in-toto.io/Statement/v0.1",
		"predicateType": predicate,
		"subject":       []any{map[string]any{"name": "image", "digest": map[string]string{"sha256": subject.Encoded()}}},
		"predicate":     map[string]any{"buildType": "https://mobyproject.org/buildkit@v1", "builder": map[string]string{"id": ""}},
	})
	unknown := &ocispec.Platform{OS: "unknown", Architecture: "unknown"}
	desc := m.image(image{platform: unknown, layers: []layer{{
		Descriptor: m.blob(inTotoJSON, statement, map[string]string{"in-toto.io/predicate-type": predicate}),
		diffID:     digest.FromBytes(statement),
	}}})
	desc.Annotations = map[string]string{
		"vnd.docker.reference.digest": subject.String(),
		"vnd.docker.reference.type":   "attestation-manifest",
	}
	return desc
}

// signatures makes what cosign puts under sha256-<hex>.sig, .att and .sbom for the image "web", with a real Ed25519 signature.
func (m *maker) signatures() error {
	subject, err := m.read("web")
	if err != nil {
		return err
	}
	key := ed25519.NewKeyFromSeed(m.bytes("cosign", ed25519.SeedSize))
	sign := func(b []byte) string { return base64.StdEncoding.EncodeToString(ed25519.Sign(key, b)) }

	payload := mustJSON(map[string]any{
		"critical": map[string]any{
			"identity": map[string]string{"docker-reference": "registry.example.com/team/app/web"},
			"image":    map[string]string{"docker-manifest-digest": subject.String()},
			"type":     "cosign container image signature",
		},
		"optional": nil,
	})
	statement := mustJSON(map[string]any{
		"_type":         "https://in-toto.io/Statement/v0.1",
		"predicateType": "https://cosign.sigstore.dev/attestation/v1",
		"subject":       []any{map[string]any{"name": "web", "digest": map[string]string{"sha256": subject.Encoded()}}},
		"predicate":     map[string]string{"data": base64.StdEncoding.EncodeToString(m.bytes("att", 60))},
	})
	envelope := mustJSON(map[string]any{
		"payloadType": "application/vnd.in-toto+json",
		"payload":     base64.StdEncoding.EncodeToString(statement),
		"signatures":  []any{map[string]string{"keyid": "", "sig": sign(statement)}},
	})

	for _, artifact := range []struct {
		id, mediaType string
		data          []byte
		annotations   map[string]string
	}{
		{"web-sig", cosignPayload, payload, map[string]string{"dev.cosignproject.cosign/signature": sign(payload)}},
		{"web-att", dsseEnvelope, envelope, map[string]string{"dev.cosignproject.cosign/signature": "", "predicateType": "https://cosign.sigstore.dev/attestation/v1"}},
		{"web-sbom", spdxJSON, m.sbom("web"), nil},
	} {
		desc := m.image(image{platform: &ocispec.Platform{}, layers: []layer{{
			Descriptor: m.blob(artifact.mediaType, artifact.data, artifact.annotations),
			diffID:     digest.FromBytes(artifact.data),
		}}})
		if err := m.write(artifact.id, desc); err != nil {
			return err
		}
	}
	return nil
}

// referrers makes an artifact that refers to the image "base" by its subject, and one that refers to that artifact.
func (m *maker) referrers() error {
	base, err := m.read("base")
	if err != nil {
		return err
	}
	sbom := m.artifact("application/vnd.example.sbom.v1", m.blob(spdxJSON, m.sbom("base"), nil), &ocispec.Descriptor{
		MediaType: ocispec.MediaTypeImageManifest, Digest: base, Size: int64(len(m.blobs[base])),
	})
	if err := m.write("referrer", sbom); err != nil {
		return err
	}
	sig := m.blob("application/jose+json", mustJSON(map[string]string{"signature": base64.StdEncoding.EncodeToString(m.bytes("jose", 64))}), nil)
	sbom.ArtifactType, sbom.Annotations = "", nil
	return m.write("referrer-referrer", m.artifact("application/vnd.cncf.notary.signature", sig, &sbom))
}

// oddities makes what is rare and still valid.
func (m *maker) oddities() error {
	if err := m.write("zero", m.artifact("application/vnd.example.marker", m.blob("application/octet-stream", nil, nil), nil)); err != nil {
		return err
	}

	// A manifest with a sha256 digest whose configuration and layers have sha512 ones.
	m.algorithm = digest.SHA512
	long := image{platform: platform("linux/amd64"), layers: m.gzipLayers("sha512", 2)}
	config := m.config(long)
	m.algorithm = digest.SHA256
	if err := m.write("sha512", m.manifest(long, config)); err != nil {
		return err
	}

	// BuildKit's cache of old: an index whose children are layers and a cache config, not manifests.
	cached := m.gzipLayers("cache", 2)
	records := make([]any, len(cached))
	layers := make([]any, len(cached))
	var children []ocispec.Descriptor
	for i, l := range cached {
		records[i] = map[string]any{"digest": digest.FromString(fmt.Sprint("record ", i)), "layers": []any{map[string]int{"layer": i}}}
		layers[i] = map[string]any{"blob": l.Digest, "parent": i - 1}
		l.Annotations = map[string]string{"buildkit/createdat": epoch.Format(time.RFC3339), "containerd.io/uncompressed": l.diffID.String()}
		children = append(children, l.Descriptor)
	}
	cacheConfig := mustJSON(map[string]any{"layers": layers, "records": records})
	return m.write("cache", m.index(append(children, m.blob(buildkitConfig, cacheConfig, nil))...))
}

// chart writes a Helm chart of that name, packaged.
func (m *maker) chart(name string) error {
	notes := base64.StdEncoding.EncodeToString(m.bytes("chart", 300))
	archive := tarball(map[string]string{
		name + "/Chart.yaml":               "apiVersion: v2\nname: \"" + name + "\"\ndescription: A chart of testdata\nversion: 0.1.0\nappVersion: \"1.0\"\n",
		name + "/values.yaml":              "image:\n  repository: team/app/web\n  tag: \"1.0\"\nnotes: " + notes + "\n",
		name + "/templates/configmap.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  notes: {{ .Values.notes | quote }}\n",
	})
	return os.WriteFile(filepath.Join(m.dir, "chart.tgz"), compress(archive), 0o644)
}
