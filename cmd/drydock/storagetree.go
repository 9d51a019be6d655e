package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
	"github.com/seed-5b48bd9d/drydock/pkg/tree"
)

// storing is a run that writes a registry's storage.
type storing struct {
	session  *session
	location string // of the source
	dir      string
	options  tree.Options
	src      source.Source
	index    *storage.Index
	tree     *tree.Tree
	forecast *tree.Forecast // of a dry run
	finished bool           // every image came to its end
}

// runConvertStorage is convert with --as storage.
func runConvertStorage(ctx context.Context, a *app, location, dir string, opts convertOptions) (err error) {
	rules, err := opts.rules(&opts.sourceFlags)
	if err != nil {
		return err
	}
	if rules.Target, err = opts.target(plan.Destination{}); err != nil {
		return err
	}
	c := &storing{location: location, dir: dir}
	if c.options, err = opts.treeOptions(); err != nil {
		return err
	}
	v := verb{name: "convert", findings: true, source: location, target: dir, images: opts.dryRun, targets: true}
	v.closing = func(s report.Summary) []string { return c.lines(s, opts.dryRun) }
	if c.session, err = a.newSession(v, &opts.runFlags); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close(ctx)) }()
	r := reading{location: location, hash: true}
	if !opts.dryRun {
		r.unpack = c.begin
	}
	src, x, err := c.session.scan(ctx, r, &opts.sourceFlags, &opts.selectFlags)
	if err != nil {
		return err
	}
	defer src.Close()
	p, err := c.session.choose(x, rules)
	if err != nil {
		return err
	}
	if opts.dryRun {
		if err := c.foresee(src, x, p); err != nil {
			return err
		}
		return c.session.close(ctx, p.Whole() && len(c.forecast.Findings) == 0)
	}
	if err := errors.Join(c.session.tellRefused(p, ""), c.use(src, x, p)); err != nil {
		return err
	}
	return c.run(ctx, p, opts.jobs)
}

// begin gives the directory to unpack the source to: in the tree, whose files are
// then links to what is unpacked.
func (c *storing) begin(form source.Form) (unpack string, err error) {
	if c.tree, err = tree.Open(c.dir, &c.options); err != nil {
		return "", err
	}
	unpack = c.tree.Unpacked()
	return unpack, c.session.room("unpacking "+c.location, form, c.tree.Dir(), unpack)
}

// use takes the source as it was read, and sees that what is planned has room.
func (c *storing) use(src source.Source, x *storage.Index, p *plan.Plan) (err error) {
	if differential(x, p) {
		return report.WithHint(errors.New("this bundle does not hold what it builds on, and no registry's storage can be made of it alone"),
			"unpack it with tar over the bundle that it builds on, and convert that")
	}
	if len(p.Images) == 0 {
		return nil
	}
	c.src, c.index = src, x
	if c.tree != nil {
		err = c.tree.Use(src, x.Path)
	} else {
		c.options.Source, c.options.Path = src, x.Path
		c.tree, err = tree.Open(c.dir, &c.options)
	}
	if err != nil {
		return sourceIsUsage(err)
	}
	return c.session.fits("the blobs", c.tree.Room(partsOf(p.Images)), c.tree.Dir())
}

// partsOf gives the manifests and the blobs of images, which are all blobs to a
// registry's storage, with their sizes in bytes.
func partsOf(images []plan.Image) iter.Seq2[digest.Digest, int64] {
	return sizesOf(images, func(i plan.Image) []*ocispec.Descriptor { return slices.Concat(i.Manifests, i.Blobs) })
}

// foresee finds out what a run would do, and writes nothing.
func (c *storing) foresee(src source.Source, x *storage.Index, p *plan.Plan) error {
	c.options.Source, c.options.Path = src, x.Path
	f, err := tree.Foresee(c.dir, partsOf(p.Images), &c.options)
	if err != nil {
		return sourceIsUsage(err)
	}
	c.forecast = f
	c.session.foretell(f, 0)
	return c.session.findAll(f.Findings)
}

// sourceIsUsage tells what was typed wrongly.
func sourceIsUsage(err error) error {
	if errors.Is(err, tree.ErrIsSource) {
		return usageError{err}
	}
	return err
}

func (c *storing) run(ctx context.Context, p *plan.Plan, jobs int) error {
	s := c.session
	err := s.each(ctx, p, "convert", jobs, func(ctx context.Context, i plan.Image) error {
		return s.outcome(ctx, c.one(ctx, i))
	})
	if c.tree != nil {
		err = errors.Join(err, s.findAll(c.tree.Findings()))
		s.use(c.tree.Usage())
	}
	if err != nil && ctx.Err() == nil {
		return err
	}
	c.finished = err == nil
	return s.close(ctx, p.Whole())
}

// one puts one image into the tree.
func (c *storing) one(ctx context.Context, i plan.Image) report.Outcome {
	made, err := c.write(ctx, i)
	return written(i, i.Target.String(), made, err)
}

// write puts an image into the tree, its links when all of it is there. Made is
// false where everything was. A tag that is there with another digest is found
// before anything is written for it.
func (c *storing) write(ctx context.Context, i plan.Image) (made bool, err error) {
	links := tree.Links{Repository: i.Target.Repository, Tag: i.Target.Tag, Updated: i.Updated}
	if links.Tag != "" {
		if err := c.tree.TagFree(links.Repository, links.Tag, i.Manifest.Digest); err != nil {
			return false, err
		}
	}
	for _, b := range i.Blobs {
		placed, err := c.tree.Blob(ctx, b.Digest, b.Size)
		if err != nil {
			return made, err
		}
		made = made || placed != tree.WasThere
		links.Layers = append(links.Layers, b.Digest)
	}
	for _, m := range i.Manifests {
		placed, err := c.manifest(ctx, i, m)
		if err != nil {
			return made, err
		}
		made = made || placed != tree.WasThere
		links.Revisions = append(links.Revisions, m.Digest)
	}
	n, err := c.tree.Link(links)
	return made || n > 0, err
}

// manifest puts a manifest into the tree. One that was cut is in no file of the
// source. Of docker's first schema, registries keep what was signed, and clients
// save it with the signatures.
func (c *storing) manifest(ctx context.Context, i plan.Image, m *ocispec.Descriptor) (tree.Placed, error) {
	if i.Trim != nil {
		if content := i.Trim.Contents[m.Digest]; content != nil {
			return c.tree.Content(ctx, m.Digest, content)
		}
	}
	if storage.IsSchema1(m.MediaType) {
		content, err := c.read(m.Digest, m.Size)
		if err != nil {
			return tree.WasThere, err
		}
		if payload, err := storage.SignedPayload(content); err == nil && m.Digest.Algorithm().FromBytes(payload) == m.Digest {
			return c.tree.Content(ctx, m.Digest, payload)
		}
	}
	return c.tree.Blob(ctx, m.Digest, m.Size)
}

// read reads a manifest of a size in bytes, which was read before.
func (c *storing) read(d digest.Digest, size int64) ([]byte, error) {
	f, err := c.src.Open(c.index.Path(d))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, size))
}

// close ends the work. The tree keeps its links to what was unpacked.
func (c *storing) close(ctx context.Context) error {
	if c.tree == nil {
		return nil
	}
	return errors.Join(c.session.endUnpacked(c.tree, c.finished), c.tree.Close())
}

func (c *storing) lines(s report.Summary, dryRun bool) []string {
	if dryRun {
		return append([]string{
			fmt.Sprintf("%s would be in the registry's storage %s", plural(s.Images-s.Incomplete, "image", "images"), c.dir),
			fmt.Sprintf("%s to link, %s to copy, %s there already", size(c.forecast.Linked), size(c.forecast.Copied), size(c.forecast.There)),
		}, obstacles(s.Forecast)...)
	}
	lines := closeImages(s)
	if c.tree == nil {
		return lines
	}
	lines = append(lines, fmt.Sprintf("%s linked, %s copied, in %.1f s; the registry's storage is in %s",
		plural(s.LinkedFiles, "file", "files"), size(s.CopiedBytes), s.Seconds, c.dir))
	return append(lines, notLinked(c.tree.Usage().Why)...)
}
