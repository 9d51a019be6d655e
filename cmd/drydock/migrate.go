package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

type migrateOptions struct {
	moveFlags
	linkFlags
	graftFlags
	layouts     string
	keepLayouts bool
}

func newMigrateCommand(a *app) *cobra.Command {
	var opts migrateOptions
	cmd := &cobra.Command{
		Use:   "migrate SOURCE DEST",
		Short: "Move every image of a registry's storage into another registry",
		Long: `Migrate scans the source, plans, and then, image by image, makes the layout, pushes
it, and asks the target for every digest. It goes on past an image that fails,
and says at the end what became of each. Run it again to go on where it was.

With --graft STORAGE, where the target's storage can be reached as files, blobs are
put into it, by hard link where that can be: no layouts are made, and manifests
alone are sent. Whether STORAGE is the target's is tried out first.` + exitStatus,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runMigrate(cmd.Context(), a, args[0], args[1], opts)
		},
	}
	opts.moveFlags.register(cmd.Flags(), true)
	opts.linkFlags.register(cmd.Flags())
	opts.graftFlags.register(cmd.Flags())
	opts.registerDryRun(cmd.Flags())
	cmd.Flags().StringVar(&opts.layouts, "layouts", "", "the `directory` for layouts (default: drydock-layouts beside the registry's root or the archive; in the root where that is a mount of its own; here for a pipe; with --graft, only where an archive is unpacked)")
	cmd.Flags().BoolVar(&opts.keepLayouts, "keep-layouts", true, "--keep-layouts=false removes them when all went well")
	return cmd
}

func runMigrate(ctx context.Context, a *app, location, dest string, opts migrateOptions) (err error) {
	method, grafts, err := opts.graftFlags.asked(&opts.linkFlags)
	if err != nil {
		return err
	}
	if grafts {
		return a.send(ctx, &sending{
			moveFlags: &opts.moveFlags, verb: "migrate", location: location, dest: dest, unpack: opts.layouts, graft: &opts.graftFlags, method: method,
		})
	}
	r, err := a.prepare(ctx, location, dest, &opts.moveFlags)
	if err != nil {
		return err
	}
	f := forecast{create: opts.createProject}
	m := &migration{conversion: conversion{dir: opts.layouts, method: method, hash: true}}
	v := verb{name: "migrate", findings: true, source: location, target: dest, images: opts.dryRun, targets: true}
	v.closing = m.lines
	if opts.dryRun {
		v.closing = func(s report.Summary) []string { return f.lines(s, r.to.Host) }
	}
	s, err := a.newSession(v, &opts.runFlags)
	if err != nil {
		return err
	}
	m.session = s
	defer func() { err = errors.Join(err, m.close(ctx)) }()
	src, x, err := m.read(ctx, location, &opts.sourceFlags, &opts.selectFlags, opts.dryRun)
	if err != nil {
		return err
	}
	defer src.Close()
	if opts.dryRun {
		return s.plan(ctx, x, r, &f)
	}
	t, p, err := s.planFor(ctx, x, r)
	if err != nil {
		return err
	}
	m.target = t
	if m.seen, err = s.foresee(ctx, t, p, &opts.targetFlags, opts.jobs); err != nil {
		return err
	}
	if err := errors.Join(s.tellRefused(p, t.host()+"/"), m.use(src, x, p)); err != nil {
		return err
	}
	err = m.run(ctx, p, &opts)
	m.finished = err == nil
	if err := errors.Join(err, m.finish(ctx, p, opts.keepLayouts)); err != nil && ctx.Err() == nil {
		return err
	}
	return s.close(ctx, p.Whole())
}

// migration is the part of migrate that writes.
type migration struct {
	conversion
	target *target
	seen   *foreseen
	force  bool
}

func (m *migration) run(ctx context.Context, p *plan.Plan, opts *migrateOptions) error {
	m.force = opts.force
	if err := m.session.prepare(ctx, m.target, p, m.seen, &opts.targetFlags); err != nil {
		return err
	}
	return m.session.pass(ctx, largestFirst(p), "migrate", opts.jobs, m.link, m.push, m.verify)
}

// link makes an image's layout. One that the target has needs none, and one whose
// name is too long for a directory can have none: it is sent from where it lies.
func (m *migration) link(ctx context.Context, i plan.Image, _ report.Outcome) (_ report.Outcome, over bool) {
	if m.seen.there[i.Target] {
		return m.target.outcome(i, report.Skipped), true
	}
	if o, kept := m.seen.keptBack(m.target, i, m.force); kept {
		return o, true
	}
	_, err := m.layouts.Write(ctx, i)
	switch {
	case errors.Is(err, syscall.ENAMETOOLONG):
		m.session.note("%s has a name that is too long for a layout: it is sent without one", i.Source)
	case err != nil:
		return m.target.failed(i, err), true
	}
	return report.Outcome{}, false
}

// push sends the layout, unless its project was found full or closed meanwhile.
func (m *migration) push(ctx context.Context, i plan.Image, _ report.Outcome) (_ report.Outcome, over bool) {
	if o, kept := m.seen.keptBack(m.target, i, m.force); kept {
		return o, true
	}
	var o report.Outcome
	if _, err := os.Lstat(m.layouts.Path(i)); errors.Is(err, syscall.ENAMETOOLONG) {
		o = m.target.pushStored(ctx, m.src, m.index, i, m.seen)
	} else {
		o = m.target.pushOne(ctx, m.layouts.Path(i), i, m.seen)
	}
	return o, o.Status == report.Failed
}

// verify asks the target for every digest.
func (m *migration) verify(ctx context.Context, i plan.Image, o report.Outcome) (_ report.Outcome, over bool) {
	return m.target.verifyOne(ctx, i, o), true
}

// finish counts, and takes the layouts away where that was asked for and all
// went well.
func (m *migration) finish(ctx context.Context, p *plan.Plan, keep bool) error {
	s := m.session
	s.use(m.layouts.Usage())
	m.removed = !keep && ctx.Err() == nil && s.summary.Failed == 0 && p.Whole()
	var errs []error
	if m.removed {
		for _, i := range p.Images {
			errs = append(errs, m.layouts.Remove(i))
		}
	}
	return errors.Join(errs...)
}

func (m *migration) lines(s report.Summary) []string {
	lines := closePush(s, m.target.host())
	where := "the layouts are in " + m.layouts.Dir()
	if m.removed {
		where = "the layouts were removed"
	}
	lines = append(lines, fmt.Sprintf("%s linked, %s copied; %s", plural(s.LinkedFiles, "file", "files"), size(s.CopiedBytes), where))
	lines = append(lines, notLinked(m.layouts.Usage().Why)...)
	return append(lines, closeVerified(s))
}

// closeVerified says whether the target has everything.
func closeVerified(s report.Summary) string {
	if s.Failed == 0 && s.Incomplete == 0 {
		return "every tag and every manifest is in the target, under the same digest"
	}
	return "what failed or was left out is named above; run the same command again when it is mended"
}
