package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

type planOptions struct {
	moveFlags
	clientFlags
	graftFlags
	linkFlags
}

func newPlanCommand(a *app) *cobra.Command {
	var opts planOptions
	cmd := &cobra.Command{
		Use:   "plan SOURCE DEST",
		Short: "Show what a migration would do",
		Long: `Plan shows where each image would go, which projects would be created, and how many
bytes would be sent. It asks the target what it has, and changes nothing.` + exitStatus,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runPlan(cmd.Context(), a, args[0], args[1], opts)
		},
	}
	opts.moveFlags.register(cmd.Flags(), true)
	opts.clientFlags.register(cmd.Flags())
	opts.graftFlags.registerWithLink(cmd.Flags(), &opts.linkFlags)
	return cmd
}

func runPlan(ctx context.Context, a *app, location, dest string, opts planOptions) error {
	if err := opts.clientFlags.check(); err != nil {
		return err
	}
	method, grafts, err := opts.graftFlags.asked(&opts.linkFlags)
	if err != nil {
		return err
	}
	r, err := a.prepare(ctx, location, dest, &opts.moveFlags)
	if err != nil {
		return err
	}
	forecast := forecast{create: opts.createProject, clients: &opts.clientFlags}
	v := verb{name: "plan", findings: true, source: location, target: dest, images: true, targets: true}
	v.closing = func(s report.Summary) []string { return forecast.lines(s, r.to.Host) }
	s, err := a.newSession(v, &opts.runFlags)
	if err != nil {
		return err
	}
	src, x, err := s.scan(ctx, reading{location: location}, &opts.sourceFlags, &opts.selectFlags)
	if err != nil {
		return err
	}
	defer src.Close()
	if grafts {
		forecast.grafting = s.newGrafting(&opts.graftFlags, opts.readData, method, src, x)
	}
	return s.plan(ctx, x, r, &forecast)
}

// plan tells the plan for a target, with what the target has already and what it
// would refuse.
func (s *session) plan(ctx context.Context, x *storage.Index, r *request, f *forecast) error {
	t, p, err := s.planFor(ctx, x, r)
	if err != nil {
		return err
	}
	if err := f.clients.write(s, p, x, r.to); err != nil {
		return err
	}
	if f.grafting != nil {
		if err := f.grafting.open(t); err != nil {
			return err
		}
	}
	seen, err := s.foresee(ctx, t, p, r.target, r.jobs)
	if err == nil && f.grafting != nil {
		err = f.grafting.look(ctx, p, seen, r.jobs)
	}
	if seen != nil {
		f.take(p, seen)
	}
	if err == nil && f.grafting != nil {
		err = f.grafting.foresee(t, f.toSend.Images, seen)
	}
	if err != nil {
		return err
	}
	return s.close(ctx, p.Whole() && !seen.doubtful)
}

// forecast is what a migration would do.
type forecast struct {
	create   bool         // missing projects are to be created
	clients  *clientFlags // nil where no configuration for clients can be asked for
	projects []string     // that are missing
	there    int          // images that the target has
	toSend   plan.Plan
	grafting *grafting // nil where blobs are sent
}

// take parts the plan's images, of which there may be very many: those that the
// target does not have are all that is left of the plan's own list.
func (f *forecast) take(p *plan.Plan, seen *foreseen) {
	f.projects = seen.missing
	all := len(p.Images)
	p.Images = slices.DeleteFunc(p.Images, func(i plan.Image) bool { return seen.there[i.Target] })
	f.toSend.Images = p.Images
	f.there = all - len(p.Images)
}

func (f *forecast) lines(s report.Summary, host string) []string {
	total, blobs := f.toSend.Bytes()
	var lines []string
	if len(f.projects) > 0 {
		what := "to create"
		if !f.create {
			what = "MISSING, whose images would fail"
		}
		lines = append(lines, fmt.Sprintf("%s %s: %s", plural(len(f.projects), "project", "projects"), what, strings.Join(f.projects, ", ")))
	}
	line := fmt.Sprintf("%s: %d to push, %d there already", plural(s.Images, "image", "images"), len(f.toSend.Images), f.there)
	if leftOut := s.Images - len(f.toSend.Images) - f.there; leftOut > 0 {
		line += fmt.Sprintf(", %d LEFT OUT", leftOut)
	}
	if s.Forecast != nil {
		return append(append(lines, line), forecastLines(s.Forecast, f.grafting.dir, host)...)
	}
	return append(lines, line, fmt.Sprintf("at most %s in %s to send to %s", size(total), plural(blobs, "blob", "blobs"), host))
}
