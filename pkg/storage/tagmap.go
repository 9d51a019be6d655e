package storage

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// TagMap gives tags to repositories, beside those of the tree: Harbor 2.15 and
// later keeps its tags in its database alone.
type TagMap map[string][]Tag

// maxTagMapLine bounds a line of a tag file, bytes.
const maxTagMapLine = 64 << 10

// ParseTagMap reads a tag file, in one of two forms. Plain lines name an image
// and its digest:
//
//	library/app:v1 sha256:…
//
// CSV, as psql writes it, has a header that names the columns repository, tag,
// digest and, if you like, pushed, in any order. Empty lines and lines that start
// with # are passed over. Errors name the line.
func ParseTagMap(r io.Reader) (TagMap, error) {
	in := bufio.NewReaderSize(r, maxTagMapLine)
	start, err := in.Peek(maxTagMapLine)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading tags: %w", err)
	}
	b := tagMapBuilder{tags: TagMap{}, seen: map[string]digest.Digest{}}
	if isCSV(start) {
		err = b.readCSV(in)
	} else {
		err = b.readLines(in)
	}
	if err != nil {
		return nil, fmt.Errorf("reading tags: %w", err)
	}
	return b.tags, nil
}

// isCSV tells by the first line that says something.
func isCSV(start []byte) bool {
	for line := range bytes.Lines(bytes.TrimPrefix(start, []byte("\ufeff"))) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' {
			return bytes.ContainsRune(line, ',') && bytes.Contains(bytes.ToLower(line), []byte("digest"))
		}
	}
	return false
}

// addTags gives repositories the tags of ScanOptions. Where the tree has a tag
// of that name, the given one wins: Harbor's trees have stale ones.
func (s *scanner) addTags(context.Context) error {
	repositories := map[string]*Repository{}
	for _, r := range s.repositories {
		repositories[r.Name] = r
	}
	for name, tags := range s.opts.Tags {
		r := repositories[name]
		if r == nil { // named, so that its images are missed aloud
			r = &Repository{Name: name, revisions: map[digest.Digest]revision{}}
			s.repositories = append(s.repositories, r)
		}
		given := map[string]bool{}
		for i := range tags {
			given[tags[i].Name] = true
		}
		known := func(t Tag) bool { return given[t.Name] }
		r.Tags = append(slices.DeleteFunc(r.Tags, known), tags...)
		r.Deleted = slices.DeleteFunc(r.Deleted, known)
		for i := range r.Tags {
			if t := &r.Tags[i]; t.Updated.IsZero() {
				t.Updated = r.revisions[t.Digest].updated
			}
		}
	}
	return nil
}

type tagMapBuilder struct {
	tags TagMap
	seen map[string]digest.Digest
}

func (b *tagMapBuilder) readLines(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxTagMapLine)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 2 {
			return fmt.Errorf("line %d: %d words, want two: repository:tag and digest", n, len(fields))
		}
		at := strings.LastIndexByte(fields[0], ':')
		if at < 0 {
			return fmt.Errorf("line %d: %q is no repository:tag", n, fields[0])
		}
		if err := b.add(fields[0][:at], fields[0][at+1:], fields[1], time.Time{}); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return lines.Err()
}

func (b *tagMapBuilder) readCSV(r io.Reader) error {
	in := csv.NewReader(r)
	in.Comment, in.ReuseRecord, in.TrimLeadingSpace = '#', true, true
	header, err := in.Read()
	if err != nil {
		return err
	}
	columns := map[string]int{}
	for i, name := range header {
		columns[strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))] = i
	}
	for _, name := range []string{"repository", "tag", "digest"} {
		if _, ok := columns[name]; !ok {
			return fmt.Errorf("line 1: no column named %s", name)
		}
	}
	pushed, timed := columns["pushed"]
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var updated time.Time
		if timed {
			updated = parsePushed(record[pushed])
		}
		if err := b.add(record[columns["repository"]], record[columns["tag"]], record[columns["digest"]], updated); err != nil {
			line, _ := in.FieldPos(0)
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
}

// parsePushed reads a time as PostgreSQL writes it; one it cannot read is none.
func parsePushed(s string) time.Time {
	for _, layout := range []string{"2006-01-02 15:04:05.999999", "2006-01-02 15:04:05.999999-07", time.RFC3339Nano} {
		if t, err := time.Parse(layout, strings.TrimSpace(s)); err == nil {
			return t
		}
	}
	return time.Time{}
}

func (b *tagMapBuilder) add(repository, tag, encoded string, updated time.Time) error {
	d := digest.Digest(encoded)
	switch {
	case !ValidRepository(repository):
		return fmt.Errorf("%q is no repository's name", clip([]byte(repository), 100))
	case !ValidTag(tag):
		return fmt.Errorf("%q is no tag", clip([]byte(tag), 100))
	case validate(d) != nil:
		return fmt.Errorf("%q is no digest: %w", clip([]byte(encoded), 100), d.Validate())
	}
	name := repository + ":" + tag
	if before, ok := b.seen[name]; ok {
		if before != d {
			return fmt.Errorf("%s was %s before and is %s here", name, before, d)
		}
		return nil
	}
	b.seen[strings.Clone(name)] = digest.Digest(strings.Clone(encoded))
	repository = strings.Clone(repository)
	b.tags[repository] = append(b.tags[repository], Tag{Name: strings.Clone(tag), Digest: digest.Digest(strings.Clone(encoded)), Updated: updated})
	return nil
}
