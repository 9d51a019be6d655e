package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
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
//	failed IMAGE NAME            an image that is whole, and that the target does not take
//
// Digests are written <NAME>, without an algorithm if it is sha256, and places
// as storagetest.Builder.Path has them.
func init() {
	scriptCommands["tree"] = scriptTree
	scriptCommands["findings"] = scriptFindings
	scriptCommands["images"] = scriptImages
	scriptCommands["symbolic"] = scriptSymbolic
	scriptCommands["expand"] = scriptExpand
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
		if (fields[0] == "carried" || fields[0] == "failed") && len(fields) < 3 {
			ts.Fatalf("%s: %q names no manifest", file, line)
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
			f[0] = "carried" // as far as anyone knows by now
		}
		if f[0] != "left-out" {
			f[2] = "<" + f[2] + ">"
		}
		want = append(want, named(b, b.Expand(strings.Join(f, " "))))
	}
	for _, i := range told[report.Image](ts, "image") {
		got = append(got, named(b, fate(i, outcomes)))
	}
	compare(ts, "images", want, got)
}

// fate is what became of an image, as a line of what is expected.
func fate(i report.Image, outcomes map[string]report.Outcome) string {
	if !i.Complete {
		return "left-out " + i.Name()
	}
	is := i.Digest
	if i.Trimmed != "" {
		is = i.Trimmed
	}
	line := fmt.Sprintf("carried %s %s", i.Name(), strings.TrimPrefix(is, "sha256:"))
	o, moved := outcomes[i.Name()]
	switch {
	case moved && o.Status == report.Failed:
		return strings.Replace(line, "carried", "failed", 1)
	case len(outcomes) > 0 && !moved:
		return "forgotten " + i.Name()
	}
	if i.Recovered {
		line += " recovered"
	}
	if i.Trimmed != "" {
		line += " trimmed"
	}
	return line
}

func scriptSymbolic(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: symbolic DIR")
	}
	_, err := io.WriteString(ts.Stdout(), named(treeOf(ts, args[0]), ts.ReadFile("stdout")))
	ts.Check(err)
}

func scriptExpand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: expand DIR FILE TO")
	}
	text := treeOf(ts, args[0]).Expand(ts.ReadFile(args[1]))
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(text), 0o644))
}

// nobody is a user whom no file belongs to.
const nobody = 65534

// scriptUnprivileged runs as status does, as a user whom permissions hold back.
// What lies in his way, such as the directories that tests are made in, is opened.
func scriptUnprivileged(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 || os.Geteuid() != 0 {
		ts.Fatalf("usage: unprivileged N COMMAND [ARG …], as root")
	}
	dirs := filepath.SplitList(ts.Getenv("PATH"))
	n := slices.IndexFunc(dirs, func(dir string) bool { return isProgram(filepath.Join(dir, args[1])) })
	if n < 0 {
		ts.Fatalf("there is no program %s", args[1])
	}
	program := filepath.Join(dirs[n], args[1])
	for _, way := range []string{program, ts.MkAbs(".")} {
		for dir := filepath.Dir(way); dir != filepath.Clean(os.TempDir()) && dir != "/"; dir = filepath.Dir(dir) {
			ts.Check(os.Chmod(dir, 0o755))
		}
	}
	cmd := exec.Command(program, args[2:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = []string{"HARBOR_USERNAME=" + ts.Getenv("HARBOR_USERNAME"), "HARBOR_PASSWORD=" + ts.Getenv("HARBOR_PASSWORD")}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	err := cmd.Run()
	_, _ = stdout.WriteTo(ts.Stdout())
	_, _ = stderr.WriteTo(ts.Stderr())
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		ts.Fatalf("%v", err)
	}
	if got := fmt.Sprint(cmd.ProcessState.ExitCode()); got != args[0] {
		ts.Fatalf("exit status %s, want %s", got, args[0])
	}
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// scriptOtherDisk sets $OTHERDISK to a directory on another file system.
func scriptOtherDisk(ts *testscript.TestScript, _ bool, _ []string) {
	dir, err := os.MkdirTemp(sharedMemory, "drydock-test-*")
	ts.Check(err)
	ts.Defer(func() { os.RemoveAll(dir) })
	ts.Setenv("OTHERDISK", dir)
}

const sharedMemory = "/dev/shm"

// conditions of scripts beside the usual ones.
func scriptCondition(name string) (bool, error) {
	switch name {
	case "user:root":
		return os.Geteuid() == 0, nil
	case "protected-links":
		on, err := os.ReadFile("/proc/sys/fs/protected_hardlinks")
		return err == nil && strings.TrimSpace(string(on)) == "1", nil
	case "otherdisk":
		var shared, temporary syscall.Stat_t
		err := errors.Join(syscall.Stat(sharedMemory, &shared), syscall.Stat(os.TempDir(), &temporary))
		return err == nil && shared.Dev != temporary.Dev, nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}
