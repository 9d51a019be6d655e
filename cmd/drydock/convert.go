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

type convertOptions struct {
	sourceFlags
	selectFlags
	linkFlags
	runFlags
	formFlags
}

func newConvertCommand(a *app) *cobra.Command {
	var opts convertOptions
	cmd := &cobra.Command{
		Use:   "convert SOURCE LAYOUTS",
		Short: "Hard-link every image into a directory of layouts",
		Long: `Convert makes a layout of every image: a directory LAYOUTS/<repository>:<tag>/ that
skopeo reads (skopeo sync --src dir). Files are hard links to the registry's own
and take no room, if LAYOUTS is on the same file system.

With --as storage it makes a registry's own storage in place of layouts, or adds to
one that is there: nothing of that is ever replaced. LAYOUTS is then the directory
that the other registry keeps its files in.` + exitStatus,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := opts.formFlags.check(cmd.Flags()); err != nil {
				return err
			}
			if opts.as == asStorage {
				return runConvertStorage(cmd.Context(), a, args[0], args[1], opts)
			}
			return runConvert(cmd.Context(), a, args[0], args[1], opts)
		},
	}
	opts.sourceFlags.register(cmd.Flags())
	opts.selectFlags.register(cmd.Flags())
	opts.linkFlags.register(cmd.Flags())
	opts.runFlags.register(cmd.Flags())
	opts.formFlags.register(cmd.Flags())
	opts.registerJobs(cmd.Flags())
	opts.registerDryRun(cmd.Flags())
	return cmd
}

func runConvert(ctx context.Context, a *app, location, dir string, opts convertOptions) (err error) {
	rules, err := opts.rules(&opts.sourceFlags)
	if err != nil {
		return err
	}
	c := &conversion{dir: dir, hash: true}
	if c.method, err = opts.method(); err != nil {
		return err
	}
	v := verb{name: "convert", findings: true, source: location, target: dir, images: opts.dryRun}
	v.closing = func(s report.Summary) []string { return closeConvert(s, c, opts.dryRun) }
	s, err := a.newSession(v, &opts.runFlags)
	if err != nil {
		return err
	}
	c.session = s
	defer func() { err = errors.Join(err, c.close(ctx)) }()
	src, x, err := c.read(ctx, location, &opts.sourceFlags, &opts.selectFlags, opts.dryRun)
	if err != nil {
		return err
	}
	defer src.Close()
	p, err := s.choose(x, rules)
	if err != nil {
		return err
	}
	if opts.dryRun {
		return s.close(ctx, p.Whole())
	}
	if err := c.use(src, x, p); err != nil {
		return err
	}
	err = s.each(ctx, p, "convert", opts.jobs, func(ctx context.Context, i plan.Image) error {
		return s.outcome(ctx, convertOne(ctx, c.layouts, i))
	})
	s.use(c.layouts.Usage())
	if err != nil && ctx.Err() == nil {
		return err
	}
	c.finished = err == nil
	return s.close(ctx, p.Whole())
}

// convertOne makes an image's layout.
func convertOne(ctx context.Context, layouts *dirlayout.Layouts, i plan.Image) report.Outcome {
	made, err := layouts.Write(ctx, i)
	return written(i, layouts.Path(i), made, err)
}

func closeConvert(s report.Summary, c *conversion, dryRun bool) []string {
	if dryRun {
		return []string{fmt.Sprintf("%s would be made in %s", plural(s.Images-s.Incomplete, "layout", "layouts"), c.dir)}
	}
	lines := append(closeImages(s), fmt.Sprintf("%s linked, %s copied, in %.1f s; the layouts are in %s",
		plural(s.LinkedFiles, "file", "files"), size(s.CopiedBytes), s.Seconds, c.dir))
	return append(lines, notLinked(c.layouts.Usage().Why)...)
}

// notLinked says why files were copied where links were hoped for.
func notLinked(why string) []string {
	if why == "" {
		return nil
	}
	return []string{"not everything was hard-linked: " + why}
}

// closeImages says what became of the images.
func closeImages(s report.Summary) []string {
	line := fmt.Sprintf("%s: %d done, %d skipped", plural(s.Images, "image", "images"), s.Done, s.Skipped)
	if s.Failed > 0 {
		line += fmt.Sprintf(", %d FAILED", s.Failed)
	}
	if s.Incomplete > 0 {
		line += fmt.Sprintf(", %d LEFT OUT, incomplete", s.Incomplete)
	}
	return []string{line}
}
