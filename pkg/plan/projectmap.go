package plan

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// Bounds on a project map. Names have 255 characters at most, so longer lines
// are none of it.
const (
	maxMapLine  = 4096    // bytes
	maxMapLines = 100_000 // comments and empty lines too
)

const mapHint = `write one mapping a line, FROM TO or FROM = TO, both leading components of repositories, such as "legacy/team-a team-a"; the longest FROM that fits is taken, and # begins a comment`

// ParseProjectMap reads where repositories go, from a text of one mapping a
// line:
//
//	# what stood in the old registry   where it goes
//	legacy/team-a                      team-a
//	legacy/web = frontend/web
//
// Each is a Rewrite as ParseRewrite reads it, and either side may be empty where
// there is a =. The longest FROM that fits a repository counts, wherever it
// stands: the rewrites are given in that order. Lines that cannot be read, and a
// FROM that stands there twice, are errors with the numbers of the lines.
func ParseProjectMap(r io.Reader) ([]Rewrite, error) {
	rewrites, err := parseProjectMap(r)
	if err != nil {
		return nil, report.WithHint(fmt.Errorf("reading project map: %w", err), mapHint)
	}
	slices.SortFunc(rewrites, func(a, b Rewrite) int {
		return cmp.Or(cmp.Compare(len(b.From), len(a.From)), cmp.Compare(a.From, b.From))
	})
	return rewrites, nil
}

func parseProjectMap(r io.Reader) ([]Rewrite, error) {
	var rewrites []Rewrite
	seen := map[string]int{} // lines, by FROM
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxMapLine)
	number := 0
	for lines.Scan() {
		if number++; number > maxMapLines {
			return nil, fmt.Errorf("more than %d lines", maxMapLines)
		}
		w, ok, err := parseMapLine(lines.Text(), number == 1)
		switch {
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", number, err)
		case !ok:
			continue
		case seen[w.From] != 0:
			return nil, fmt.Errorf("line %d: %q is mapped in line %d already", number, w.From, seen[w.From])
		}
		seen[w.From] = number
		rewrites = append(rewrites, w)
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("line %d: longer than %d bytes", number+1, maxMapLine)
	case err != nil:
		return nil, err
	case len(rewrites) == 0:
		return nil, errors.New("there is no mapping in it")
	}
	return rewrites, nil
}

// byteOrderMark begins files of some editors.
const byteOrderMark = "\ufeff"

// parseMapLine reads a line; ok is false for one that says nothing.
func parseMapLine(line string, first bool) (w Rewrite, ok bool, err error) {
	if first {
		line = strings.TrimPrefix(line, byteOrderMark)
	}
	if !utf8.ValidString(line) {
		return Rewrite{}, false, errors.New("it is no text in UTF-8")
	}
	line, _, _ = strings.Cut(line, "#") // no name has one
	if line = strings.TrimSpace(line); line == "" {
		return Rewrite{}, false, nil
	}
	from, to, ok := strings.Cut(line, "=")
	if !ok {
		fields := strings.Fields(line)
		if len(fields) != 2 {
			return Rewrite{}, false, fmt.Errorf("want FROM and TO in %.200q", line)
		}
		from, to = fields[0], fields[1]
	}
	w, err = ParseRewrite(strings.TrimSpace(from) + "=" + strings.TrimSpace(to))
	return w, true, err
}

// UnusedRewrites gives those rewrites, in their order, that apply to none of the
// repositories: because no name begins so, or an earlier one is taken for all
// that do.
func UnusedRewrites(rewrites []Rewrite, repositories iter.Seq[string]) []Rewrite {
	first := indexRewrites(rewrites)
	used := make([]bool, len(rewrites))
	for name := range repositories {
		if i, ok := first.fit(name); ok {
			used[i] = true
		}
	}
	var unused []Rewrite
	for i, w := range rewrites {
		if !used[i] {
			unused = append(unused, w)
		}
	}
	return unused
}

// rewriteIndex has the place of the first rewrite with a FROM. To look up a
// repository takes as many steps as its name has components, however many
// rewrites there are.
type rewriteIndex map[string]int

func indexRewrites(rewrites []Rewrite) rewriteIndex {
	index := rewriteIndex{}
	for i, w := range rewrites {
		if _, ok := index[w.From]; !ok {
			index[w.From] = i
		}
	}
	return index
}

// fit gives the place of the first rewrite that fits a repository.
func (x rewriteIndex) fit(repository string) (place int, ok bool) {
	place = -1
	for from := repository; ; from = from[:max(strings.LastIndexByte(from, '/'), 0)] {
		if i, found := x[from]; found && (place < 0 || i < place) {
			place = i
		}
		if from == "" {
			return place, place >= 0
		}
	}
}
