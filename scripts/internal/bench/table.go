package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/measure"
	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/wire"
)

// table is what a run prints, section by section.
type table struct {
	out   io.Writer
	quick bool
	rows  []row
	goals []string
}

// row is one program's.
type row struct {
	name  string
	usage measure.Usage
	wire  *wire.Counts // nil where nothing was sent
	note  string
}

// machine prints what was measured on, and with what.
func (t *table) machine(ctx context.Context, seed uint64) error {
	fmt.Fprintf(t.out, "%s, %d cores, %s of memory, %s\n", field("/proc/cpuinfo", `model name\s*:\s*(.*)`), runtime.NumCPU(),
		field("/proc/meminfo", `MemTotal:\s*(.*)`), time.Now().Format(time.DateOnly))
	fmt.Fprintf(t.out, "%s; drydock %s; registry %s; skopeo %s; crane %s; regsync %s; kernel %s; seed %d\n",
		runtime.Version(), versionOf(ctx, "drydock", "version"), versionOf(ctx, "registry", "--version"), versionOf(ctx, "skopeo", "--version"),
		versionOf(ctx, "crane", "version"), versionOf(ctx, "regsync", "version"), field("/proc/sys/kernel/osrelease", `(.*)`), seed)
	if t.quick {
		fmt.Fprintln(t.out, "A smoke run on small trees: its times say nothing.")
	}
	return nil
}

func field(file, pattern string) string {
	content, err := os.ReadFile(file)
	found := regexp.MustCompile(pattern).FindSubmatch(content)
	if err != nil || found == nil {
		return "unknown"
	}
	return string(found[1])
}

var versionNumber = regexp.MustCompile(`v?\d+\.\d+\.\d+\S*`)

func versionOf(ctx context.Context, program string, args ...string) string {
	said, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		return "is not there"
	}
	if found := versionNumber.Find(said); found != nil {
		return string(found)
	}
	return strings.TrimSpace(strings.TrimPrefix(firstLine(string(said)), program))
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// section prints what there is of the one before, and begins another.
func (t *table) section(name, what string) {
	t.flush()
	fmt.Fprintf(t.out, "\n== %s: %s\n", name, what)
}

// group begins a part of a section. Its first row is what the others are
// compared to.
func (t *table) group(what string) {
	t.flush()
	fmt.Fprintf(t.out, "\n%s\n", what)
}

func (t *table) add(r row) { t.rows = append(t.rows, r) }

// goal adds a comparison below the rows, with what is hoped for.
func (t *table) goal(what string, got, most float64) {
	verdict := "met"
	switch {
	case t.quick:
		verdict = "not judged"
	case got > most:
		verdict = "NOT MET"
	}
	t.goals = append(t.goals, fmt.Sprintf("%s: %.2f, at most %.4g: %s", what, got, most, verdict))
}

var columns = []string{"", "s", "×", "CPU s", "peak MB", "files", "requests", "×", "sent MB", "conns", ""}

// flush prints rows and goals.
func (t *table) flush() {
	if len(t.rows) > 0 {
		lines := [][]string{columns}
		for _, r := range t.rows {
			lines = append(lines, r.cells(t.rows[0]))
		}
		print(t.out, lines)
	}
	for _, g := range t.goals {
		fmt.Fprintln(t.out, "  "+g)
	}
	t.rows, t.goals = nil, nil
}

// print prints cells below each other, without columns that nobody uses: the
// first and the last to the left, numbers to the right.
func print(out io.Writer, lines [][]string) {
	width := make([]int, len(columns))
	used := make([]bool, len(columns)) // by more than their heads
	for line, cells := range lines {
		for n, cell := range cells {
			width[n] = max(width[n], utf8.RuneCountInString(cell))
			used[n] = used[n] || (line > 0 && cell != "")
		}
	}
	for _, cells := range lines {
		var b strings.Builder
		for n, cell := range cells {
			if !used[n] {
				continue
			}
			pad := strings.Repeat(" ", width[n]-utf8.RuneCountInString(cell))
			if n == 0 || n == len(cells)-1 {
				b.WriteString("  " + cell + pad)
			} else {
				b.WriteString("  " + pad + cell)
			}
		}
		fmt.Fprintln(out, strings.TrimRight(b.String(), " "))
	}
}

func (r row) cells(base row) []string {
	cells := []string{
		r.name, fmt.Sprintf("%.2f", r.usage.Seconds), ratio(r.usage.Seconds, base.usage.Seconds),
		blank("%.2f", r.usage.CPU), blank("%.0f", float64(r.usage.Memory)/1e6), blank("%.0f", float64(r.usage.Files)),
		"", "", "", "", r.note,
	}
	if r.wire == nil {
		return cells
	}
	cells[6] = fmt.Sprint(r.wire.Requests)
	if base.wire != nil {
		cells[7] = ratio(float64(r.wire.Requests), float64(base.wire.Requests))
	}
	cells[8] = fmt.Sprintf("%.1f", float64(r.wire.Uploaded)/1e6)
	cells[9] = fmt.Sprint(r.wire.Connections)
	return cells
}

func ratio(a, b float64) string {
	if b == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", a/b)
}

func blank(format string, n float64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(format, n)
}

func (t *table) close() error {
	t.flush()
	_, err := fmt.Fprintln(t.out)
	return err
}
