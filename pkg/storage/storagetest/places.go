package storagetest

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
)

// Path gives a place's path relative to docker/registry/v2. A place is one of
//
//	blob:NAME                     the blob's data
//	tag:REPOSITORY:TAG            the tag's link
//	history:REPOSITORY:TAG@NAME   a link in the tag's index directory
//	revision:REPOSITORY@NAME      the manifest's link in the repository
//	layer:REPOSITORY@NAME         the blob's link in the repository
//
// or else a path as it is, in which names are expanded as Expand does. What
// lies above docker/registry/v2 begins with "..".
func (b *Builder) Path(place string) string {
	kind, rest, _ := strings.Cut(place, ":")
	owner, name, _ := strings.Cut(rest, "@")
	at := strings.LastIndex(owner, ":")
	switch kind {
	case "blob":
		return blobPath(b.Digest(rest))
	case "tag":
		if at < 0 {
			break
		}
		return path.Join(manifests(owner[:at]), "tags", owner[at+1:], "current/link")
	case "history":
		if at < 0 {
			break
		}
		return path.Join(manifests(owner[:at]), "tags", owner[at+1:], "index", below(b.Digest(name)), "link")
	case "revision":
		return path.Join(manifests(owner), "revisions", below(b.Digest(name)), "link")
	case "layer":
		return path.Join(repository(owner), "_layers", below(b.Digest(name)), "link")
	default:
		return path.Clean(b.Expand(place))
	}
	b.fail("%q is no place: repository:tag is missing", place)
	return ""
}

func blobPath(d digest.Digest) string {
	return path.Join("blobs", d.Algorithm().String(), d.Encoded()[:2], d.Encoded(), "data")
}

func repository(name string) string { return path.Join("repositories", name) }

func manifests(name string) string { return path.Join(repository(name), "_manifests") }

func below(d digest.Digest) string { return path.Join(d.Algorithm().String(), d.Encoded()) }

var placeholder = regexp.MustCompile(`<(@?[^<>@:/ ]+)(?::(2|size|sha512|sha512:2))?>`)

// Expand fills names in:
//
//	<NAME>         the hexadecimal digits of its sha256
//	<NAME:2>       the first two of them
//	<NAME:sha512>  those of its sha512; <NAME:sha512:2> the first two
//	<NAME:size>    its size in bytes
//	<@NAME>        its descriptor, a JSON object
//
// What is in angle brackets and no name is left as it is.
func (b *Builder) Expand(text string) string {
	return placeholder.ReplaceAllStringFunc(text, func(match string) string {
		parts := placeholder.FindStringSubmatch(match)
		name, described := strings.CutPrefix(parts[1], "@")
		c := b.contents[name]
		switch {
		case c == nil:
			return match
		case described:
			return string(marshal(c.descriptor))
		case parts[2] == "2":
			return c.descriptor.Digest.Encoded()[:2]
		case parts[2] == "sha512":
			return digest.SHA512.FromBytes(c.bytes).Encoded()
		case parts[2] == "sha512:2":
			return digest.SHA512.FromBytes(c.bytes).Encoded()[:2]
		case parts[2] == "size":
			return strconv.Itoa(len(c.bytes))
		default:
			return c.descriptor.Digest.Encoded()
		}
	})
}

// Symbolic is the way back: digests in a text, such as a program's output,
// become names. Both a blob's directories become its name: "blobs/sha256/<app>".
func (b *Builder) Symbolic(text string) string {
	var pairs []string
	seen := map[digest.Digest]bool{}
	for _, name := range b.order {
		c := b.contents[name]
		d := c.descriptor.Digest
		if seen[d] {
			continue
		}
		seen[d] = true
		long := digest.SHA512.FromBytes(c.bytes)
		for _, of := range []string{d.Encoded(), long.Encoded()} {
			pairs = append(pairs, "/"+of[:2]+"/"+of, "/<"+name+">", of, "<"+name+">")
		}
	}
	return strings.NewReplacer(slices.Clip(pairs)...).Replace(text)
}
