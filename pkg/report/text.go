package report

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
)

// Text tells things to people: images as a table, outcomes as they come,
// findings by their code at the end, and a summary.
//
// What a person sees: data goes to Out, findings and the summary to Err, unless
// they are the data, as for a check. A line names one image. Sizes are binary.
// Of many findings of one code the first few are shown, and how many more.
type Text struct {
	opts     TextOptions
	images   *tabwriter.Writer
	rows     int
	findings []Finding
	causes   map[string]bool // that were told, with the error
}

// TextOptions say what a Text shows, and where.
type TextOptions struct {
	Out, Err io.Writer
	// Images shows a table of images.
	Images bool
	// Targets has the table name targets instead of details.
	Targets bool
	// FindingsAreData puts findings and summary on Out.
	FindingsAreData bool
	// Notes shows all findings of level note; without it, those alone that say
	// what Harbor will refuse, or that there may be more than is carried.
	Notes bool
	// Quiet leaves out outcomes that went well.
	Quiet bool
	// Closing gives the lines of the summary.
	Closing func(Summary) []string
}

// tableRows is of how many rows of the table the columns are as wide as each
// other. All these rows are kept, so that they are not those of a whole registry.
const tableRows = 10_000

// shownFindings is how many findings of one code are shown in full.
const shownFindings = 10

// NewText makes a handler for people.
func NewText(opts TextOptions) *Text {
	return &Text{opts: opts, causes: map[string]bool{}, images: tabwriter.NewWriter(opts.Out, 0, 8, 2, ' ', 0)}
}

// Image implements Handler.
func (t *Text) Image(i Image) error {
	if !t.opts.Images {
		return t.notable(i)
	}
	var err error
	if t.rows%tableRows == 0 {
		err = t.images.Flush()
	}
	t.rows++
	if t.opts.Targets {
		return errors.Join(err, t.row(i.Name(), "→ "+i.Target, size(i.Size), remark(i)))
	}
	if t.rows == 1 {
		err = t.row("IMAGE", "DIGEST", "SIZE", "UPDATED", "PLATFORMS", "")
	}
	return errors.Join(err, t.row(shortName(i), shortDigest(i.Digest), size(i.Size), date(i.Updated), kind(i), remark(i)))
}

// notable names, where there is no table, the images that are not carried as
// they are. Where notes are shown, findings say the same.
func (t *Text) notable(i Image) error {
	if t.opts.Notes {
		return nil
	}
	var errs []error
	if i.Reason != "" && !i.Complete {
		errs = append(errs, line(t.opts.Out, "left out %s: %s", i.Name(), i.Reason))
	}
	if i.Recovered {
		errs = append(errs, line(t.opts.Out, "recovered %s as %s", i.Name(), i.Digest))
	}
	if i.Trimmed != "" {
		errs = append(errs, line(t.opts.Out, "trimmed  %s from %s to %s", i.Name(), i.Digest, i.Trimmed))
	}
	return errors.Join(errs...)
}

func (t *Text) row(cells ...string) error {
	for i, cell := range cells {
		cells[i] = printable(cell)
	}
	_, err := io.WriteString(t.images, strings.Join(cells, "\t")+"\n")
	return err
}

// line writes one line, whatever is in it.
func line(w io.Writer, format string, args ...any) error {
	_, err := io.WriteString(w, printable(fmt.Sprintf(format, args...))+"\n")
	return err
}

// shortName leaves most of a digest out: it has a column of its own.
func shortName(i Image) string {
	if i.Tag == "" {
		return i.Repository + "@" + shortDigest(i.Digest)
	}
	return i.Name()
}

func shortDigest(d string) string {
	_, hex, ok := strings.Cut(d, ":")
	if !ok || len(hex) < 12 {
		return "-"
	}
	return hex[:12]
}

func size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

func date(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04")
}

// kind is what an image runs on or, where it does not run, what it is.
func kind(i Image) string {
	switch {
	case len(i.Platforms) > 0:
		return strings.Join(i.Platforms, ",")
	case i.ArtifactType != "":
		return i.ArtifactType
	}
	return "-"
}

// remark is what else there is to say of an image.
func remark(i Image) string {
	var remarks []string
	if !i.Complete {
		remarks = append(remarks, "INCOMPLETE")
	}
	if i.Recovered {
		remarks = append(remarks, "recovered")
	}
	if i.Trimmed != "" {
		remarks = append(remarks, "trimmed from "+shortDigest(i.Digest)+" to "+shortDigest(i.Trimmed))
	}
	if i.Subject != "" {
		remarks = append(remarks, "refers to "+shortDigest(i.Subject))
	}
	return strings.Join(remarks, ", ")
}

// Finding implements Handler.
func (t *Text) Finding(f Finding) error {
	if f.Level == Skip || t.opts.Notes || f.Code.alwaysTold() {
		t.findings = append(t.findings, f)
	}
	return nil
}

// Outcome implements Handler.
func (t *Text) Outcome(o Outcome) error {
	switch {
	case o.Status == Failed && o.Cause != "" && t.causes[o.Cause+o.Error]:
		return line(t.opts.Out, "failed   %s → %s: %s, as above", o.Source, o.Target, o.Cause)
	case o.Status == Failed:
		t.causes[o.Cause+o.Error] = true
		return line(t.opts.Out, "failed   %s → %s: %s", o.Source, o.Target, o.Error)
	case t.opts.Quiet:
		return nil
	case o.Status == Skipped:
		return line(t.opts.Out, "skipped  %s → %s: there already", o.Source, o.Target)
	default:
		return line(t.opts.Out, "done     %s → %s%s", o.Source, o.Target, sent(o))
	}
}

func sent(o Outcome) string {
	var parts []string
	if o.Uploaded > 0 {
		parts = append(parts, fmt.Sprintf("%d sent, %s", o.Uploaded, size(o.Bytes)))
	}
	if o.Placed > 0 {
		parts = append(parts, fmt.Sprintf("%d placed, %s", o.Placed, size(o.PlacedBytes)))
	}
	if o.Mounted > 0 {
		parts = append(parts, fmt.Sprintf("%d mounted", o.Mounted))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, "; ") + ")"
}

// Progress implements Handler: words have none.
func (t *Text) Progress(Progress) {}

// Flush tells the findings so far, and the images above them.
func (t *Text) Flush() error {
	if err := t.images.Flush(); err != nil {
		return err
	}
	found := t.findings
	t.findings = nil
	return closeFindings(t.end(), found)
}

// end is where the findings and the summary go.
func (t *Text) end() io.Writer {
	if t.opts.FindingsAreData {
		return t.opts.Out
	}
	return t.opts.Err
}

// Close implements Handler.
func (t *Text) Close(s Summary) error {
	if err := t.Flush(); err != nil {
		return err
	}
	if t.opts.Closing == nil {
		return nil
	}
	to := t.end()
	for _, text := range t.opts.Closing(s) {
		if err := line(to, "%s", text); err != nil {
			return err
		}
	}
	return nil
}

// closeFindings shows findings by their codes, in the table's order.
func closeFindings(to io.Writer, findings []Finding) error {
	byCode := map[Code][]Finding{}
	var unknown []Kind
	for _, f := range findings {
		if _, ok := kinds[f.Code]; !ok && byCode[f.Code] == nil {
			unknown = append(unknown, f.Code.Kind())
		}
		byCode[f.Code] = append(byCode[f.Code], f)
	}
	for _, k := range slices.Concat(Kinds, unknown) {
		if err := closeKind(to, k, byCode[k.Code]); err != nil {
			return err
		}
	}
	return nil
}

// closeKind shows the findings of one code, with what to do once.
func closeKind(to io.Writer, k Kind, findings []Finding) error {
	if len(findings) == 0 {
		return nil
	}
	err := line(to, "%s  %s: %s (%d)", k.Level, k.Code, k.Means, len(findings))
	for _, f := range findings[:min(len(findings), shownFindings)] {
		err = errors.Join(err, line(to, "      %s", place(f)))
	}
	if more := len(findings) - shownFindings; more > 0 {
		err = errors.Join(err, line(to, "      … and %d more; -o json shows all", more))
	}
	return errors.Join(err, line(to, "      → %s", k.Advice))
}

// place says where a finding is, and what of.
func place(f Finding) string {
	var parts []string
	if image := f.Image(); image != "" {
		parts = append(parts, image)
	}
	if f.Digest != "" {
		parts = append(parts, f.Digest)
	} else if f.Path != "" {
		parts = append(parts, f.Path)
	}
	if f.Detail != "" {
		parts = append(parts, f.Detail)
	}
	return strings.Join(parts, "  ")
}
