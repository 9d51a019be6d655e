package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// selectFlags say which images are meant.
type selectFlags struct {
	include, exclude []string
	latest           int
	since            string
	untagged         bool
	noReferrers      bool
	incomplete       string
}

func (f *selectFlags) register(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.include, "include", nil, "only images that fit this `glob` on repository:tag; * within a component, ** across; repeatable")
	flags.StringArrayVar(&f.exclude, "exclude", nil, "leave out images that fit this `glob`; repeatable")
	flags.IntVar(&f.latest, "latest", 0, "only the `N` newest tags of each repository")
	flags.StringVar(&f.since, "since", "", "only tags pushed since this `time`: 2026-01-31, 2026-01-31T12:00:00Z, or an age such as 30d or 12h")
	flags.BoolVar(&f.untagged, "untagged", false, "also manifests that no tag, index or subject reaches")
	flags.BoolVar(&f.noReferrers, "no-referrers", false, "leave out signatures, attestations and whatever else refers to a chosen image")
	flags.StringVar(&f.incomplete, "incomplete", "skip", "images of which parts are missing: skip, trim (an index, to what is there) or fail")
}

func (f *selectFlags) rules(src *sourceFlags) (plan.Rules, error) {
	since, err := parseSince(f.since, time.Now())
	if err != nil {
		return plan.Rules{}, usageError{err}
	}
	if f.latest < 0 {
		return plan.Rules{}, usageError{fmt.Errorf("bad value %d for --latest: want 1 or more", f.latest)}
	}
	return plan.Rules{
		Include: f.include, Exclude: f.exclude, Latest: f.latest, Since: since,
		Untagged: f.untagged, Recover: src.recover, NoReferrers: f.noReferrers, Incomplete: plan.Incomplete(f.incomplete),
	}, nil
}

// sourceFlags say how the source is read.
type sourceFlags struct {
	readData bool
	recover  bool
	tags     string
}

func (f *sourceFlags) register(flags *pflag.FlagSet) {
	flags.BoolVar(&f.readData, "read-data", false, "hash every blob first, once; an image with wrong bytes is incomplete")
	flags.BoolVar(&f.recover, "recover", false, "take tags whose link is lost by their history, and tags whose manifest is there but not linked")
	flags.StringVar(&f.tags, "tags", "", "take tags from this `file` too: repository:tag digest a line, or CSV; for Harbor's own storage, which has none")
}

// options are those of a scan for the images that sel selects.
func (f *sourceFlags) options(sel *selectFlags) (storage.ScanOptions, error) {
	opts := storage.ScanOptions{ReadData: f.readData, KeepIndexes: sel.incomplete == string(plan.TrimIncomplete)}
	if f.tags == "" {
		return opts, nil
	}
	file, err := os.Open(f.tags)
	if err != nil {
		return opts, fmt.Errorf("reading tags: %w", err)
	}
	defer file.Close()
	opts.Tags, err = storage.ParseTagMap(file)
	return opts, report.WithHint(err, "a line is repository:tag and a digest, or CSV with the columns repository, tag and digest")
}

const maxAgeDays = 100 * 366

// parseSince reads a date, a time or an age.
func parseSince(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= maxAgeDays {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if age, err := time.ParseDuration(s); err == nil && age >= 0 {
		return now.Add(-age), nil
	}
	return time.Time{}, report.WithHint(fmt.Errorf("bad value %q for --since", s), "write 2026-01-31, 2026-01-31T12:00:00Z, or an age such as 30d or 12h")
}

// mapFlags say where images go in the target.
type mapFlags struct {
	project    string
	rewrites   []string
	projectMap string
}

func (f *mapFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.project, "project", "library", "the `project` for repositories of one component, where DEST has no prefix; empty: they stay as they are")
	flags.StringArrayVar(&f.rewrites, "rewrite", nil, "`FROM=TO` on the repository's leading components, before anything else; repeatable, the first that fits counts")
	flags.StringVar(&f.projectMap, "project-map", "", "take rewrites from this `file` too: FROM TO a line, of which the longest FROM counts")
}

func (f *mapFlags) target(to plan.Destination) (*plan.Target, error) {
	t := &plan.Target{Prefix: to.Prefix, Project: f.project}
	for _, s := range f.rewrites {
		w, err := plan.ParseRewrite(s)
		if err != nil {
			return nil, usageError{err}
		}
		t.Rewrites = append(t.Rewrites, w)
	}
	if f.projectMap == "" {
		return t, nil
	}
	file, err := os.Open(f.projectMap)
	if err != nil {
		return nil, fmt.Errorf("reading project map: %w", err)
	}
	defer file.Close()
	more, err := plan.ParseProjectMap(file)
	t.Rewrites = append(t.Rewrites, more...)
	return t, err
}

// linkFlags say how layouts are made.
type linkFlags struct{ link string }

func (f *linkFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.link, "link", "auto", "how files get into layouts: auto (hard link, else reflink, else copy), hardlink, reflink, symlink or copy")
}

func (f *linkFlags) method() (link.Method, error) {
	m := link.Method(f.link)
	if !m.Valid() {
		return "", usageError{fmt.Errorf("bad value %q for --link: want auto, hardlink, reflink, symlink or copy", f.link)}
	}
	return m, nil
}

// runFlags are about the run itself.
type runFlags struct {
	output     string
	asked      int  // jobs, as they were asked for
	jobs       int  // as many of them as can be had, by check
	sideBySide bool // the command has jobs
	quiet      bool
	noProgress bool
	report     string
	dryRun     bool
}

func (f *runFlags) register(flags *pflag.FlagSet) {
	f.asked = defaultJobs
	flags.StringVarP(&f.output, "output", "o", "text", "text for people, names (repository:tag a line) or json (JSON Lines)")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "say only what went wrong")
	flags.BoolVar(&f.noProgress, "no-progress", false, "no bars; there are none anyway where stderr is no terminal")
	flags.StringVar(&f.report, "report", "", "write what became of each image to this `file`: .json, .html or .xml (JUnit)")
}

func (f *runFlags) registerJobs(flags *pflag.FlagSet) {
	f.sideBySide = true
	flags.IntVarP(&f.asked, "jobs", "j", defaultJobs, "images side by side")
}

// defaultJobs is how many images, and requests to the target, go side by side
// unless told otherwise. Measured with 500 tags: where each answer takes 20 ms and
// nothing else is scarce, 4, 8, 16 and 32 took 28, 15, 8 and 4 s. Where a registry
// shares two cores with drydock, there is nothing to gain beyond 16, and nothing
// is lost by them: 20, 16, 18 and 17 s on the loopback, and 35, 23, 14 and 21 s at
// 20 ms, for the requests alone. Harbor 2.15.2 on two cores took 16, 32 and 64
// pushes at a time without refusing one. One that bears less gets less: see
// pkg/push's limiter.
const defaultJobs = 16

func (f *runFlags) registerDryRun(flags *pflag.FlagSet) {
	flags.BoolVar(&f.dryRun, "dry-run", false, "show the plan, and stop")
}

func (f *runFlags) check() error {
	switch f.output {
	case "text", "names", "json":
	default:
		return usageError{fmt.Errorf("bad value %q for --output: want text, names or json", f.output)}
	}
	if f.asked < 1 || f.asked > 256 {
		return usageError{fmt.Errorf("bad value %d for --jobs: want 1 to 256", f.asked)}
	}
	f.jobs = affordable(f.asked, filesPerJob, openFiles())
	return nil
}

// moveFlags are those of every command with a DEST.
type moveFlags struct {
	sourceFlags
	selectFlags
	mapFlags
	targetFlags
	runFlags
}

// register registers them all; a command that reads no registry's storage, but
// layouts, does without those about the source.
func (f *moveFlags) register(flags *pflag.FlagSet, fromStorage bool) {
	if fromStorage {
		f.sourceFlags.register(flags)
	}
	f.selectFlags.register(flags)
	f.mapFlags.register(flags)
	f.targetFlags.register(flags)
	f.runFlags.register(flags)
	f.registerJobs(flags)
}
