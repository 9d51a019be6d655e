package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

// maxLink bounds what is read of a link file, bytes. The longest digest,
// sha512, takes 135.
const maxLink = 1024

// link is what a link file says, or why it says nothing.
type link struct {
	digest  digest.Digest
	updated time.Time
	padded  bool
	problem report.Code // empty where the digest is good
	detail  string
}

// absent is the problem of a link, blob or manifest that is not there. It is no
// finding by itself: what its absence means depends on who looks.
const absent report.Code = "absent"

// readLink reads a link file. It never fails: what goes wrong is the link's problem.
func readLink(fsys fs.FS, name string) link {
	f, err := readSmall(fsys, name, maxLink)
	if err != nil {
		return link{problem: readProblem(err, report.LinkNotAFile), detail: err.Error()}
	}
	defer f.giveBack()
	if !f.mode.IsRegular() {
		return link{problem: report.LinkNotAFile, detail: "it is " + fileType(f.mode)}
	}
	l := parseLink(f.content)
	l.updated = f.modified
	return l
}

// parseLink reads the content of a link: a digest, which a crash may have left
// empty, and an editor or a file system padded.
func parseLink(content []byte) link {
	if len(content) > maxLink {
		return link{problem: report.LinkInvalid, detail: fmt.Sprintf("it has more than %d bytes", maxLink)}
	}
	trimmed := bytes.Trim(content, " \t\r\n\x00")
	if len(trimmed) == 0 {
		return link{problem: report.TagLinkEmpty, detail: emptyDetail(len(content))}
	}
	d := digest.Digest(trimmed)
	if err := validate(d); err != nil {
		return link{problem: report.LinkInvalid, detail: fmt.Sprintf("%q: %v", clip(trimmed, 100), err)}
	}
	return link{digest: d, padded: len(trimmed) != len(content)}
}

func emptyDetail(size int) string {
	if size == 0 {
		return "it has no bytes"
	}
	return fmt.Sprintf("its %d bytes are blanks or NUL", size)
}

func clip(b []byte, most int) []byte {
	return b[:min(len(b), most)]
}

// readProblem is openProblem where reading may have gone wrong as well: what could
// be opened is not absent.
func readProblem(err error, notAFile report.Code) report.Code {
	if opening, ok := errors.AsType[*openError](err); ok {
		return openProblem(opening.error, notAFile)
	}
	return report.Unreadable
}

// openProblem tells absence from everything that is not: a file of another
// kind, and one that cannot be read.
func openProblem(err error, notAFile report.Code) report.Code {
	switch {
	case isAbsent(err):
		return absent
	case errors.Is(err, source.ErrNotRegular):
		return notAFile
	default:
		return report.Unreadable
	}
}

func fileType(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	default:
		return "not a regular file"
	}
}
