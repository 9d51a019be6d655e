package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/seed-5b48bd9d/drydock/pkg/bundle"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

type bundleOptions struct {
	sourceFlags
	selectFlags
	runFlags
	volumeSize string
	volume     int
	since      string
	force      bool
	unpack     string
}

func newBundleCommand(a *app) *cobra.Command {
	var opts bundleOptions
	cmd := &cobra.Command{
		Use:   "bundle SOURCE FILE",
		Short: "Write every image into one archive, for carrying across an air gap",
		Long: `Bundle writes layouts of every image into one archive, straight from the source, with
each blob in it once: a .tar, or a .tar.zst, or - for a tar on standard output. Push
takes it as it is; tar x makes the layouts of it that skopeo reads. The same images
give the same bytes. Beside FILE lies FILE.inventory.json, which a later bundle can
build on with --since-bundle.` + exitStatus,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runBundle(cmd.Context(), a, args[0], args[1], opts)
		},
	}
	opts.sourceFlags.register(cmd.Flags())
	opts.selectFlags.register(cmd.Flags())
	opts.runFlags.register(cmd.Flags())
	opts.registerDryRun(cmd.Flags())
	registerUnpack(cmd.Flags(), &opts.unpack)
	cmd.Flags().StringVar(&opts.volumeSize, "volume-size", "", "cut it into parts of at most this `size`, FILE.001 and so on: 4G is 4,000,000,000 bytes, 4GiB is more")
	cmd.Flags().IntVar(&opts.volume, "volume", 0, "make only part `N` of them again")
	cmd.Flags().StringVar(&opts.since, "since-bundle", "", "leave out what an earlier bundle has: its `inventory`, or the bundle itself")
	cmd.Flags().BoolVar(&opts.force, "force", false, "replace a bundle of the same name")
	return cmd
}

func runBundle(ctx context.Context, a *app, location, file string, opts bundleOptions) (err error) {
	rules, err := opts.rules(&opts.sourceFlags)
	if err != nil {
		return err
	}
	how, err := opts.bundle()
	if err != nil {
		return err
	}
	w := &bundling{file: file, options: how}
	v := verb{name: "bundle", findings: true, source: location, target: file, images: opts.dryRun}
	v.closing = func(s report.Summary) []string { return w.lines(s, opts.dryRun) }
	if file == "-" {
		v.out = a.err // standard output is the archive's
	}
	s, err := a.newSession(v, &opts.runFlags)
	if err != nil {
		return err
	}
	c := &conversion{session: s, dir: unpackDir(opts.unpack, location)}
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
	how.Progress = s.Progress
	if w.Bundle, err = bundle.New(x, p, how); err != nil {
		return err
	}
	if opts.dryRun {
		return s.close(ctx, p.Whole())
	}
	whole, err := w.write(ctx, s, src, a.out)
	if err != nil && ctx.Err() == nil {
		return err
	}
	c.finished = err == nil
	return s.close(ctx, whole && p.Whole())
}

// bundle reads the flags.
func (o *bundleOptions) bundle() (*bundle.Options, error) {
	b := &bundle.Options{Only: o.volume, Force: o.force}
	if o.volumeSize != "" {
		n, err := humanize.ParseBytes(o.volumeSize)
		if err != nil || n < 1<<20 || n > 1<<62 {
			return nil, report.WithHint(usageError{fmt.Errorf("bad value %q for --volume-size: want 1MiB or more", o.volumeSize)},
				"4G fits FAT32, 4700M a DVD, 25G a Blu-ray")
		}
		b.VolumeSize = int64(n)
	}
	if o.volume < 0 || (o.volume > 0 && b.VolumeSize == 0) {
		return nil, usageError{errors.New("--volume N counts from 1, and needs the --volume-size that the others were made with")}
	}
	if o.since == "" {
		return b, nil
	}
	var err error
	b.Since, err = bundle.OpenInventory(o.since)
	return b, err
}

// bundling is the part of bundle that writes.
type bundling struct {
	*bundle.Bundle
	file    string
	options *bundle.Options
	result  *bundle.Result
}

// write writes the archive, and tells what became of each image; whole is false
// where bytes were not to be had.
func (w *bundling) write(ctx context.Context, s *session, src source.Source, stdout io.Writer) (whole bool, err error) {
	if w.file == "-" {
		w.result, err = w.Write(ctx, src, stdout)
	} else if err = w.prepare(s, src); err == nil {
		w.result, err = w.WriteFile(ctx, src, w.file)
	}
	if err != nil {
		return false, err
	}
	for _, f := range w.result.Findings {
		if err := s.find(f); err != nil {
			return false, err
		}
	}
	for _, o := range w.result.Outcomes {
		if err := s.count(o); err != nil {
			return false, err
		}
	}
	return len(w.result.Findings) == 0, nil
}

// prepare sees that the file is not in the source, and that there is room for it.
func (w *bundling) prepare(s *session, src source.Source) error {
	if err := outside(src, w.file, "the bundle"); err != nil {
		return err
	}
	if w.options.Only > 0 || strings.HasSuffix(strings.ToLower(w.file), "zst") {
		return nil // it will be as small as it can be
	}
	return s.fits("the bundle", w.Size(), filepath.Dir(w.file))
}

func (w *bundling) lines(s report.Summary, dryRun bool) []string {
	volumes := ""
	if n := w.options.VolumeSize; n > 0 {
		volumes = fmt.Sprintf(", in %s", plural(int((w.Size()+n-1)/n), "part", "parts"))
	}
	carried := plural(w.Carried(), "blob and manifest", "blobs and manifests")
	if dryRun {
		return []string{fmt.Sprintf("%s would have %s: %s%s", w.file, size(w.Size()), carried, volumes)}
	}
	return append(closeImages(s), fmt.Sprintf("%s in %s, each once, in %.1f s: %s%s", size(w.result.Bytes), carried, s.Seconds, w.file, volumes))
}
