package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

type checkOptions struct {
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
	opts.selectFlags.register(cmd.Flags())
	opts.runFlags.register(cmd.Flags())
	opts.registerReadData(cmd.Flags())
	return cmd
}

func runCheck(ctx context.Context, a *app, location string, opts checkOptions) error {
	rules, err := opts.rules()
	if err != nil {
		return err
	}
	s, err := a.newSession(verb{name: "check", source: location, findings: true, notes: true, closing: closeCheck}, &opts.runFlags)
	if err != nil {
		return err
	}
	src, x, err := s.scan(ctx, location, storage.ScanOptions{Thorough: true, ReadData: opts.readData, KeepIndexes: opts.trims()})
	if err != nil {
		return err
	}
	defer src.Close()
	p, err := s.makePlan(x, rules)
	if err != nil {
		return err
	}
	p.Findings = x.Findings() // all of them: a check is about the tree
	if err := s.tellPlan(p); err != nil {
		return err
	}
	return s.close(ctx, p.Whole())
}

func closeCheck(s report.Summary) []string {
	verdict := "all whole"
	if s.Incomplete > 0 {
		verdict = fmt.Sprintf("%d whole, %d not", s.Images-s.Incomplete, s.Incomplete)
	}
	return []string{fmt.Sprintf("%s: %s; %s", plural(s.Images, "image", "images"), verdict, plural(s.Findings, "finding", "findings"))}
}
