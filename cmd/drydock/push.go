package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/seed-5b48bd9d/drydock/pkg/dirlayout"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

type pushOptions struct {
	moveFlags
}

func newPushCommand(a *app) *cobra.Command {
	var opts pushOptions
	cmd := &cobra.Command{
		Use:   "push LAYOUTS DEST",
		Short: "Push layouts to a registry",
		Long: `Push sends the layouts that convert made to Harbor or any other registry. Each blob
travels once; an image that is there under the same digest is skipped. Harbor
projects that are missing are created first.` + exitStatus,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runPush(cmd.Context(), a, args[0], args[1], opts)
		},
	}
	opts.moveFlags.register(cmd.Flags(), false)
	opts.registerDryRun(cmd.Flags())
	return cmd
}

func runPush(ctx context.Context, a *app, dir, dest string, opts pushOptions) error {
	r, err := a.prepare(dest, &opts.moveFlags)
	if err != nil {
		return err
	}
	r.rules.Untagged = true // whatever has a layout was chosen when it was made
	f := forecast{create: opts.createProject}
	v := verb{name: "push", findings: true, source: dir, target: dest, images: opts.dryRun, targets: true}
	v.closing = func(s report.Summary) []string { return closePush(s, r.to.Host) }
	if opts.dryRun {
		v.closing = func(s report.Summary) []string { return f.lines(s, r.to.Host) }
	}
	s, err := a.newSession(v, &opts.runFlags)
	if err != nil {
		return err
	}
	defer s.end()
	x, err := dirlayout.Scan(ctx, dir)
	if err != nil {
		return err
	}
	if opts.dryRun {
		return s.plan(ctx, x, r, &f)
	}
	t, p, err := s.planFor(ctx, x, r)
	if err != nil {
		return err
	}
	if err := errors.Join(t.writable(), s.tellRefused(p, t.host())); err != nil {
		return err
	}
	reasons, err := t.prepare(ctx, p, &opts.targetFlags)
	if err != nil {
		return err
	}
	err = s.each(ctx, p, "push", opts.jobs, func(ctx context.Context, i plan.Image) error {
		o, refused := t.refusedProject(i, reasons)
		if !refused {
			o = t.pushOne(ctx, dirlayout.Locate(dir, i), i)
		}
		return s.outcome(ctx, o)
	})
	if err != nil && ctx.Err() == nil {
		return err
	}
	return s.close(ctx, p.Whole())
}

func closePush(s report.Summary, host string) []string {
	return append(closeImages(s), fmt.Sprintf("%s sent to %s in %s, %d mounted, in %.1f s",
		size(s.UploadedBytes), host, plural(s.UploadedBlobs, "blob", "blobs"), s.MountedBlobs, s.Seconds))
}
