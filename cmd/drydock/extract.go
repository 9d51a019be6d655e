package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/seed-5b48bd9d/drydock/pkg/extract"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

type extractOptions struct {
	sourceFlags
	run      runFlags
	platform string
	format   string
	unpack   string
}

func newExtractCommand(a *app) *cobra.Command {
	var opts extractOptions
	cmd := &cobra.Command{
		Use:   "extract SOURCE IMAGE OUT",
		Short: "Take one image out, for docker load or as an OCI layout",
		Long: `Extract writes one image of a source to OUT: FILE.tar is for docker load and podman
load, FILE.oci.tar an OCI archive, a directory an OCI layout, and - an archive for
docker load on standard output. IMAGE is REPOSITORY[:TAG] or REPOSITORY@DIGEST, as
drydock list shows it. All bytes are hashed on the way. An image for several
platforms goes into an OCI layout as a whole; docker's archives hold one of them.

  drydock extract backup.tar.gz library/redis:7 - | docker load` + exitStatus,
		Args: cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runExtract(cmd.Context(), a, args[0], args[1], args[2], opts)
		},
	}
	opts.sourceFlags.register(cmd.Flags())
	opts.run.registerWords(cmd.Flags())
	registerUnpack(cmd.Flags(), &opts.unpack)
	cmd.Flags().StringVar(&opts.platform, "platform", "", "only the image for this `os/architecture[/variant]` (default: all of them; for docker, linux/"+runtime.GOARCH+")")
	cmd.Flags().StringVar(&opts.format, "format", "", "oci, oci-archive or docker-archive, whatever the name of OUT")
	return cmd
}

func runExtract(ctx context.Context, a *app, location, image, out string, opts extractOptions) (err error) {
	choice, err := opts.choice(image, out)
	if err != nil {
		return err
	}
	if f, ok := a.out.(*os.File); ok && out == "-" && term.IsTerminal(int(f.Fd())) {
		return report.WithHint(usageError{errors.New("standard output is a terminal")}, "pipe it: … - | docker load; or name a file")
	}
	var found *extract.Image
	v := verb{name: "extract", source: location, target: out, out: a.err}
	v.closing = func(s report.Summary) []string {
		return []string{fmt.Sprintf("%s (%s, %s) to %s in %.1f s", found.Reference, found.Manifest.Digest, size(found.Size), out, s.Seconds)}
	}
	s, err := a.newSession(v, &opts.run)
	if err != nil {
		return err
	}
	c := &conversion{session: s, dir: unpackDir(opts.unpack, location)}
	defer func() { err = errors.Join(err, c.close(ctx)) }()
	src, x, err := c.read(ctx, location, &opts.sourceFlags, &selectFlags{}, false)
	if err != nil {
		return err
	}
	defer src.Close()
	c.finished = true // what was unpacked is of no use to another run
	if found, err = extract.Find(src, x, choice); err != nil {
		return err
	}
	if err := write(ctx, a, src, found, out, choice.Format); err != nil {
		return err
	}
	return s.close(ctx, true)
}

// choice reads the flags.
func (o *extractOptions) choice(image, out string) (extract.Choice, error) {
	ref, err := extract.ParseReference(image)
	if err != nil {
		return extract.Choice{}, usageError{err}
	}
	c := extract.Choice{
		Reference: ref, Platform: o.platform, Host: "linux/" + runtime.GOARCH,
		Format: extract.FormatOf(out), Recover: o.recover,
	}
	if o.format == "" {
		return c, nil
	}
	switch c.Format = extract.Format(o.format); {
	case !c.Format.Valid():
		return c, usageError{fmt.Errorf("bad value %q for --format: want oci, oci-archive or docker-archive", o.format)}
	case out == "-" && c.Format == extract.OCI:
		return c, usageError{errors.New("--format=oci is a directory, which does not go to standard output; oci-archive does")}
	}
	return c, nil
}

func write(ctx context.Context, a *app, src source.Source, i *extract.Image, out string, f extract.Format) error {
	if out == "-" {
		return i.Write(ctx, a.out, f)
	}
	if err := outside(src, out, "the image"); err != nil {
		return err
	}
	return i.WriteTo(ctx, out, f)
}
