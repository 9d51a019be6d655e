package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

type verifyOptions struct {
	moveFlags
	deep, extra bool
}

func newVerifyCommand(a *app) *cobra.Command {
	var opts verifyOptions
	cmd := &cobra.Command{
		Use:   "verify SOURCE DEST",
		Short: "Compare every planned digest with the target's",
		Long: `Verify asks the target for every tag and every manifest of the plan and compares
digests. It asks by HEAD, which no retention policy counts as a pull. With --deep it
asks for every blob as well; with --extra it names the tags that the target has in
these repositories and the source has not.` + exitStatus,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runVerify(cmd.Context(), a, args[0], args[1], opts)
		},
	}
	opts.moveFlags.register(cmd.Flags(), true)
	cmd.Flags().BoolVar(&opts.deep, "deep", false, "also ask for each blob")
	cmd.Flags().BoolVar(&opts.extra, "extra", false, "also name tags that the target has and the source has not")
	return cmd
}

func runVerify(ctx context.Context, a *app, location, dest string, opts verifyOptions) error {
	r, err := a.prepare(ctx, location, dest, &opts.moveFlags)
	if err != nil {
		return err
	}
	r.options.ReadOnly = true
	v := verb{name: "verify", findings: true, source: location, target: dest, targets: true, closing: closeVerify}
	s, err := a.newSession(v, &opts.runFlags)
	if err != nil {
		return err
	}
	src, x, err := s.scan(ctx, reading{location: location}, &opts.sourceFlags, &opts.selectFlags)
	if err != nil {
		return err
	}
	defer src.Close()
	t, p, err := s.planFor(ctx, x, r)
	if err != nil {
		return err
	}
	if err := s.tellRefused(p, t.host()+"/"); err != nil {
		return err
	}
	missing, err := t.missingProjects(ctx, p)
	if err != nil {
		return err
	}
	err = s.each(ctx, p, "verify", opts.jobs, func(ctx context.Context, i plan.Image) error {
		if slices.Contains(missing, project(i)) {
			return s.outcome(ctx, t.failedProject(i, fmt.Errorf("the project %s does not exist in the target", project(i))))
		}
		o := t.verifyOne(ctx, i, t.outcome(i, report.Done))
		if o.Status == report.Done && opts.deep {
			if err := t.registry.VerifyBlobs(ctx, i); err != nil {
				o = t.failed(i, err)
			}
		}
		return s.outcome(ctx, o)
	})
	if err == nil && opts.extra {
		err = s.findExtra(ctx, t, x, p, r, missing)
	}
	if err != nil && ctx.Err() == nil {
		return err
	}
	return s.close(ctx, p.Whole())
}

func closeVerify(s report.Summary) []string {
	line := fmt.Sprintf("%s: %d the same in the target", plural(s.Images, "image", "images"), s.Done)
	if s.Failed > 0 {
		line += fmt.Sprintf(", %d MISSING OR DIFFERENT", s.Failed)
	}
	if s.Incomplete > 0 {
		line += fmt.Sprintf(", %d incomplete in the source", s.Incomplete)
	}
	return []string{line}
}
