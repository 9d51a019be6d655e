package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/seed-5b48bd9d/drydock/pkg/bundle"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// reading is how a command reads its source.
type reading struct {
	location string
	thorough bool   // look at what no image needs, too
	hash     bool   // every blob, whatever the flags say
	unpack   string // where an archive goes that can only be read once; empty: nowhere
}

// scan opens a source and reads it into an index. The caller closes the source.
func (s *session) scan(ctx context.Context, r reading, f *sourceFlags, sel *selectFlags) (source.Source, *storage.Index, error) {
	opts, err := f.options(sel)
	if err != nil {
		return nil, nil, err
	}
	opts.Thorough, opts.Progress = r.thorough, s.Progress
	if r.hash {
		if r.hash, err = s.checkParts(ctx, r.location); err != nil {
			return nil, nil, err
		}
	}
	src, err := s.open(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	x, err := readIndex(ctx, src, &opts, r.hash)
	s.bars.clear()
	if err == nil && x.Empty() {
		err = report.WithHint(fmt.Errorf("scanning %s: no repository in it", r.location),
			"is it the right directory? a registry that was never pushed to has none either")
	}
	if err != nil {
		return nil, nil, errors.Join(err, src.Close())
	}
	return src, x, nil
}

// open opens the source, and says what reading it costs where that is much.
func (s *session) open(ctx context.Context, r reading) (source.Source, error) {
	if f, ok := s.in.(*os.File); ok && r.location == "-" && term.IsTerminal(int(f.Fd())) {
		return nil, report.WithHint(usageError{errors.New("standard input is a terminal and no archive")},
			"pipe one in: ssh HOST tar c /var/lib/registry | drydock … -")
	}
	form, err := source.Probe(r.location)
	if err != nil {
		return nil, err
	}
	if form.Stream && r.unpack == "" {
		s.note("%s is read from front to end, once; nothing of it is unpacked", describeArchive(r.location, form))
	}
	return source.Open(ctx, r.location, &source.Options{Stdin: s.in, Unpack: r.unpack, Progress: s.Progress})
}

// checkParts holds the parts of a bundle against their checksums, and tells
// whether its blobs still have to be hashed.
func (s *session) checkParts(ctx context.Context, location string) (hash bool, err error) {
	form, err := source.Probe(location)
	if err != nil || len(form.Parts) == 0 || (len(form.Parts) == 1 && !strings.HasSuffix(form.Parts[0], "1")) {
		return true, err // of a bundle in one piece, the blobs are hashed side by side
	}
	found, all, err := bundle.CheckParts(ctx, form.Parts, s.Progress)
	s.found = append(s.found, found...)
	return !all, err
}

func describeArchive(location string, form source.Form) string {
	switch {
	case location == "-":
		return "the archive on standard input"
	case form.Bytes < 0:
		return "the archive " + location
	}
	return fmt.Sprintf("the archive %s (%s)", location, size(form.Bytes))
}

// readIndex reads what a source holds: a registry's storage, or layouts, which a
// bundle is made of. A bundle has crossed a gap: all of it is hashed.
func readIndex(ctx context.Context, src source.Source, opts *storage.ScanOptions, hash bool) (*storage.Index, error) {
	if !holdsLayouts(src) {
		return storage.Scan(ctx, src, opts)
	}
	if _, local := src.(source.Dir); hash && !local {
		opts.ReadData = true
	}
	return bundle.Scan(ctx, src, opts)
}
