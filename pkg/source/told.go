package source

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// maxTold bounds the findings of one code about an archive. A hostile one may
// give reason for millions.
const maxTold = 200

// told gathers what is to be said of an archive. Where a member lies in the
// source is known at the end of the reading.
type told struct {
	// position is how far the archive's file is read, in bytes; nil where that is
	// the same as how far the tar is.
	position func() int64

	damages []damage
	members []refusedMember
	more    map[report.Code]int // findings that there is no room for
}

// damage is a place where an archive is not what it should be.
type damage struct {
	at     int64 // byte of the tar
	what   string
	member string // the last one that was read
	inside bool   // the damage is within it
	before int    // members up to there
	file   string // where it is in the archive's file
}

type refusedMember struct{ name, why string }

func (t *told) damaged(d damage) {
	if t.position != nil {
		d.file = fmt.Sprintf(", near byte %d of the file", t.position())
	}
	if t.room(report.ArchiveDamaged, len(t.damages)) {
		t.damages = append(t.damages, d)
	}
}

// member tells of a member that is passed over.
func (t *told) member(name, why string) {
	if t.room(report.ArchiveMember, len(t.members)) {
		t.members = append(t.members, refusedMember{name, why})
	}
}

func (t *told) room(code report.Code, said int) bool {
	if said < maxTold {
		return true
	}
	if t.more == nil {
		t.more = map[report.Code]int{}
	}
	t.more[code]++
	return false
}

// findings says it, with paths relative to the source's root.
func (t *told) findings(root string) (all []report.Finding) {
	for _, d := range t.damages {
		where := "behind this member"
		switch {
		case d.member == "":
			where = "at its beginning"
		case d.inside:
			where = "in this member"
		}
		f := report.ArchiveDamaged.New(fmt.Sprintf("%s: %s, at byte %d of the tar%s; %d members were read", d.what, where, d.at, d.file, d.before))
		f.Path = within(root, d.member)
		all = append(all, f)
	}
	for _, m := range t.members {
		f := report.ArchiveMember.New(m.why)
		f.Path = within(root, m.name)
		all = append(all, f)
	}
	for _, code := range []report.Code{report.ArchiveDamaged, report.ArchiveMember} {
		if n := t.more[code]; n > 0 {
			all = append(all, code.New(fmt.Sprintf("%d more of this kind", n)))
		}
	}
	return all
}

// within is a member's path relative to a root, where it lies below it.
func within(root, name string) string {
	name = clip(name, 1024)
	if slices.Contains(strings.Split(name, "/"), "..") {
		return name
	}
	clean := strings.TrimPrefix(path.Clean("/"+name), "/")
	if root == "." {
		return clean
	}
	below, ok := strings.CutPrefix(clean, root+"/")
	if !ok {
		return clean
	}
	return cmp.Or(below, ".")
}

func clip(s string, most int) string {
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
