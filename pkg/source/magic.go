package source

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// format is how a file is packed, as its first bytes say.
type format string

const (
	unknownFormat format = ""
	tarFormat     format = "tar"
	gzipFormat    format = "gzip"
	zstdFormat    format = "zstd"
	xzFormat      format = "xz"
	bzip2Format   format = "bzip2"
)

// sniff tells formats by a file's first bytes, of which there should be so many
// as notAnArchive needs.
func sniff(first []byte) format {
	if f := sniffCompression(first); f != unknownFormat {
		return f
	}
	rest := first
	for len(rest) >= blockSize && isZero(rest[:blockSize]) {
		rest = rest[blockSize:] // an empty tar, and archives behind one
	}
	switch {
	case len(rest) >= blockSize && isHeader((*[blockSize]byte)(rest)), len(first) >= blockSize && isZero(rest):
		return tarFormat
	default:
		return unknownFormat
	}
}

func sniffCompression(b []byte) format {
	switch {
	case bytes.HasPrefix(b, []byte{0x1f, 0x8b, 8}):
		return gzipFormat
	case bytes.HasPrefix(b, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return zstdFormat
	case len(b) >= 4 && b[0]&0xf0 == 0x50 && bytes.Equal(b[1:4], []byte{0x2a, 0x4d, 0x18}): // a frame to skip
		return zstdFormat
	case bytes.HasPrefix(b, []byte("\xfd7zXZ\x00")):
		return xzFormat
	case len(b) >= 10 && string(b[:3]) == "BZh" && b[3] >= '1' && b[3] <= '9' &&
		(string(b[4:10]) == "1AY&SY" || string(b[4:10]) == "\x17rE8P\x90"):
		return bzip2Format
	default:
		return unknownFormat
	}
}

// other is what people give that is no archive drydock reads.
type other struct {
	magic  string
	at     int
	name   string
	advice string
}

const pipeAdvice = " | drydock … -"

var others = []other{
	{"PK\x03\x04", 0, "a zip archive", "unzip -p FILE" + pipeAdvice + " if there is one tar in it; else unpack it"},
	{"PK\x05\x06", 0, "an empty zip archive", "make a tar of the registry's storage: tar -cf registry.tar -C /var/lib/registry ."},
	{"7z\xbc\xaf\x27\x1c", 0, "a 7z archive", "7z x -so FILE" + pipeAdvice + " if there is one tar in it; else unpack it"},
	{"Rar!\x1a\x07", 0, "a rar archive", "unrar p -inul FILE" + pipeAdvice + " if there is one tar in it; else unpack it"},
	{"\x04\x22\x4d\x18", 0, "compressed with lz4", "lz4 -dc FILE" + pipeAdvice},
	{"\x02\x21\x4c\x18", 0, "compressed with lz4", "lz4 -dc FILE" + pipeAdvice},
	{"\x1f\x9d", 0, "compressed with compress", "gzip -dc FILE" + pipeAdvice},
	{"LZIP", 0, "compressed with lzip", "lzip -dc FILE" + pipeAdvice},
	{"\x89LZO", 0, "compressed with lzop", "lzop -dc FILE" + pipeAdvice},
	{"\x5d\x00\x00", 0, "compressed with lzma", "xz -dc --format=lzma FILE" + pipeAdvice},
	{"\xff\x06\x00\x00sNaPpY", 0, "compressed with snappy", "decompress it first" + pipeAdvice},
	{"070701", 0, "a cpio archive", "unpack it: cpio -id < FILE"},
	{"070707", 0, "a cpio archive", "unpack it: cpio -id < FILE"},
	{"hsqs", 0, "a squashfs image", "mount it, and give the directory"},
	{"!<arch>\n", 0, "an ar archive or a Debian package", "give the registry's storage directory, or a tar of it"},
	{"\xed\xab\xee\xdb", 0, "an RPM package", "give the registry's storage directory, or a tar of it"},
	{"CD001", 0x8001, "an ISO image", "mount it, and give the directory"},
	{"\x53\xef", 0x438, "an image of a file system", "mount it, and give the directory"},
	{"QFI\xfb", 0, "the disk of a virtual machine", "mount it, and give the directory"},
	{"KDMV", 0, "the disk of a virtual machine", "mount it, and give the directory"},
	{"Salted__", 0, "encrypted with openssl", "openssl enc -d … -in FILE" + pipeAdvice},
	{"age-encryption.org/", 0, "encrypted with age", "age -d FILE" + pipeAdvice},
	{"-----BEGIN PGP", 0, "encrypted or signed with PGP", "gpg -d FILE" + pipeAdvice},
	{"\x7fELF", 0, "a program", "give the registry's storage directory, often /var/lib/registry, or a tar of it"},
}

const sniffed = 0x8006 // bytes that tell all of these

// notAnArchive says what a file is instead, by its first bytes.
func notAnArchive(location string, first []byte) error {
	tell := func(what, advice string) error {
		return report.WithHint(fmt.Errorf("opening source %s: it is %s", location, what), advice)
	}
	const give = "give the registry's storage directory, often /var/lib/registry, or a tar of it, plain or compressed with gzip, zstd, xz or bzip2"
	if len(first) == 0 {
		return tell("empty", "was it copied or written to its end? "+give)
	}
	for _, o := range others {
		if len(first) > o.at && bytes.HasPrefix(first[o.at:], []byte(o.magic)) {
			return tell(o.name, o.advice)
		}
	}
	if isText(first) {
		return tell("a text file", give)
	}
	return tell("no archive that drydock knows", give+"; if it is one, its beginning is damaged, or it is a later part of one")
}

// isText tells text from all else by its first bytes.
func isText(b []byte) bool {
	b = b[:min(len(b), 512)]
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if (r == utf8.RuneError && len(b) >= utf8.UTFMax) || (r < ' ' && r != '\n' && r != '\r' && r != '\t' && r != '\f') {
			return false
		}
		b = b[size:]
	}
	return true
}
