package report

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	_ "embed"
)

// The parts of the HTML report. They go into one file, which needs nothing else.
var (
	//go:embed report.html
	htmlText string
	//go:embed report.css
	htmlStyle string
	//go:embed report.js
	htmlScript string
)

// htmlPolicy is the Content-Security-Policy of the report: no browser fetches
// anything for it, and none runs a script or takes a style but these two. What a
// name from outside might smuggle in is so held back twice.
var htmlPolicy = "default-src 'none'; style-src '" + hashSource(htmlStyle) + "'; script-src '" + hashSource(htmlScript) +
	"'; base-uri 'none'; form-action 'none'"

func hashSource(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

var htmlReport = template.Must(template.New("report").Parse(htmlText))

// writeHTML writes one file that opens offline, for the person who must sign a
// migration off.
func writeHTML(w io.Writer, run *Run) error { return htmlReport.Execute(w, newPage(run)) }

// page is what the template shows. All its texts are printable.
type page struct {
	Title   string
	Policy  string
	Style   template.CSS
	Script  template.JS
	Run     string // what it is a report of
	Verdict verdict
	Counts  []count
	Facts   []fact
	Bytes   *traffic
	Groups  []group // what is not whole, and why
	Against []group // what stood against it in the target
	Notes   []group
	Rows    []row
	Targets bool // images have targets
}

// many is how many rows a browser lays out at once without being felt: of five
// thousand, 2 to 4 s, and 0.7 s of those that are seen (Chromium 156, 2 cores).
const many = 500

// Many tells whether there are so many rows that a browser is spared them.
func (p *page) Many() bool { return len(p.Rows) > many }

type fact struct{ Term, Text string }

// count is how many images came to one end.
type count struct {
	State state
	Label string
	N     string
}

// row is an image in the table.
type row struct {
	Name    string
	Digest  string
	Other   string // the digest in the target, where it is another one
	Target  string
	State   state
	Label   string
	Why     string
	Remarks []string
	Bytes   int64
	Size    string
	Runs    string // on which platforms or, where it does not run, what it is
	Stamp   string // for machines
	Updated string // for people
}

func newPage(run *Run) *page {
	t := take(run)
	p := &page{
		Title:   printable("drydock " + run.Verb + ": " + run.Source),
		Policy:  htmlPolicy,
		Style:   template.CSS(htmlStyle),
		Script:  template.JS(htmlScript),
		Run:     printable("drydock " + run.Verb),
		Verdict: t.verdict(),
		Facts:   facts(run),
		Bytes:   t.traffic(),
		Groups:  t.groups(),
		Against: t.against(),
		Notes:   t.notes(),
	}
	for _, s := range states {
		if n := t.count[s]; n > 0 {
			p.Counts = append(p.Counts, count{State: s, Label: t.voice.label(s), N: humanize.Comma(int64(n))})
		}
	}
	for _, f := range t.fates {
		r := t.voice.row(f)
		if f.state == leftOut && t.moved {
			r.Target = "" // it goes nowhere
		}
		p.Targets = p.Targets || r.Target != ""
		p.Rows = append(p.Rows, r)
	}
	return p
}

// row puts an image into words.
func (v *voice) row(f fate) row {
	r := row{
		Name: printable(f.Name()), Digest: printable(f.Digest), Target: printable(f.Target), State: f.state, Label: v.label(f.state),
		Why: printable(f.why), Bytes: f.Size, Size: size(f.Size), Runs: printable(strings.Join(f.Platforms, ", ")), Remarks: remarks(f.Image),
	}
	if r.Runs == "" {
		r.Runs = printable(kind(f.Image))
	}
	if f.Outcome != nil {
		r.Target = printable(f.Outcome.Target)
	}
	if f.Trimmed != "" {
		r.Other = printable(f.Trimmed)
	} else if f.carried() && f.Outcome != nil && f.Outcome.Digest != f.Digest {
		r.Other = printable(f.Outcome.Digest)
	}
	if f.orphan {
		r.Size, r.Runs = "–", "–"
	}
	if !f.Updated.IsZero() {
		r.Stamp = f.Updated.UTC().Format(time.RFC3339)
		r.Updated = f.Updated.UTC().Format("2006-01-02 15:04")
	}
	return r
}

// remarks are what a reader should know of an image beside its fate.
func remarks(i Image) []string {
	var remarks []string
	if i.Recovered {
		remarks = append(remarks, "recovered")
	}
	if i.Trimmed != "" {
		remarks = append(remarks, "trimmed: its digest is new")
	}
	if i.Subject != "" {
		remarks = append(remarks, "refers to "+printable(i.Subject))
	}
	return remarks
}

// facts are about the run as a whole.
func facts(run *Run) []fact {
	s := run.Summary
	all := []fact{
		{"Source", run.Source},
		{"Target", run.Target},
		{"Started", stamp(run.Started)},
		{"Took", lasted(s.Seconds)},
		{"Sent", amount(s.UploadedBlobs, "blob", "blobs", s.UploadedBytes)},
		{"Put into the target's storage", amount(s.PlacedBlobs, "blob", "blobs", s.PlacedBytes)},
		{"Mounted, not sent", amount(s.MountedBlobs, "blob", "blobs", 0)},
		{"Linked, not copied", amount(s.LinkedFiles, "file", "files", 0)},
		{"Copied", amount(0, "", "", s.CopiedBytes)},
		{"Made by", "drydock " + run.Version},
	}
	var told []fact
	for _, f := range all {
		if f.Text != "" {
			told = append(told, fact{f.Term, printable(f.Text)})
		}
	}
	return told
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// lasted writes a time in seconds as people say it.
func lasted(seconds float64) string {
	if seconds < 60 || seconds > math.MaxInt32 {
		return humanize.FtoaWithDigits(seconds, 1) + " s"
	}
	var parts []string
	n := int(seconds)
	for _, unit := range []struct {
		seconds int
		name    string
	}{{3600, "h"}, {60, "min"}, {1, "s"}} {
		if count := n / unit.seconds; count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count, unit.name))
		}
		n %= unit.seconds
	}
	return strings.Join(parts, " ")
}

// amount is empty where there is nothing.
func amount(n int, one, many string, bytes int64) string {
	var parts []string
	if n > 0 {
		parts = append(parts, number(n, one, many))
	}
	if bytes > 0 {
		parts = append(parts, size(bytes))
	}
	return strings.Join(parts, ", ")
}

func number(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return humanize.Comma(int64(n)) + " " + many
}
