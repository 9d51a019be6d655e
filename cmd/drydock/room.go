package main

import (
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

// note tells a person what a run is about to do, or to cost.
func (s *session) note(format string, args ...any) {
	if s.notes != nil {
		fmt.Fprintf(s.notes, format+"\n", args...)
	}
}

// room says what unpacking an archive needs, as far as it is known beforehand,
// and what is free, and stops where it cannot fit.
func (s *session) room(what string, form source.Form, dir, unpacked string) error {
	free, err := source.Free(dir)
	if err != nil {
		return fmt.Errorf("looking for room in %s: %w", dir, err)
	}
	need := form.Unpacked - sizeBelow(unpacked)
	least := "at least "
	if form.Exact {
		least = ""
	}
	switch {
	case form.Unpacked <= 0:
		s.note("%s in %s: its size cannot be told beforehand; %s are free", what, dir, size(free))
	case need > free:
		return noRoom(what, least, need, free, dir)
	default:
		s.note("%s in %s: needs %s%s; %s are free", what, dir, least, size(need), size(free))
	}
	return nil
}

// fits says what files need that are to be copied, and stops where they cannot fit.
func (s *session) fits(what string, need int64, dir string) error {
	free, err := source.Free(dir)
	switch {
	case err != nil:
		return fmt.Errorf("looking for room in %s: %w", dir, err)
	case need > free:
		return noRoom(what, "", need, free, dir)
	case need > 0:
		s.note("%s in %s: needs %s; %s are free", what, dir, size(need), size(free))
	}
	return nil
}

func noRoom(what, least string, need, free int64, dir string) error {
	return report.WithHint(fmt.Errorf("%s in %s needs %s%s, and %s are free", what, dir, least, size(need), size(free)),
		"make room there, name a directory on another disk, or go piece by piece with --include; nothing was written")
}

// endUnpacked removes what was unpacked of an archive, unless another run is to go
// on with it.
func (s *session) endUnpacked(of interface {
	Unpacked() string
	RemoveUnpacked() error
}, finished bool) error {
	if finished {
		return of.RemoveUnpacked()
	}
	if sizeBelow(of.Unpacked()) > 0 {
		s.note("what was unpacked stays in %s for the next run", of.Unpacked())
	}
	return nil
}

// sizeBelow is how many bytes the files below a directory have that need not be
// written again.
func sizeBelow(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if info, err := e.Info(); err == nil {
				bytes += info.Size()
			}
		}
		return nil // what cannot be read is not counted
	})
	return bytes
}
