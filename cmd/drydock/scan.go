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
	thorough bool                                      // look at what no image needs, too
	hash     bool                                      // every blob, whatever the flags say
	unpack   func(source.Form) (dir string, err error) // where an archive goes that can only be read once; nil: nowhere
	again    bool                                      // an archive that is not unpacked will be read once more
}

// unpackTo gives the directory to unpack a source to, or "" where it need not be.
func (r *reading) unpackTo(form source.Form) (dir string, err error) {
	if !form.Stream || r.unpack == nil {
		return "", nil
	}
	return r.unpack(form)
}

// scan opens a source and reads it into an index. The caller closes the source.
func (s *session) scan(ctx context.Context, r reading, f *sourceFlags, sel *selectFlags) (source.Source, *storage.Index, error) {
	opts, err := f.options(sel)
	if err != nil {
		return nil, nil, err
	}
	opts.Thorough, opts.Progress = r.thorough, s.Progress
	opts.Jobs = affordable(storage.DefaultJobs, 1, openFiles())
	form, err := s.probe(r.location)
	if err != nil {
		return nil, nil, err
	}
	unpack, err := r.unpackTo(form)
	if err != nil {
		return nil, nil, err
	}
	if r.hash {
		if r.hash, err = s.checkParts(ctx, form); err != nil {
			return nil, nil, err
		}
	}
	if form.Stream && unpack == "" && !r.again {
		s.note("%s is read from front to end, once; nothing of it is unpacked", describeArchive(r.location, form))
	}
	src, err := source.Open(ctx, r.location, &source.Options{Stdin: s.in, Unpack: unpack, Progress: s.Progress})
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

// probe tells what a source is, before anything of it is read.
func (s *session) probe(location string) (source.Form, error) {
	if f, ok := s.in.(*os.File); ok && location == "-" && term.IsTerminal(int(f.Fd())) {
		return source.Form{}, report.WithHint(usageError{errors.New("standard input is a terminal and no archive")},
			"pipe one in: ssh HOST tar c /var/lib/registry | drydock … -")
	}
	return source.Probe(location)
}

// checkParts holds the parts of a bundle against their checksums, and tells
// whether its blobs still have to be hashed.
func (s *session) checkParts(ctx context.Context, form source.Form) (hash bool, err error) {
	if len(form.Parts) == 0 || (len(form.Parts) == 1 && !strings.HasSuffix(form.Parts[0], "1")) {
		return true, nil // of a bundle in one piece, the blobs are hashed side by side
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
