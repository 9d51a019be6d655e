package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/seed-5b48bd9d/drydock/pkg/dirlayout"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/push"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

type pushOptions struct {
	moveFlags
	graftFlags
	linkFlags
	unpack string
}

func newPushCommand(a *app) *cobra.Command {
	var opts pushOptions
	cmd := &cobra.Command{
		Use:   "push LAYOUTS DEST",
		Short: "Push layouts, or a bundle of them, to a registry",
		Long: `Push sends the layouts that convert made, or a bundle, to Harbor or any other
registry. Each blob travels once; an image that is there under the same digest is
skipped. Harbor projects that are missing are created first. LAYOUTS is a directory,
a bundle, the first part of one, or - for a bundle on standard input; the whole of
a bundle is checked before anything is sent.` + exitStatus,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runPush(cmd.Context(), a, args[0], args[1], opts)
		},
	}
	opts.moveFlags.register(cmd.Flags(), false)
	opts.registerDryRun(cmd.Flags())
	registerUnpack(cmd.Flags(), &opts.unpack)
	opts.graftFlags.registerWithLink(cmd.Flags(), &opts.linkFlags)
	return cmd
}

func runPush(ctx context.Context, a *app, location, dest string, opts pushOptions) error {
	o := &sending{moveFlags: &opts.moveFlags, verb: "push", location: location, dest: dest, unpack: opts.unpack, layouts: true}
	method, grafts, err := opts.graftFlags.asked(&opts.linkFlags)
	if err != nil {
		return err
	}
	if grafts {
		o.graft, o.method = &opts.graftFlags, method
	}
	return a.send(ctx, o)
}

// pushAll pushes the images of a plan from where their layouts lie.
func (s *session) pushAll(ctx context.Context, t *target, p *plan.Plan, src source.Source, x *storage.Index, r *request) error {
	seen, err := s.foresee(ctx, t, p, r.target, r.jobs)
	if err != nil {
		return err
	}
	b := &base{index: x, to: r.rules.Target}
	if differential(x, p) {
		if err := s.checkBase(ctx, t, p, b, r.jobs); err != nil {
			return err
		}
	}
	if t.grafting != nil {
		if err := t.grafting.look(ctx, p, seen, r.jobs); err != nil {
			return err
		}
	}
	if err := s.ready(ctx, t, p, seen, r.target); err != nil {
		return err
	}
	return s.each(ctx, largestFirst(p), "push", r.jobs, func(ctx context.Context, i plan.Image) error {
		if seen.there[i.Target] {
			return s.outcome(ctx, t.outcome(i, report.Skipped))
		}
		o, settled := seen.keptBack(t, i, r.target.force)
		if !settled {
			o, settled = b.settles(t, i)
		}
		if !settled {
			o = t.pushFrom(ctx, src, x, i, seen)
		}
		return s.outcome(ctx, o)
	})
}

// pushFrom pushes an image from its layout, in a directory or in an archive.
func (t *target) pushFrom(ctx context.Context, src source.Source, x *storage.Index, i plan.Image, seen *foreseen) report.Outcome {
	if t.grafting != nil {
		return t.graftOne(ctx, src, x, i, seen)
	}
	if dir := dirlayout.Local(src, dirlayout.Locate(src, i)); dir != "" {
		if _, ok := src.(source.Dir); ok {
			return t.pushOne(ctx, dir, i, seen)
		}
	}
	return t.pushStored(ctx, src, x, i, seen)
}

// pushStored pushes an image from where its parts lie.
func (t *target) pushStored(ctx context.Context, src source.Source, x *storage.Index, i plan.Image, seen *foreseen) report.Outcome {
	o, err := t.registry.Push(ctx, push.Stored(src, x.Path, i), i)
	return seen.after(i, o, err)
}

func holdsLayouts(src source.Source) bool {
	holder, ok := src.(source.LayoutsFS)
	return ok && holder.HoldsLayouts()
}

func registerUnpack(flags *pflag.FlagSet, dir *string) {
	flags.StringVar(dir, "unpack", "", "the `directory` that a compressed or piped archive is unpacked in for the time of the run (default: beside it; here for a pipe)")
}

// unpackDir is where an archive is unpacked that leaves no layouts behind.
func unpackDir(chosen, beside string) string {
	if info, err := os.Stat(beside); chosen == "" && err == nil && info.Mode().IsRegular() {
		return filepath.Dir(beside)
	}
	return cmp.Or(chosen, ".")
}

func closePush(s report.Summary, host string) []string {
	return append(closeImages(s), fmt.Sprintf("%s sent to %s in %s, %d mounted, in %.1f s",
		size(s.UploadedBytes), host, plural(s.UploadedBlobs, "blob", "blobs"), s.MountedBlobs, s.Seconds))
}
