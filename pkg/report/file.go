package report

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "embed"
)

// File gathers a run and writes it, at the end, into one file: .json, .html or
// JUnit's .xml by its name. It appears under its name when it is whole.
type File struct {
	path  string
	write func(io.Writer, *Run) error
	run   Run
}

// Run is everything a run said.
type Run struct {
	Verb     string    `json:"verb"`
	Source   string    `json:"source"`
	Target   string    `json:"target,omitempty"`
	Started  time.Time `json:"started"`
	Version  string    `json:"version"`
	Images   []Image   `json:"images"`
	Findings []Finding `json:"findings"`
	Outcomes []Outcome `json:"outcomes"`
	Summary  Summary   `json:"summary"`
}

// NewFile prepares a report of a run, of which the first fields are filled.
func NewFile(path string, run Run) (*File, error) {
	writers := map[string]func(io.Writer, *Run) error{".json": writeJSON, ".xml": writeJUnit, ".html": writeHTML}
	write, ok := writers[strings.ToLower(filepath.Ext(path))]
	if !ok {
		return nil, WithHint(fmt.Errorf("report %s: unknown form", path), "name it .json, .html or .xml (JUnit)")
	}
	run.Images, run.Findings, run.Outcomes = []Image{}, []Finding{}, []Outcome{}
	return &File{path: path, write: write, run: run}, nil
}

// Image implements Handler.
func (f *File) Image(i Image) error {
	f.run.Images = append(f.run.Images, i.filled())
	return nil
}

// Finding implements Handler.
func (f *File) Finding(x Finding) error {
	f.run.Findings = append(f.run.Findings, x)
	return nil
}

// Outcome implements Handler.
func (f *File) Outcome(o Outcome) error {
	f.run.Outcomes = append(f.run.Outcomes, o)
	return nil
}

// Progress implements Handler.
func (f *File) Progress(Progress) {}

// Close implements Handler: it writes the file.
func (f *File) Close(s Summary) (err error) {
	f.run.Summary = s
	tmp, err := os.CreateTemp(filepath.Dir(f.path), ".drydock-report-*")
	if err != nil {
		return fmt.Errorf("writing report: %w", err)
	}
	defer func() {
		if err != nil {
			tmp.Close()
			os.Remove(tmp.Name())
		}
	}()
	if err := f.write(tmp, &f.run); err != nil {
		return fmt.Errorf("writing report: %w", err)
	}
	if err := tmp.Chmod(0o644); err != nil {
		return fmt.Errorf("writing report: %w", err)
	}
	if err := tmp.Close(); err != nil {
		return fmt.Errorf("writing report: %w", err)
	}
	if err := os.Rename(tmp.Name(), f.path); err != nil {
		return fmt.Errorf("writing report: %w", err)
	}
	return nil
}

func writeJSON(w io.Writer, run *Run) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(run)
}

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
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// writeJUnit makes each image a test: it fails if it was not carried or is not
// whole. Findings that belong to no image fail as tests of their own.
func writeJUnit(w io.Writer, run *Run) error {
	suite := junitSuite{Name: "drydock " + run.Verb, Time: run.Summary.Seconds}
	verdicts := run.Verdicts()
	for _, v := range verdicts {
		c := junitCase{Class: v.Repository, Name: v.Name()}
		if v.Reason != "" {
			c.Failure = &junitMessage{Message: v.Reason, Text: v.Reason}
			suite.Failures++
		}
		suite.Cases = append(suite.Cases, c)
	}
	for _, f := range run.Findings {
		if f.Level == Skip && f.Image() == "" {
			c := junitCase{Class: string(f.Code), Name: place(f)}
			c.Failure = &junitMessage{Message: f.Code.Kind().Means, Text: f.Code.Kind().Advice}
			suite.Failures++
			suite.Cases = append(suite.Cases, c)
		}
	}
	suite.Tests = len(suite.Cases)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	return enc.Encode(suite)
}

// Verdict is an image and what became of it.
type Verdict struct {
	Image
	Outcome *Outcome // nil where the run moved nothing
	Reason  string   // why it is not whole or was not carried; empty where all is well
}

// Verdicts joins images with their outcomes.
func (r *Run) Verdicts() []Verdict {
	outcomes := map[string]*Outcome{}
	for i := range r.Outcomes {
		outcomes[r.Outcomes[i].Source] = &r.Outcomes[i]
	}
	var verdicts []Verdict
	for _, i := range r.Images {
		v := Verdict{Image: i, Outcome: outcomes[i.Name()]}
		switch {
		case v.Outcome != nil && v.Outcome.Status == Failed:
			v.Reason = v.Outcome.Error
		case !i.Complete:
			v.Reason = r.reason(i)
		}
		verdicts = append(verdicts, v)
	}
	return verdicts
}

// reason gathers what the findings say against an image.
func (r *Run) reason(i Image) string {
	var reasons []string
	for _, f := range r.Findings {
		if f.Level == Skip && f.Repository == i.Repository && f.Tag == i.Tag {
			reasons = append(reasons, fmt.Sprintf("%s: %s %s", f.Code, f.Code.Kind().Means, f.Digest))
		}
	}
	if len(reasons) == 0 {
		return "incomplete"
	}
	return strings.Join(reasons, "; ")
}

//go:embed report.html
var htmlText string

var htmlReport = template.Must(template.New("report").Funcs(template.FuncMap{
	"size": size,
	"time": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
}).Parse(htmlText))

func writeHTML(w io.Writer, run *Run) error { return htmlReport.Execute(w, run) }
