package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// An archive in parts is a row of files whose names differ in how they end: by a
// number (.001, .00, .part1, _01) or by letters as split(1) gives them (.aa,
// _aa, .part-aa, or right behind the name).
type row struct {
	stem  string // a path: what all names begin with
	width int    // of the first end
	digits
}

// digits are what a row counts in.
type digits string

const (
	decimal digits = "0123456789"
	letters digits = "abcdefghijklmnopqrstuvwxyz"
)

const (
	maxParts = 20000 // files of a row
	maxGap   = 1000  // parts that may lie between two for the row to be seen
)

// findParts gives the files that an archive lies in: the one of that name, or
// the row that it is a part of or, where there is none of that name, the row of
// which all names begin with it. Where there is nothing, it gives nothing.
func findParts(location string) ([]string, error) {
	_, err := os.Stat(location)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return partsCalled(location)
	case err != nil:
		return nil, fmt.Errorf("opening source: %w", err)
	}
	var problem error
	for _, r := range rowsOf(location) {
		names, err := r.around(location)
		if names != nil {
			return names, nil
		}
		if problem == nil {
			problem = err
		}
	}
	if problem != nil {
		return nil, problem
	}
	return []string{location}, nil
}

var (
	numberedName = regexp.MustCompile(`^(.+?)([._-]?(?i:part)[._-]?|[._-])([0-9]{1,9})$`)
	letteredName = regexp.MustCompile(`^(.*?)([a-z]{2,})$`)
)

// rowsOf gives the rows that a file of this name may be of, those first that
// take in others. It may be of none.
func rowsOf(path string) (rows []row) {
	dir, name := filepath.Split(path)
	if m := numberedName.FindStringSubmatch(name); m != nil {
		stem, end := dir+m[1]+m[2], m[3]
		if len(end) == 1 && len(m[2]) == 1 {
			return nil // a single digit counts only behind the word: it may be a version's
		}
		for width := 1; width <= len(end); width++ {
			// 10 follows 9, and split lets 9000 follow 89; but nothing leads to 010.
			if width == len(end) || (end[0] != '0' && (width > 1 || len(m[2]) > 1)) {
				rows = append(rows, row{stem, width, decimal})
			}
		}
		return rows
	}
	m := letteredName.FindStringSubmatch(name)
	if m == nil {
		return nil
	}
	for size := min(len(m[2]), 8); size >= 2; size-- {
		if size == len(name) {
			continue // nothing would be left of the name
		}
		stem, end := path[:len(path)-size], path[len(path)-size:]
		if size > 2 && end[0] == 'z' { // split made them longer
			rows = append(rows, row{stem, 2, letters})
		}
		rows = append(rows, row{stem, size, letters})
	}
	return rows
}

// around gives the row that a file lies in, and nothing where it is none.
func (r row) around(file string) ([]string, error) {
	ends := r.ends()
	own := file[len(r.stem):]
	inRow := r.inOrder(ends)
	switch {
	case len(inRow) == 0:
		return nil, r.headless(file, own, ends)
	case slices.Contains(inRow, own):
		return r.whole(inRow, ends)
	case r.gap(inRow, map[string]bool{own: true}) != "":
		return r.whole(inRow, map[string]bool{own: true})
	default:
		return nil, nil
	}
}

// headless tells of a later part without the first one. A file that is called
// like one may be a file of its own, and is, if it begins like one.
func (r row) headless(file, own string, ends map[string]bool) error {
	alone := len(ends) < 2
	switch {
	case r.digits == letters && (own[0] != 'a' || !strings.ContainsAny(r.stem[len(r.stem)-1:], "._-")):
		return nil // names end with letters for many reasons
	case r.digits == decimal && alone && own != r.end(2):
		return nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil // opening it again will say so
	}
	defer f.Close()
	first := make([]byte, sniffed)
	n, err := io.ReadFull(f, first)
	if (err != nil && err != io.EOF && err != io.ErrUnexpectedEOF) || sniff(first[:n]) != unknownFormat || (alone && isText(first[:n])) {
		return nil
	}
	return missingPart(r.stem+r.end(1), file)
}

func missingPart(missing, there string) error {
	return report.WithHint(fmt.Errorf("opening source: the part %s is not there, and %s is", missing, there),
		"put all parts of the archive into one directory")
}

// partsCalled gives the row of which all names begin with this one.
func partsCalled(location string) (found []string, err error) {
	dir, name := filepath.Split(location)
	entries, err := os.ReadDir(filepath.Join(".", dir))
	if filepath.IsAbs(dir) {
		entries, err = os.ReadDir(dir)
	}
	if err != nil || name == "" {
		return nil, nil // that the location is not there says it all
	}
	tried := map[row]bool{}
	var headless error
	for _, e := range entries {
		for _, r := range rowsOf(dir + e.Name()) {
			if tried[r] || !separates(strings.TrimPrefix(r.stem, location)) || !strings.HasPrefix(r.stem, location) {
				continue
			}
			tried[r] = true
			ends := r.ends()
			inRow := r.inOrder(ends)
			if len(inRow) == 0 {
				if r.digits == decimal && headless == nil {
					headless = missingPart(r.stem+r.end(1), r.stem+slices.Min(slices.Collect(maps.Keys(ends))))
				}
				continue
			}
			if found != nil && found[0] != r.stem+inRow[0] {
				return nil, report.WithHint(fmt.Errorf("opening source %s: the parts of two archives are there, from %s on and from %s on", location, found[0], r.stem+inRow[0]),
					"give the first part of the one that is meant")
			}
			if found, err = r.whole(inRow, ends); err != nil {
				return nil, err
			}
		}
	}
	if found == nil {
		return nil, headless
	}
	return found, nil
}

// separates tells what may stand between a name and the ends of its parts.
func separates(s string) bool {
	s = strings.ToLower(strings.Trim(s, "._-"))
	return s == "" || s == "part"
}

// ends lists how names of a row end that are there.
func (r row) ends() map[string]bool {
	dir, stem := filepath.Split(r.stem)
	if dir == "" {
		dir = "."
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // then the parts cannot be opened, either
	}
	ends := map[string]bool{}
	for _, e := range entries {
		end, ok := strings.CutPrefix(e.Name(), stem)
		if ok && len(end) >= r.width && strings.Trim(end, string(r.digits)) == "" {
			ends[end] = true
		}
	}
	return ends
}

// end writes the end of a first or second part.
func (r row) end(n int) string {
	if r.digits == letters {
		return strings.Repeat("a", r.width)
	}
	return fmt.Sprintf("%0*d", r.width, n)
}

// inOrder gives the parts from the first one on, as far as none is left out.
func (r row) inOrder(ends map[string]bool) (inRow []string) {
	next := []string{r.end(0), r.end(1)}
	for len(inRow) < maxParts {
		i := slices.IndexFunc(next, func(end string) bool { return ends[end] })
		if i < 0 {
			break
		}
		inRow = append(inRow, next[i])
		next = r.after(next[i])
	}
	return inRow
}

// whole gives the names of a row, unless one of it is not there.
func (r row) whole(inRow []string, ends map[string]bool) (names []string, err error) {
	if behind := r.gap(inRow, ends); behind != "" {
		return nil, missingPart(r.stem+r.after(inRow[len(inRow)-1])[0], r.stem+behind)
	}
	for _, end := range inRow {
		names = append(names, r.stem+end)
	}
	return names, nil
}

// gap gives a part that is there behind the last one, with at least one between
// them that is not. What a compressed file is called by is no part's end.
func (r row) gap(inRow []string, ends map[string]bool) string {
	end := inRow[len(inRow)-1]
	for range maxGap {
		end = r.after(end)[0]
		if ends[end] && end != "gz" && end != "xz" {
			return end
		}
	}
	return ""
}

// after gives the ends that may follow one: the next in order and, where split
// makes them longer, so that they still sort, that: zaaa follows yz, and 9000
// follows 89.
func (r row) after(end string) (all []string) {
	low, last := r.digits[:1], r.digits[len(r.digits)-1:]
	if next, ok := r.increment(end); ok {
		all = append(all, next)
	} else if n, err := strconv.Atoi(end); err == nil {
		all = append(all, strconv.Itoa(n+1)) // 10 after 9
	}
	rest := strings.TrimLeft(end, string(last))
	lead := len(end) - len(rest)
	before := string(r.digits[len(r.digits)-2])
	if len(rest) == 2+lead && rest == before+strings.Repeat(string(last), len(rest)-1) {
		all = append(all, strings.Repeat(string(last), lead+1)+strings.Repeat(string(low), len(rest)+1))
	}
	if all == nil {
		all = []string{strings.Repeat(string(low), len(end)+1)} // which is nobody's, and ends a row of letters
	}
	return all
}

// increment counts on by one, and fails at the last number of its width.
func (d digits) increment(end string) (string, bool) {
	b := []byte(end)
	for i := len(b) - 1; i >= 0; i-- {
		at := strings.IndexByte(string(d), b[i])
		if at+1 < len(d) {
			b[i] = d[at+1]
			return string(b), true
		}
		b[i] = d[0]
	}
	return "", false
}
