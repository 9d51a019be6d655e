package report

import (
	"encoding/xml"
	"io"
	"strings"
)

// The parts of JUnit's XML that pipelines read.
type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     float64     `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Failure *junitMessage `xml:"failure"`
	Skipped *junitMessage `xml:"skipped"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// asAsked says that an image is not what the tree has under its name, since that
// was asked for.
func asAsked(i Image) string {
	var parts []string
	if i.Recovered {
		parts = append(parts, "recovered as "+i.Digest)
	}
	if i.Trimmed != "" {
		parts = append(parts, "trimmed from "+i.Digest+" to "+i.Trimmed)
	}
	return strings.Join(parts, "; ")
}

// writeJUnit makes each image a test: it fails if it was not carried or is not
// whole. Findings of level skip that belong to no image of the run fail as
// tests of their own, and so does a run that ended before its time.
func writeJUnit(w io.Writer, run *Run) error {
	suite := junitSuite{Name: "drydock " + run.Verb, Time: run.Summary.Seconds}
	for _, v := range run.Verdicts() {
		c := junitCase{Class: v.Repository, Name: v.Name(), Out: asAsked(v.Image)}
		if v.Reason != "" {
			c.Failure = &junitMessage{Message: v.Reason, Text: v.Reason}
			suite.Failures++
		}
		suite.Cases = append(suite.Cases, c)
	}
	for _, f := range run.Unclaimed() {
		k := f.Code.Kind()
		suite.Failures++
		suite.Cases = append(suite.Cases, junitCase{
			Class: string(f.Code), Name: place(f), Failure: &junitMessage{Message: k.Means, Text: k.Advice},
		})
	}
	if text := run.Summary.Error; text != "" {
		suite.Failures++
		suite.Cases = append(suite.Cases, junitCase{
			Class: "drydock", Name: "drydock " + run.Verb, Failure: &junitMessage{Message: "the run ended before its time", Text: text},
		})
	}
	suite.Tests = len(suite.Cases)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	return enc.Encode(suite)
}
