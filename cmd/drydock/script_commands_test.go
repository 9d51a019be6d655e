package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

// Commands for trees as they are found. What a script expects of one stands in
// a file, a line for each finding and each image, in any order, with names for
// digests and "#" before comments:
//
//	skip|note CODE IMAGE PLACE   a finding; "-" where it has no image or no path
//	carried IMAGE NAME [recovered] [trimmed]
//	                             an image, the manifest that it is in the target
//	left-out IMAGE               an image that is not whole
//	failed IMAGE                 an image that is whole, and that the target does not get
//
// Digests are written <NAME>, without an algorithm if it is sha256, and places
// as storagetest.Builder.Path has them.
func init() {
	scriptCommands["tree"] = scriptTree
	scriptCommands["findings"] = scriptFindings
	scriptCommands["images"] = scriptImages
	scriptCommands["symbolic"] = scriptSymbolic
	scriptCommands["unprivileged"] = scriptUnprivileged
	scriptCommands["otherdisk"] = scriptOtherDisk
}

// trees are those that scripts made, by their directory.
var trees sync.Map

func scriptTree(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: tree DIR FILE")
	}
	b, err := storagetest.Parse(ts.ReadFile(args[1]))
	ts.Check(err)
	dir := ts.MkAbs(args[0])
	ts.Check(b.WriteTo(dir))
	trees.Store(dir, b)
}

func treeOf(ts *testscript.TestScript, dir string) *storagetest.Builder {
	b, ok := trees.Load(ts.MkAbs(dir))
	if !ok {
		ts.Fatalf("no tree was made in %s", dir)
	}
	return b.(*storagetest.Builder)
}

// named puts names in the place of digests.
func named(b *storagetest.Builder, text string) string {
	return strings.ReplaceAll(b.Symbolic(text), "sha256:<", "<")
}

// expectations gives the lines of a file that begin with one of these words.
func expectations(ts *testscript.TestScript, file string, words ...string) [][]string {
	var all [][]string
	for line := range strings.Lines(ts.ReadFile(file)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if slices.Contains(words, fields[0]) {
			all = append(all, fields)
		}
	}
	return all
}

// told decodes the lines of one type in the last output.
func told[T any](ts *testscript.TestScript, kind string) []T {
	var all []T
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		var of struct{ Type string }
		if err := json.Unmarshal([]byte(line), &of); err != nil || of.Type != kind {
			continue
		}
		var one T
		ts.Check(json.Unmarshal([]byte(line), &one))
		all = append(all, one)
	}
	return all
}

func compare(ts *testscript.TestScript, what string, want, got []string) {
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		ts.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

func scriptFindings(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: findings DIR FILE")
	}
	b := treeOf(ts, args[0])
	var want, got []string
	for _, f := range expectations(ts, args[1], "skip", "note") {
		if len(f) != 4 {
			ts.Fatalf("%v: want level, code, image and place", f)
		}
		if f[3] != "-" {
			f[3] = b.Path(f[3])
		}
		want = append(want, named(b, b.Expand(strings.Join(f, " "))))
	}
	for _, f := range told[report.Finding](ts, "finding") {
		image, path := "-", "-"
		if f.Repository != "" {
			image = report.Name(f.Repository, f.Tag, f.Digest)
		}
		if f.Path != "" {
			path = f.Path
		}
		got = append(got, named(b, fmt.Sprintf("%s %s %s %s", f.Level, f.Code, image, path)))
	}
	compare(ts, "findings", want, got)
}

// scriptImages compares with what a migration did or, where nothing was moved,
// with what would be.
func scriptImages(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: images DIR FILE")
	}
	b := treeOf(ts, args[0])
	outcomes := map[string]report.Outcome{}
	for _, o := range told[report.Outcome](ts, "outcome") {
		outcomes[o.Source] = o
	}
	var want, got []string
	for _, f := range expectations(ts, args[1], "carried", "left-out", "failed") {
		if f[0] == "failed" && len(outcomes) == 0 {
			f[0] = "carried" // would be, as far as anyone knows
		}
		if f[0] == "carried" && len(f) > 2 {
			f[2] = "<" + f[2] + ">"
		}
		want = append(want, named(b, b.Expand(strings.Join(f, " "))))
	}
	withNames := len(outcomes) > 0 || !slices.ContainsFunc(want, func(s string) bool { return strings.Count(s, " ") == 1 && strings.HasPrefix(s, "carried") })
	for _, i := range told[report.Image](ts, "image") {
		got = append(got, named(b, statusOf(i, outcomes, withNames)))
	}
	if !withNames {
		for n, line := range want {
			want[n] = strings.Join(strings.Fields(line)[:2], " ")
		}
	}
	compare(ts, "images", want, got)
}
