package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

type checkOptions struct {
	sourceFlags
	selectFlags
	runFlags
}

func newCheckCommand(a *app) *cobra.Command {
	var opts checkOptions
	cmd := &cobra.Command{
		Use:   "check SOURCE",
		Short: "Tell whether a registry's storage is whole, and what is wrong with it",
		Long: `Check looks at everything in a registry's storage and names what is damaged,
odd or left over, which images it touches, and what to do. Sizes are always
compared; with --read-data every blob is hashed, once.` + exitStatus,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runCheck(cmd.Context(), a, args[0], opts)
		},
	}
	opts.sourceFlags.register(cmd.Flags())
	opts.selectFlags.register(cmd.Flags())
	opts.runFlags.register(cmd.Flags())
	return cmd
}

func runCheck(ctx context.Context, a *app, location string, opts checkOptions) error {
	rules, err := opts.rules(&opts.sourceFlags)
	if err != nil {
		return err
	}
	var x *storage.Index
	v := verb{name: "check", source: location, findings: true, notes: true}
	v.closing = func(s report.Summary) []string { return closeCheck(s, x.Unreferenced()) }
	s, err := a.newSession(v, &opts.runFlags)
	if err != nil {
		return err
	}
	src, index, err := s.scan(ctx, reading{location: location, thorough: true, hash: true}, &opts.sourceFlags, &opts.selectFlags)
	if err != nil {
		return err
	}
	defer src.Close()
	x = index
	if rules.Incomplete == plan.Fail {
		rules.Incomplete = plan.SkipIncomplete // there is nothing to stop before
	}
	p, err := s.makePlan(x, rules)
	if err != nil {
		return err
	}
	p.Findings = checkFindings(x, p)
	if err := s.tellPlan(p); err != nil {
		return err
	}
	return s.close(ctx, p.Whole())
}

// checkFindings are all of the index: a check is about the tree. What the rules
// recovered or cut stands beside what was wrong with it.
func checkFindings(x *storage.Index, p *plan.Plan) []report.Finding {
	all := slices.Clone(x.Findings())
	for _, f := range p.Findings {
		if f.Code == report.TagRecovered || f.Code == report.IndexTrimmed {
			all = append(all, f)
		}
	}
	report.SortFindings(all)
	return all
}

// closeCheck is the verdict.
func closeCheck(s report.Summary, unreferenced int64) []string {
	verdict := "all whole"
	if s.Incomplete > 0 {
		verdict = fmt.Sprintf("%d whole, %d NOT", s.Images-s.Incomplete, s.Incomplete)
	}
	line := fmt.Sprintf("%s: %s; %s", plural(s.Images, "image", "images"), verdict, plural(s.Findings, "finding", "findings"))
	if unreferenced > 0 {
		line += fmt.Sprintf("; %s that nothing refers to", size(unreferenced))
	}
	return []string{line}
}
