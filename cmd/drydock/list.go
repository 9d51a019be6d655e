package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

type listOptions struct {
	sourceFlags
	selectFlags
	runFlags
}

func newListCommand(a *app) *cobra.Command {
	var opts listOptions
	cmd := &cobra.Command{
		Use:   "list SOURCE",
		Short: "Show what is in a registry's storage",
		Long:  "List shows every image of a registry's storage: its tags, and what refers to them." + exitStatus,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runList(cmd.Context(), a, args[0], opts)
		},
	}
	opts.sourceFlags.register(cmd.Flags())
	opts.selectFlags.register(cmd.Flags())
	opts.runFlags.register(cmd.Flags())
	return cmd
}

func runList(ctx context.Context, a *app, location string, opts listOptions) error {
	rules, err := opts.rules(&opts.sourceFlags)
	if err != nil {
		return err
	}
	s, err := a.newSession(verb{name: "list", source: location, images: true, closing: closeList}, &opts.runFlags)
	if err != nil {
		return err
	}
	src, x, err := s.scan(ctx, reading{location: location}, &opts.sourceFlags, &opts.selectFlags)
	if err != nil {
		return err
	}
	defer src.Close()
	p, err := s.makePlan(x, rules)
	if err != nil {
		return err
	}
	if err := s.tellPlan(p); err != nil {
		return err
	}
	return s.close(ctx, !p.Overlooked())
}

func closeList(s report.Summary) []string {
	if s.Incomplete == 0 {
		return []string{plural(s.Images, "image", "images")}
	}
	return []string{fmt.Sprintf("%s, of which %d incomplete", plural(s.Images, "image", "images"), s.Incomplete)}
}
