package report_test

import (
	"encoding/xml"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// smuggled are names that try to be something else in HTML, in attributes, in
// scripts and styles, in addresses, or to the eye.
var smuggled = []string{
	`</script><img src=x onerror=alert(1)>`,
	`"><svg onload=alert(1)>`,
	`' onmouseover='alert(1)`,
	`</style><script>alert(1)</script>`,
	`</title><script src=//evil.example/x.js></script>`,
	`<!--`, `]]>`, `{{.}}`, `javascript:alert(1)`, "`${alert(1)}`",
	`<iframe src=https://evil.example/></iframe>`, `<link rel=stylesheet href=//evil.example/x.css>`,
	`<meta http-equiv=refresh content="0;url=//evil.example/">`, `<base href=//evil.example/>`,
	hostile, "\u202egnp.exe", strings.Repeat("wide", 300), "\ufffe\uffff\U0010ffff", "a\x0bb\x0cc\x1fd",
}

// hostileRun has them wherever something comes from outside.
func hostileRun(verb string) report.Run {
	all := strings.Join(smuggled, " ")
	run := report.Run{Verb: verb, Source: all, Target: all, Asked: smuggled, Started: began, Version: all}
	for n, s := range smuggled {
		run.Images = append(run.Images, report.Image{
			Repository: s, Tag: s, Digest: s, MediaType: s, ArtifactType: s, Platforms: []string{s, s}, Missing: []string{s},
			Size: -1 << 63, Complete: n%2 == 0, Updated: time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC), Target: s, Subject: s, Trimmed: s, Recovered: true, Reason: s,
		})
		run.Images = append(run.Images, report.Image{Repository: fmt.Sprint(n), Tag: s, Digest: s, Size: 1<<63 - 1, Complete: true, Platforms: []string{s}})
		run.Findings = append(run.Findings,
			report.Finding{Code: report.Code(s), Level: report.Level(s), Repository: s, Tag: s, Digest: s, Path: s, Detail: s},
			report.Finding{Code: report.Code(s), Level: report.Note, Repository: s, Path: s, Detail: s},
			report.Finding{Code: report.BlobMissing, Level: report.Skip, Repository: s, Tag: s, Digest: s, Path: s, Detail: s},
			report.Finding{Code: report.RepositoryUntagged, Level: report.Note, Repository: s, Detail: s})
		run.Outcomes = append(run.Outcomes,
			report.Outcome{Source: s, Target: s, Digest: s, Status: report.Status(s), Error: s, Bytes: -1},
			report.Outcome{Source: report.Name(s, s, s), Target: s, Digest: s, Status: report.Failed, Error: s, Bytes: 1 << 62})
	}
	run.Summary = report.Summary{UniqueBytes: 1<<63 - 1, UploadedBytes: 1<<63 - 1, Seconds: 1e300, Error: all, MountedBlobs: -1, Images: -1}
	return run
}

func TestHTMLHostile(t *testing.T) {
	for _, verb := range []string{"migrate", "check", "plan", smuggled[0]} {
		text := readRun(t, hostileRun(verb))
		body := scriptElement.ReplaceAllString(styleElement.ReplaceAllString(text, ""), "")
		for _, bad := range []string{"<script", "<img", "<svg onload", "<iframe", "<link", "<base", "<meta http-equiv=refresh", "<!--", "</title><", "ZgotmplZ"} {
			if strings.Contains(body, bad) {
				t.Errorf("%s: it has %s", verb, bad)
			}
		}
		for _, r := range body {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Fatalf("%s: it has %U", verb, r)
			}
		}
	}
}

// FuzzHTML writes any text in every place: the page has the same elements as
// with a tame one.
func FuzzHTML(f *testing.F) {
	for _, s := range smuggled {
		f.Add(s)
	}
	page := func(t *testing.T, s string) string {
		image := report.Image{Repository: s, Tag: s, Digest: s, ArtifactType: s, Target: s, Subject: s, Trimmed: s, Reason: s}
		finding := report.Finding{Code: report.BlobMissing, Level: report.Skip, Repository: s, Digest: s, Path: s, Detail: s}
		text := readRun(t, report.Run{
			Verb: s, Source: s, Target: s, Asked: []string{s}, Version: s, Images: []report.Image{image}, Findings: []report.Finding{finding},
			Outcomes: []report.Outcome{{Source: s + "x", Target: s, Status: report.Failed, Error: s}}, Summary: report.Summary{Error: s},
		})
		return strings.Join(elements.FindAllString(string(withoutParts([]byte(text))), -1), "")
	}
	tame := ""
	f.Fuzz(func(t *testing.T, s string) {
		if s == "" || report.Code(s).Kind().Means != (report.Code("x")).Kind().Means || knownVerb[s] {
			t.Skip("it is a word that means something")
		}
		if tame == "" {
			tame = page(t, "tame")
		}
		if d := cmp.Diff(tame, page(t, s)); d != "" {
			t.Errorf("%q: -tame +hostile:\n%s", s, d)
		}
	})
}

var knownVerb = map[string]bool{"migrate": true, "push": true, "verify": true, "convert": true, "bundle": true, "check": true, "list": true, "plan": true}

// TestJUnitHostile reads JUnit's XML back: whatever is in a name, it is XML.
func TestJUnitHostile(t *testing.T) {
	text, err := os.ReadFile(writeRun(t, "r.xml", hostileRun(smuggled[0])))
	if err != nil {
		t.Fatal(err)
	}
	var suite struct {
		Name  string `xml:"name,attr"`
		Tests int    `xml:"tests,attr"`
		Cases []struct {
			Name    string `xml:"name,attr"`
			Failure *struct {
				Message string `xml:"message,attr"`
			} `xml:"failure"`
		} `xml:"testcase"`
	}
	if err := xml.Unmarshal(text, &suite); err != nil {
		t.Fatal(err)
	}
	if len(suite.Cases) != suite.Tests || suite.Tests < 2*len(smuggled) || suite.Name != "drydock "+smuggled[0] || suite.Cases[0].Name != report.Name(smuggled[0], smuggled[0], "") {
		t.Errorf("%d cases of %d, %q, %q", len(suite.Cases), suite.Tests, suite.Name, suite.Cases[0].Name)
	}
	for _, r := range string(text) { // https://www.w3.org/TR/xml/#charsets
		if r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r >= 0xd800 && r < 0xe000 || r == 0xfffe || r == 0xffff {
			t.Fatalf("it has %U", r)
		}
	}
	last := suite.Cases[len(suite.Cases)-1]
	if last.Failure == nil || last.Failure.Message != "the run ended before its time" {
		t.Errorf("the end is %+v", last)
	}
}
