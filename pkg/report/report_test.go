package report_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s: -want +got:\n%s", name, d)
	}
}

func digest(c string) string { return "sha256:" + strings.Repeat(c, 64) }

// tell tells a small run, with one of everything.
func tell(t *testing.T, h report.Handler) {
	t.Helper()
	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	missing := report.BlobMissing.New("")
	missing.Repository, missing.Tag, missing.Digest, missing.Path = "library/app", "v2", digest("d"), "blobs/sha256/dd/…/data"
	unreadable := report.Unreadable.New("permission denied")
	unreadable.Repository, unreadable.Path = "team/x", "repositories/team/x"
	schema1 := report.Schema1.New("")
	schema1.Repository, schema1.Tag, schema1.Digest = "legacy", "1", digest("e")
	collision := report.TargetCollision.New("x/app:v1 would get 2 different images")
	collision.Repository, collision.Tag, collision.Digest = "b/app", "v1", digest("f")
	errs := []error{
		h.Image(report.Image{Repository: "b/app", Tag: "v1", Digest: digest("f"), Target: "x/app:v1", Complete: true, Size: 10}),
		h.Image(report.Image{
			Repository: "library/app", Tag: "v1", Digest: digest("a"), MediaType: "application/vnd.oci.image.index.v1+json",
			Platforms: []string{"linux/amd64", "linux/arm64/v8"}, Size: 12345678, Complete: true, Updated: at.In(time.FixedZone("", 3600)), Target: "p/app:v1",
		}),
		h.Image(report.Image{Repository: "library/app", Tag: "v2", Digest: digest("b"), Missing: []string{digest("d")}, Updated: at, Reason: "a blob that the image needs is not there: " + digest("d")}),
		h.Image(report.Image{Repository: "library/app", Digest: digest("c"), ArtifactType: "application/sig", Size: 1, Complete: true, Subject: digest("a"), Trimmed: digest("1"), Recovered: true}),
	}
	for _, f := range []report.Finding{missing, unreadable, schema1, collision} {
		errs = append(errs, h.Finding(f))
	}
	h.Progress(report.Progress{Stage: "push", Done: 1, Total: 2, Unit: "images"})
	errs = append(errs,
		h.Outcome(report.Outcome{Source: "library/app:v1", Target: "h/p/app:v1", Digest: digest("a"), Status: report.Done, Uploaded: 2, Mounted: 1, Bytes: 2048}),
		h.Outcome(report.Outcome{Source: "library/app@" + digest("c"), Target: "h/p/app@" + digest("c"), Digest: digest("c"), Status: report.Skipped}),
		h.Outcome(report.Outcome{Source: "legacy:1", Target: "h/p/legacy:1", Digest: digest("e"), Status: report.Failed, Error: "the target says <no>"}),
		h.Close(report.Summary{Images: 4, Done: 1, Skipped: 1, Failed: 1, Incomplete: 1, Findings: 4, UploadedBlobs: 2, MountedBlobs: 1, UploadedBytes: 2048, Seconds: 1.5}),
	)
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func closing(s report.Summary) []string { return []string{fmt.Sprintf("%d images", s.Images)} }

func TestGoldenText(t *testing.T) {
	old := time.Local
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = old })
	for name, opts := range map[string]report.TextOptions{
		"list.txt":    {Images: true, Closing: closing},
		"plan.txt":    {Images: true, Targets: true, Closing: closing},
		"check.txt":   {Notes: true, FindingsAreData: true, Closing: closing},
		"migrate.txt": {Closing: closing},
		"quiet.txt":   {Quiet: true},
	} {
		var out, err bytes.Buffer
		opts.Out, opts.Err = &out, &err
		tell(t, report.NewText(opts))
		golden(t, name, fmt.Appendf(nil, "-- out --\n%s-- err --\n%s", out.Bytes(), err.Bytes()))
	}
}

func TestGoldenStreams(t *testing.T) {
	var out, names bytes.Buffer
	tell(t, report.NewTee(report.NewJSON(&out), report.NewNames(&names)))
	golden(t, "run.jsonl", out.Bytes())
	golden(t, "names.txt", names.Bytes())
}

func TestGoldenFiles(t *testing.T) {
	for _, name := range []string{"run.json", "run.xml", "run.html"} {
		path := filepath.Join(t.TempDir(), name)
		f, err := report.NewFile(path, report.Run{Verb: "migrate", Source: "/srv/registry", Target: "h/p", Started: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), Version: "v1.2.3"})
		if err != nil {
			t.Fatal(err)
		}
		tell(t, f)
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, withoutParts(got))
	}
}

// TestSchema holds the lines of JSON against the documented names.
func TestSchema(t *testing.T) {
	var out bytes.Buffer
	tell(t, report.NewJSON(&out))
	always := map[string][]string{
		"image":    {"repository", "tag", "digest", "mediaType", "artifactType", "platforms", "size", "complete", "missing", "updated"},
		"finding":  {"code", "level", "repository", "tag", "digest", "path", "detail"},
		"outcome":  {"source", "target", "digest", "status", "error", "uploaded", "mounted", "bytes"},
		"progress": {"stage", "done", "total", "unit"},
		"summary":  {"images", "done", "skipped", "failed", "incomplete", "findings", "uploadedBlobs", "mountedBlobs", "uploadedBytes", "linkedFiles", "copiedBytes", "seconds"},
	}
	sometimes := map[string][]string{"image": {"target", "subject", "recovered", "trimmed"}, "summary": {"uniqueBytes", "unasked", "error"}}
	seen := map[string]bool{}
	last := ""
	for dec := json.NewDecoder(&out); ; {
		var line map[string]any
		if err := dec.Decode(&line); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		kind, _ := line["type"].(string)
		last, seen[kind] = kind, true
		delete(line, "type")
		for _, name := range always[kind] {
			if value, ok := line[name]; !ok || value == nil {
				t.Errorf("%s: %s is %v", kind, name, value)
			}
			delete(line, name)
		}
		for name := range line {
			if !slices.Contains(sometimes[kind], name) {
				t.Errorf("%s: %s is not documented", kind, name)
			}
		}
	}
	if last != "summary" || len(seen) != len(always) {
		t.Errorf("seen %v, the last is %s", seen, last)
	}
}

// TestKinds reads the source: every Code is in the table, in the same order.
func TestKinds(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "code.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var codes []report.Code
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); ok && typ.Name == "Code" {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Error(err)
			}
			codes = append(codes, report.Code(value))
		}
		return true
	})
	var kinds []report.Code
	for _, k := range report.Kinds {
		kinds = append(kinds, k.Code)
		if k.Means == "" || k.Advice == "" || (k.Level != report.Note && k.Level != report.Skip) || k.Code.Kind() != k {
			t.Errorf("%s is not whole: %+v", k.Code, k)
		}
	}
	if d := cmp.Diff(codes, kinds); d != "" || len(codes) == 0 {
		t.Errorf("-codes +kinds:\n%s", d)
	}
	if k := report.Code("new").Kind(); k.Level != report.Skip || k.Code != "new" {
		t.Errorf("an unknown code is %+v", k)
	}
}

// hostile is what names and details from outside may hold.
const hostile = "a\x1b[2J\x07\r\nb\tc\u009b31m\u202e\xff\x00\u2028d"

func TestTerminalIsSafe(t *testing.T) {
	var out bytes.Buffer
	for _, targets := range []bool{false, true} {
		h := report.NewTee(report.NewNames(&out), report.NewText(report.TextOptions{
			Out: &out, Err: &out, Images: true, Targets: targets, Notes: true, Closing: func(report.Summary) []string { return []string{hostile} },
		}))
		f := report.Code("x" + hostile).New(hostile)
		f.Repository, f.Tag, f.Path = hostile, hostile, hostile
		known := report.LinkInvalid.New(hostile)
		err := errors.Join(
			h.Image(report.Image{Repository: hostile, Tag: hostile, Digest: hostile, ArtifactType: hostile, Target: hostile}),
			h.Finding(f), h.Finding(known),
			h.Outcome(report.Outcome{Source: hostile, Target: hostile, Status: report.Failed, Error: hostile}),
			h.Outcome(report.Outcome{Source: hostile, Target: hostile, Status: report.Done}),
			h.Outcome(report.Outcome{Source: hostile, Target: hostile, Status: report.Skipped}),
			h.Close(report.Summary{}),
		)
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []string{"\x1b", "\x07", "\r", "\t", "\u009b", "\u202e", "\xff", "\x00", "\u2028", "\nb"} {
		if strings.Contains(out.String(), bad) {
			t.Errorf("%q is in %q", bad, out.String())
		}
	}
	if want := `a\x1b[2J\x07\x0d\x0ab\x09c\u009b31m\u202e\xff\x00\u2028d`; !strings.Contains(out.String(), want) {
		t.Errorf("%q is not in %q", want, out.String())
	}
}

func TestFindingsAreCut(t *testing.T) {
	var out bytes.Buffer
	h := report.NewText(report.TextOptions{Out: io.Discard, Err: &out})
	for n := range 25 {
		f := report.BlobMissing.New("")
		f.Repository, f.Tag = "app", fmt.Sprint(n)
		if err := h.Finding(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Close(report.Summary{}); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, "(25)") || !strings.Contains(got, "… and 15 more") || strings.Contains(got, "app:10\n") {
		t.Errorf("it says %s", got)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }

func TestErrorsAreTold(t *testing.T) {
	for name, h := range map[string]report.Handler{
		"text":  report.NewText(report.TextOptions{Out: broken{}, Err: broken{}}),
		"json":  report.NewJSON(broken{}),
		"names": report.NewNames(broken{}),
	} {
		err := errors.Join(h.Image(report.Image{}), h.Finding(report.BlobMissing.New("")), h.Outcome(report.Outcome{}), h.Close(report.Summary{}))
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestFileWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "r.json")
	if err := os.WriteFile(path, []byte("the last run's"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := report.NewFile(path, report.Run{})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Image(report.Image{}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "the last run's" {
		t.Errorf("before the end it is %q, error %v", got, err)
	}
	if err := f.Close(report.Summary{}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || !json.Valid(got) {
		t.Errorf("it is %q, error %v", got, err)
	}
	for _, list := range []string{`"findings": []`, `"outcomes": []`, `"platforms": []`, `"missing": []`} {
		if !strings.Contains(string(got), list) {
			t.Errorf("%s is missing", list)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left over: %v, error %v", entries, err)
	}
}

func TestFileRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "d.json"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"r.txt", "r", filepath.Join(dir, "no", "r.json"), "/proc/r.json", filepath.Join(dir, "d.json")} {
		if _, err := report.NewFile(path, report.Run{}); err == nil || report.Advice(err) == "" {
			t.Errorf("%s: error %v", path, err)
		}
	}
	gone := filepath.Join(dir, "gone")
	if err := os.Mkdir(gone, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := report.NewFile(filepath.Join(gone, "r.XML"), report.Run{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(gone); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(report.Summary{}); err == nil {
		t.Error("no error when the directory is gone")
	}
}

// TestJUnitTellsAll has findings that belong to no image of the run, or to
// another one: nothing of level skip is lost in a green pipeline.
func TestJUnitTellsAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.xml")
	f, err := report.NewFile(path, report.Run{Verb: "plan"})
	if err != nil {
		t.Fatal(err)
	}
	tell(t, f)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var suite struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Cases    []struct {
			Name    string    `xml:"name,attr"`
			Failure *struct{} `xml:"failure"`
		} `xml:"testcase"`
	}
	if err := xml.Unmarshal(content, &suite); err != nil {
		t.Fatal(err)
	}
	var failed []string
	for _, c := range suite.Cases {
		if c.Failure != nil {
			failed = append(failed, c.Name)
		}
	}
	if suite.Tests != len(suite.Cases) || suite.Failures != len(failed) {
		t.Errorf("%d tests, %d failures: %q", suite.Tests, suite.Failures, failed)
	}
	if d := cmp.Diff([]string{"b/app:v1", "library/app:v2", "team/x  repositories/team/x  permission denied"}, failed); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestAdvice(t *testing.T) {
	base := errors.New("base")
	hint := report.WithHint(base, "do this")
	for err, want := range map[error]string{
		nil:                               "",
		base:                              "",
		hint:                              "do this",
		fmt.Errorf("around it: %w", hint): "do this",
	} {
		if got := report.Advice(err); got != want {
			t.Errorf("%v: advice %q", err, got)
		}
	}
	if got := report.Advice(errors.Join(base, hint)); got != "do this" {
		t.Errorf("joined: advice %q", got)
	}
	if !errors.Is(hint, base) || hint.Error() != "base" || report.WithHint(nil, "x") != nil {
		t.Error("a hint changes the error")
	}
}
