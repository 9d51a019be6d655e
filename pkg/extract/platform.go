package extract

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// ValidPlatform tells whether something is os/architecture[/variant].
func ValidPlatform(s string) bool {
	parts := strings.Split(s, "/")
	return (len(parts) == 2 || len(parts) == 3) && !slices.Contains(parts, "")
}

// offer is an image within an index.
type offer struct {
	digest   digest.Digest
	platform ocispec.Platform
}

// offers are the images within an index, those of indexes in it too.
func offers(x *storage.Index, m *storage.Manifest, seen map[digest.Digest]bool) (all []offer) {
	if seen[m.Digest] {
		return nil
	}
	seen[m.Digest] = true
	for _, c := range m.Manifests {
		child := x.Manifest(c.Digest)
		if child != nil && storage.IsIndex(child.MediaType) {
			all = append(all, offers(x, child, seen)...)
			continue
		}
		p := c.Platform
		if p == nil && child != nil {
			p = child.Platform
		}
		if p != nil && p.OS != "" && p.OS != "unknown" {
			all = append(all, offer{c.Digest, *p})
		}
	}
	return all
}

// pick gives the image of a platform. That of an image which is no index need
// only be right where it was asked for.
func pick(x *storage.Index, m *storage.Manifest, ref plan.Reference, platform string, asked bool) (digest.Digest, error) {
	if !storage.IsIndex(m.MediaType) {
		if asked && m.Platform != nil && nearness(*m.Platform, platform) == 0 {
			return "", fmt.Errorf("%s is for %s, not for %s", ref, name(*m.Platform), platform)
		}
		return m.Digest, nil
	}
	all := offers(x, m, map[digest.Digest]bool{})
	var fit []offer
	for _, o := range all {
		switch n := nearness(o.platform, platform); {
		case n == 0:
		case len(fit) == 0 || n > nearness(fit[0].platform, platform):
			fit = []offer{o}
		case n == nearness(fit[0].platform, platform):
			fit = append(fit, o)
		}
	}
	switch {
	case len(all) == 0:
		return "", fmt.Errorf("%s is an index of no platforms", ref)
	case len(fit) == 0:
		return "", report.WithHint(fmt.Errorf("%s has nothing for %s", ref, platform), "it has "+names(all)+"; --platform takes one of them")
	}
	return fit[0].digest, oneVersion(fit, ref, platform)
}

// oneVersion holds that a platform is one: those of Windows differ in their version
// too, which decides where they run.
func oneVersion(fit []offer, ref plan.Reference, platform string) error {
	if !slices.ContainsFunc(fit, func(o offer) bool { return o.platform.OSVersion != fit[0].platform.OSVersion }) {
		return nil
	}
	var all []string
	for _, o := range fit {
		all = append(all, fmt.Sprintf("%s@%s (%s)", ref.Repository, o.digest, cmp.Or(o.platform.OSVersion, "of no version")))
	}
	return report.WithHint(fmt.Errorf("%s has several images for %s", ref, platform), "take one by its digest: "+strings.Join(all, ", "))
}

// nearness tells how well a platform is the one that is asked for: 0, not at all;
// 1, where any variant is good, since none is asked for; 2, it is that one.
func nearness(p ocispec.Platform, asked string) int {
	os, rest, _ := strings.Cut(asked, "/")
	architecture, variant, _ := strings.Cut(rest, "/")
	want := normal(ocispec.Platform{OS: os, Architecture: architecture, Variant: variant})
	is := normal(p)
	switch {
	case is.OS != want.OS || is.Architecture != want.Architecture:
		return 0
	case is.Variant == want.Variant:
		return 2
	case variant == "":
		return 1
	}
	return 0
}

// otherNames are what uname and others call an architecture.
var otherNames = map[string]string{"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386", "i686": "386"}

// defaults are the variants that are meant where none is named, as containerd has
// it (platforms, database.go).
var defaults = map[string]string{"amd64": "v1", "arm64": "v8", "arm": "v7"}

func normal(p ocispec.Platform) ocispec.Platform {
	architecture := strings.ToLower(p.Architecture)
	architecture = cmp.Or(otherNames[architecture], architecture)
	variant := cmp.Or(strings.ToLower(p.Variant), defaults[architecture])
	if variant != "" && variant[0] != 'v' {
		variant = "v" + variant
	}
	return ocispec.Platform{OS: strings.ToLower(p.OS), Architecture: architecture, Variant: variant}
}

// names lists platforms, each once.
func names(all []offer) string {
	var list []string
	for _, o := range all {
		if n := name(o.platform); !slices.Contains(list, n) {
			list = append(list, n)
		}
	}
	return strings.Join(list, ", ")
}

func name(p ocispec.Platform) string {
	if p.Variant == "" {
		return p.OS + "/" + p.Architecture
	}
	return p.OS + "/" + p.Architecture + "/" + p.Variant
}
