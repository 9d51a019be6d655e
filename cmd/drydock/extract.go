package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

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
platforms goes into an OCI layout as a whole; docker's archives hold one of them. Of a
compressed archive, no more than the image is unpacked, unless it comes by a pipe.

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
	t := &taking{conversion{session: s, location: location, dir: unpackDir(opts.unpack, location), finished: true}}
	defer func() { err = errors.Join(err, t.close(ctx)) }()
	var src source.Source
	if src, found, err = t.find(ctx, &opts.sourceFlags, choice); err != nil {
		return err
	}
	defer src.Close()
	if err := write(ctx, a, src, found, out, choice.Format); err != nil {
		return err
	}
	return s.close(ctx, true)
}

// taking is the part of a run that finds one image. What is unpacked for it is of
// no use to another run, and is a conversion's that comes to its end at once.
type taking struct{ conversion }

// find finds an image and opens the source that its bytes are in. A file that can
// only be read from front to end is read twice: to find out what the image needs,
// and to unpack no more than that. A pipe goes by once, before anything is known:
// of that, all is unpacked.
func (t *taking) find(ctx context.Context, f *sourceFlags, c extract.Choice) (source.Source, *extract.Image, error) {
	form, err := t.session.probe(t.location)
	if err != nil {
		return nil, nil, err
	}
	r := reading{location: t.location, again: form.Stream && form.Bytes >= 0}
	if r.again {
		t.session.note("%s is read twice: to find the image, and to unpack it and nothing else", describeArchive(t.location, form))
	} else {
		r.unpack = t.beginAll
	}
	src, x, err := t.session.scan(ctx, r, f, &selectFlags{})
	if err != nil {
		return nil, nil, err
	}
	found, err := extract.Find(src, x, c)
	if err != nil || !r.again {
		return src, found, errors.Join(err, closeUnless(err == nil, src))
	}
	if err := src.Close(); err != nil {
		return nil, nil, err
	}
	if src, err = t.unpackOnly(ctx, form, found); err != nil {
		return nil, nil, err
	}
	return src, found.In(src), nil
}

func closeUnless(open bool, src source.Source) error {
	if open {
		return nil
	}
	return src.Close()
}

// beginAll says why all of an archive is unpacked for one image of it.
func (t *taking) beginAll(form source.Form) (string, error) {
	t.session.note("what comes through a pipe comes once, and what an image needs of it is known at its end: all of it is unpacked; of a file, only the image would be")
	return t.begin(form)
}

// unpackOnly reads an archive once more, and unpacks what an image needs of it.
func (t *taking) unpackOnly(ctx context.Context, form source.Form, i *extract.Image) (source.Source, error) {
	form.Unpacked, form.Exact = i.Size, true
	dir, err := t.begin(form)
	if err != nil {
		return nil, err
	}
	src, err := source.Open(ctx, t.location, &source.Options{Unpack: dir, Keep: i.Needs(), Progress: t.session.Progress})
	t.session.bars.clear()
	return src, err
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
	if o.format != "" {
		c.Format = extract.Format(o.format)
	}
	switch {
	case out == "":
		return c, usageError{errors.New("the name of what to write is empty")}
	case o.platform != "" && !extract.ValidPlatform(o.platform):
		return c, usageError{fmt.Errorf("bad value %q for --platform: want os/architecture[/variant], such as linux/arm64", o.platform)}
	case o.format == "" && compressed(out):
		return c, report.WithHint(usageError{fmt.Errorf("%s: archives are not compressed, since layers are", out)},
			"name a file.tar or a file.oci.tar, say what it is to be with --format, or pipe it: … - | gzip > "+out)
	case !c.Format.Valid():
		return c, usageError{fmt.Errorf("bad value %q for --format: want oci, oci-archive or docker-archive", o.format)}
	case out == "-" && c.Format == extract.OCI:
		return c, usageError{errors.New("--format=oci is a directory, which does not go to standard output; oci-archive does")}
	}
	return c, nil
}

// compressed tells of a name that somebody would give to a compressed archive. As
// that of a directory, it can only be a mistake.
func compressed(name string) bool {
	return slices.Contains([]string{".gz", ".tgz", ".zst", ".tzst", ".xz", ".txz", ".bz2", ".zip"}, strings.ToLower(filepath.Ext(name)))
}

func write(ctx context.Context, a *app, src source.Source, i *extract.Image, out string, f extract.Format) error {
	if out == "-" {
		return pipe(ctx, a, i, f)
	}
	if err := outside(src, out, "the image"); err != nil {
		return err
	}
	if err := roomFor(out, i.Size); err != nil {
		return err
	}
	return advised(i.WriteTo(ctx, out, f))
}

// pipe writes an archive to standard output.
func pipe(ctx context.Context, a *app, i *extract.Image, f extract.Format) error {
	// Where nobody reads any more, as when docker finds no daemon, this is an error
	// like any other, and not the end before what was unpacked is removed.
	signal.Ignore(syscall.SIGPIPE)
	return advised(i.Write(ctx, a.out, f))
}

// roomFor holds that an image fits, before a large one is written in vain. Where
// that cannot be told, writing it tells.
func roomFor(out string, need int64) error {
	dir := out
	if info, err := os.Stat(out); err != nil || !info.IsDir() {
		dir = filepath.Dir(filepath.Clean(out))
	}
	if free, err := source.Free(dir); err == nil && need > free {
		return report.WithHint(fmt.Errorf("writing the image needs %s, and %s are free in %s", size(need), size(free), dir), moreRoom)
	}
	return nil
}

const moreRoom = "make room there, or name a place on another disk"

// advised says what to do about errors of writing.
func advised(err error) error {
	switch {
	case errors.Is(err, syscall.EPIPE):
		return report.WithHint(err, "what reads the pipe ended before all was written: it may have said why")
	case errors.Is(err, syscall.ENOSPC):
		return report.WithHint(err, moreRoom)
	default:
		return err
	}
}
