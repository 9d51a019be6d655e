package source_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

// cut writes content into files of these names, all of about the same size.
func cut(t *testing.T, dir string, content []byte, names ...string) {
	t.Helper()
	size := len(content)/len(names) + 1
	for _, name := range names {
		piece := content[:min(size, len(content))]
		content = content[len(piece):]
		if err := os.WriteFile(filepath.Join(dir, name), piece, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestParts: an archive in parts is opened by any of them, in place or not.
func TestParts(t *testing.T) {
	dir := tree(t, rich)
	want := look(t, open(t, dir), true)
	plain := members(t, dir, "./", tar.FormatPAX)
	for _, names := range [][]string{
		{"a.tar.001", "a.tar.002", "a.tar.003"},
		{"a.tar.000", "a.tar.001"},
		{"a.tar.00", "a.tar.01", "a.tar.02"},
		{"a.tar.01", "a.tar.02"},
		{"a.tar.aa", "a.tar.ab", "a.tar.ac"},
		{"a.tar_aa", "a.tar_ab"},
		{"a.tar.part1", "a.tar.part2"},
		{"a.tar.part01", "a.tar.part02"},
		{"a.tar.part-aa", "a.tar.part-ab"},
		{"a.tar.partaa", "a.tar.partab"},
		{"a.taraa", "a.tarab"},
		{"xaa", "xab", "xac"},
		{"a.tgz.part1", "a.tgz.part2", "a.tgz.part3", "a.tgz.part4", "a.tgz.part5", "a.tgz.part6", "a.tgz.part7", "a.tgz.part8", "a.tgz.part9", "a.tgz.part10"},
	} {
		t.Run(names[0], func(t *testing.T) {
			t.Parallel()
			for _, content := range [][]byte{plain, gzipped(t, plain)} {
				in := t.TempDir()
				cut(t, in, content, names...)
				expect := want
				if sniffed := content[0] == 0x1f; sniffed {
					expect = passed(want, false)
				}
				for i, name := range names {
					if i > 1 && i < len(names)-1 {
						continue
					}
					same(t, expect, openWith(t, filepath.Join(in, name), &source.Options{Unpack: t.TempDir()}), true)
				}
			}
		})
	}
}

// TestFindParts: which files are parts of one archive, and which are not.
func TestFindParts(t *testing.T) {
	alphabet := func(from, to string) (all []string) {
		for c := from[0]; c <= to[0]; c++ {
			all = append(all, string(c))
		}
		return all
	}
	var widened []string
	for _, a := range alphabet("a", "y") {
		for _, b := range alphabet("a", "z") {
			widened = append(widened, "x."+a+b)
		}
	}
	widened = append(widened, "x.zaaa", "x.zaab")
	var numbers []string
	for i := range 90 {
		numbers = append(numbers, fmt.Sprintf("x.%02d", i))
	}
	numbers = append(numbers, "x.9000", "x.9001")
	for _, c := range []struct {
		name, location string
		files          []string
		want           []string
		err            string
	}{
		{name: "one file", location: "a.tar", files: []string{"a.tar", "a.tar.sha256", "a.tar.sig"}, want: []string{"a.tar"}},
		{name: "a name that only its parts have", location: "a.tar", files: []string{"a.tar.001", "a.tar.002", "a.tar.md", "a.tar.txt"}, want: []string{"a.tar.001", "a.tar.002"}},
		{name: "so with letters", location: "a.tar", files: []string{"a.tar.aa", "a.tar.ab", "a.tar.gz"}, want: []string{"a.tar.aa", "a.tar.ab"}},
		{name: "so with a word", location: "a.tar", files: []string{"a.tar.part-aa", "a.tar.part-ab"}, want: []string{"a.tar.part-aa", "a.tar.part-ab"}},
		{name: "so with one part", location: "a.tar", files: []string{"a.tar.aa"}, want: []string{"a.tar.aa"}},
		{name: "the file wins over parts of its name", location: "a.tar", files: []string{"a.tar", "a.tar.001", "a.tar.002"}, want: []string{"a.tar"}},
		{name: "two rows", location: "a.tar", files: []string{"a.tar.001", "a.tar.002", "a.tar.aa"}, err: "two archives"},
		{name: "parts of another name", location: "a", files: []string{"a.tar.001", "a.tar.002"}},
		{name: "nothing", location: "a.tar", files: []string{"b.tar"}},

		{name: "oc-mirror", location: "mirror_000002.tar", files: []string{"mirror_000001.tar", "mirror_000002.tar"}, want: []string{"mirror_000002.tar"}},
		{name: "a version", location: "app.v2", files: []string{"app.v1", "app.v2"}, want: []string{"app.v2"}},
		{name: "a version with dots", location: "app-1.10", files: []string{"app-1.10", "app-1.9"}, want: []string{"app-1.10"}},
		{name: "a number alone", location: "x.10", files: []string{"x.10"}, want: []string{"x.10"}},
		{name: "days", location: "backup.tar.2", files: []string{"backup.tar.1", "backup.tar.2"}, want: []string{"backup.tar.2"}},
		{name: "a row, and a year", location: "b_01", files: []string{"b_01", "b_02", "b_2024"}, want: []string{"b_01", "b_02"}},

		{name: "split makes letters longer", location: "x.zaaa", files: widened, want: widened},
		{name: "from the name", location: "x", files: widened, want: widened},
		{name: "split makes numbers longer", location: "x.9000", files: numbers, want: numbers},
		{name: "numbers grow", location: "x.part9", files: []string{"x.part8", "x.part7", "x.part6", "x.part5", "x.part4", "x.part3", "x.part2", "x.part1", "x.part9", "x.part10", "x.part11"},
			want: []string{"x.part1", "x.part2", "x.part3", "x.part4", "x.part5", "x.part6", "x.part7", "x.part8", "x.part9", "x.part10", "x.part11"}},

		{name: "a gap", location: "x.001", files: []string{"x.001", "x.002", "x.004"}, err: "the part x.003 is not there, and x.004 is"},
		{name: "a gap before the one that is given", location: "x.005", files: []string{"x.001", "x.002", "x.005"}, err: "the part x.003 is not there, and x.005 is"},
		{name: "a gap in letters", location: "x.aa", files: []string{"x.aa", "x.ab", "x.ad"}, err: "the part x.ac is not there, and x.ad is"},
		{name: "a gap, from the name", location: "x", files: []string{"x.aa", "x.ab", "x.ad"}, err: "the part x.ac is not there, and x.ad is"},
		{name: "no first part", location: "x.003", files: []string{"x.002", "x.003"}, err: "the part x.001 is not there, and x.003 is"},
		{name: "only the second part", location: "x.002", files: []string{"x.002"}, err: "the part x.001 is not there, and x.002 is"},
		{name: "no first part in letters", location: "x.ac", files: []string{"x.ab", "x.ac"}, err: "the part x.aa is not there, and x.ac is"},
		{name: "no first part, from the name", location: "x", files: []string{"x.002", "x.003"}, err: "the part x.001 is not there, and x.002 is"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range c.files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte("\x01\x02\x03 no archive"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			t.Chdir(dir)
			for _, prefix := range []string{"", "./", dir + "/"} {
				got, err := source.FindParts(prefix + c.location)
				if c.err != "" {
					if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), prefix, ""), c.err) || report.Advice(err) == "" {
						t.Errorf("%v, %v", got, err)
					}
					continue
				}
				var want []string
				for _, name := range c.want {
					want = append(want, prefix+name)
				}
				if diff := cmp.Diff(want, got); diff != "" || err != nil {
					t.Error(diff, err)
				}
			}
		})
	}
}

// TestStandsAlone: a file that is called as a later part is and begins as an
// archive does is one.
func TestStandsAlone(t *testing.T) {
	for _, name := range []string{"x.002", "x.ab", "x.part2"} {
		src := openWith(t, save(t, name, tape(file(tagV1, "x"))), nil)
		if got := read(src, "repositories/app/_manifests/tags/v1/current/link"); got != "x" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestSplit: what split(1) itself makes, in all its ways.
func TestSplit(t *testing.T) {
	if _, err := exec.LookPath("split"); err != nil {
		t.Skip(err)
	}
	content := tape(file(tagV1, "x"), file(v2+"repositories/b", strings.Repeat("y", 400_000)))
	for _, args := range [][]string{
		{"-b", "600"}, {"-b", "100000", "-a", "3"}, {"-d", "-b", "600"}, {"-d", "-b", "100000", "-a", "4"}, {"--numeric-suffixes=1", "-b", "100000"},
	} {
		dir := t.TempDir()
		cmd := exec.Command("split", append(args, "-", filepath.Join(dir, "a.tar."))...)
		cmd.Stdin = bytes.NewReader(content)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		names, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(names)
		for _, location := range []string{names[0], names[len(names)-1], names[len(names)/2], filepath.Join(dir, "a.tar")} {
			found, err := source.FindParts(location)
			if err != nil || !slices.Equal(found, names) {
				t.Fatalf("%v, %s: %d of %d, %v", args, filepath.Base(location), len(found), len(names), err)
			}
		}
		src := openWith(t, names[0], nil)
		if got := read(src, "repositories/b"); len(got) != 400_000 || len(told(src)) > 0 {
			t.Errorf("%v: %.100q, %v", args, got, told(src))
		}
	}
}

// TestPartGone: a part that is no file, or that cannot be opened.
func TestPartGone(t *testing.T) {
	dir := t.TempDir()
	cut(t, dir, tape(file(tagV1, "x")), "a.001", "a.002")
	if err := os.Mkdir(filepath.Join(dir, "a.003"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := source.Open(context.Background(), filepath.Join(dir, "a.001"), nil)
	if err == nil || !strings.Contains(err.Error(), "a.003") || report.Advice(err) == "" {
		t.Errorf("%v", err)
	}
}

// FuzzParts: whatever files there are, a row that is found has the location in
// it, begins with a first part and leaves none out.
func FuzzParts(f *testing.F) {
	f.Add("a.tar.001", "a.tar.001 a.tar.002 a.tar.003")
	f.Add("a.tar", "a.tar.aa a.tar.ab a.tar.ad")
	f.Add("x.zaaa", "x.yz x.zaaa x.aa")
	f.Add("x.9000", "x.00 x.89 x.9000")
	f.Add("a.part9", "a.part9 a.part10 a.part1")
	f.Add("mirror_000001.tar", "mirror_000001.tar mirror_000002.tar")
	f.Fuzz(func(t *testing.T, location, names string) {
		dir := t.TempDir()
		made := map[string]bool{}
		for _, name := range strings.Fields(names)[:min(len(strings.Fields(names)), 20)] {
			if name != filepath.Base(name) || name == "." || name == ".." || len(name) > 50 || strings.Contains(name, "\x00") {
				continue
			}
			if os.WriteFile(filepath.Join(dir, name), []byte("\x01\x02"), 0o644) == nil {
				made[name] = true
			}
		}
		if location != filepath.Base(location) || location == "." || location == ".." || location == "/" || strings.Contains(location, "\x00") {
			return
		}
		found, err := source.FindParts(filepath.Join(dir, location))
		if err != nil {
			return
		}
		for _, name := range found {
			if !made[filepath.Base(name)] {
				t.Errorf("%s is not there", name)
			}
		}
		if made[location] && !slices.Contains(found, filepath.Join(dir, location)) {
			t.Errorf("%v leave out %s", found, location)
		}
		if len(slices.Compact(slices.Sorted(slices.Values(found)))) != len(found) {
			t.Errorf("%v has one twice", found)
		}
	})
}
