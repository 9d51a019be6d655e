package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/pflag"

	"github.com/seed-5b48bd9d/drydock/pkg/graft"
	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/push"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
	"github.com/seed-5b48bd9d/drydock/pkg/tree"
)

// graftFlags say whether blobs go into the target's storage as files.
type graftFlags struct {
	storage string
	trust   bool
}

func (f *graftFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.storage, "graft", "", "put the blobs as files into the target's own storage, this `directory`, and send the manifests alone; for Harbor usually /data/registry")
	flags.BoolVar(&f.trust, "trust-source", false, "with --graft, do not hash blobs before they go in: no registry will, afterwards; for after a check --read-data of the same tree")
}

// registerWithLink is register for commands that make no layouts.
func (f *graftFlags) registerWithLink(flags *pflag.FlagSet, l *linkFlags) {
	f.register(flags)
	flags.StringVar(&l.link, "link", "auto", "with --graft, how blobs get into the target's storage: auto (hard link, else reflink, else copy), hardlink, reflink or copy")
}

// asked tells whether they do, and how. It refuses, before anything is read, what
// cannot be.
func (f *graftFlags) asked(l *linkFlags) (method link.Method, grafts bool, err error) {
	if method, err = l.method(); err != nil {
		return "", false, err
	}
	switch {
	case f.storage == "" && f.trust:
		return "", false, usageError{errors.New("--trust-source is for --graft alone: a registry hashes what is sent to it")}
	case f.storage == "":
		return method, false, nil
	case method == link.Symlink:
		return "", false, usageError{errors.New("--link=symlink is not for --graft: a registry's storage holds files")}
	}
	return method, true, graft.Check(f.storage)
}

// grafting is the part of a run that puts blobs into the target's storage; nil
// where they are sent.
type grafting struct {
	session *session
	dir     string
	src     source.Source
	options graft.Options
	storage *graft.Storage // nil until it is found
	lacking []plan.Image   // that the target has without all of their blobs

	mu     sync.Mutex
	unseen []report.Finding
}

// newGrafting has nothing of a source that was hashed on its way in hashed again.
func (s *session) newGrafting(f *graftFlags, hashed bool, method link.Method, src source.Source, x *storage.Index) *grafting {
	return &grafting{session: s, dir: f.storage, src: src, options: graft.Options{Path: x.Path, Link: method, Trust: f.trust || hashed}}
}

// open finds the storage, and writes nothing.
func (g *grafting) open(t *target) (err error) {
	if err := t.inFiles(); err != nil {
		return err
	}
	g.storage, err = graft.Open(g.dir, g.src, &g.options)
	return err
}

// begin has a target's blobs put into its storage from now on.
func (g *grafting) begin(t *target) error {
	if g == nil {
		return nil
	}
	if err := g.open(t); err != nil {
		return err
	}
	t.grafting = g
	t.registry.PlaceBy(g.storage.Place, func(repository string, d digest.Digest) {
		f := report.TargetUnseen.New("")
		f.Repository, f.Digest = repository, d.String()
		g.mu.Lock()
		defer g.mu.Unlock()
		g.unseen = append(g.unseen, f)
	})
	return nil
}

// inFiles refuses a Harbor that says that it keeps its blobs elsewhere.
func (t *target) inFiles() error {
	if t.harbor == nil || t.harbor.Storage == "" || t.harbor.Storage == "filesystem" {
		return nil
	}
	return report.WithHint(fmt.Errorf("Harbor at %s keeps its blobs in object storage (its driver is %s), and not in files", t.host(), t.harbor.Storage),
		"leave out --graft")
}

// ready prepares the target for what is planned, and has its storage proven before
// anything is put there: before projects are created, if there is one to prove it in.
func (s *session) ready(ctx context.Context, t *target, p *plan.Plan, seen *foreseen, f *targetFlags) error {
	if t.grafting == nil {
		return s.prepare(ctx, t, p, seen, f)
	}
	first := t.firstTo(p, seen, f, seen.missing)
	if err := t.grafting.prove(ctx, t, first); err != nil {
		return err
	}
	if err := s.prepare(ctx, t, p, seen, f); err != nil {
		return err
	}
	if first == "" {
		if err := t.grafting.prove(ctx, t, t.firstTo(p, seen, f, nil)); err != nil {
			return err
		}
	}
	for _, i := range t.grafting.lacking {
		t.registry.Doubt(i)
	}
	return errors.Join(t.grafting.tellLacking(t, seen), t.grafting.fits(p, seen))
}

// firstTo is the first repository that something will be pushed to, other than in
// some projects; empty for none.
func (t *target) firstTo(p *plan.Plan, seen *foreseen, f *targetFlags, without []string) string {
	for _, i := range p.Images {
		_, kept := seen.keptBack(t, i, f.force)
		if !seen.there[i.Target] && !kept && !slices.Contains(without, project(i)) {
			return i.Target.Repository
		}
	}
	return ""
}

// prove has the storage proven in a repository, if there is one.
func (g *grafting) prove(ctx context.Context, t *target, repository string) error {
	if repository == "" {
		return nil
	}
	left, err := g.storage.Prove(ctx, t.registry, repository)
	if left != nil {
		g.session.note("tried out whether %s is the storage of %s; the garbage collection there will find %s", g.dir, t.host(), left)
	}
	return err
}

// fits stops where what has to be copied has no room.
func (g *grafting) fits(p *plan.Plan, seen *foreseen) error {
	var missing []plan.Image
	for _, i := range p.Images {
		if !seen.there[i.Target] {
			missing = append(missing, i)
		}
	}
	return g.session.fits("the blobs", g.storage.Room(blobsOf(missing)), g.dir)
}

// end gives the storage up, and tells what it took and what was found in it.
func (g *grafting) end() error {
	if g == nil {
		return nil
	}
	g.session.use(g.storage.Usage())
	return errors.Join(g.session.findAll(slices.Concat(g.unseen, g.storage.Findings())), g.storage.Close())
}

// lines say what was put into the storage.
func (g *grafting) lines(s report.Summary) []string {
	lines := []string{fmt.Sprintf("%s in %s put into %s: %s linked, %s copied",
		size(s.PlacedBytes), plural(s.PlacedBlobs, "blob", "blobs"), g.dir, plural(s.LinkedFiles, "file", "files"), size(s.CopiedBytes))}
	return append(lines, notLinked(g.storage.Usage().Why)...)
}

// graftOne pushes an image whose blobs are put into the target's storage, and
// looks whether it is there.
func (t *target) graftOne(ctx context.Context, src source.Source, x *storage.Index, i plan.Image, seen *foreseen) report.Outcome {
	if seen.lacksBlobs(i) {
		return t.mend(ctx, i)
	}
	o, err := t.registry.Push(ctx, push.Stored(src, x.Path, i), i)
	o = t.verifyOne(ctx, i, seen.after(i, o, err))
	if err == nil && o.Status == report.Failed && ctx.Err() == nil {
		o.Error += forgetful
	}
	return o
}

// forgetful is what to do about a registry that takes manifests and does not have
// them: distribution writes no file that its cache of descriptors has.
const forgetful = " (though the target took it; where files of its storage were lost, its registry's cache may still have them: restart the registry or, for Harbor, flush the registry's database in its redis, and run again)"

// blobsOf gives the blobs of images, with their sizes in bytes.
func blobsOf(images []plan.Image) iter.Seq2[digest.Digest, int64] {
	return sizesOf(images, func(i plan.Image) []*ocispec.Descriptor { return i.Blobs })
}

// sizesOf gives parts of images, with their sizes in bytes.
func sizesOf(images []plan.Image, parts func(plan.Image) []*ocispec.Descriptor) iter.Seq2[digest.Digest, int64] {
	return func(yield func(digest.Digest, int64) bool) {
		for _, i := range images {
			for _, d := range parts(i) {
				if !yield(d.Digest, d.Size) {
					return
				}
			}
		}
	}
}

// manifestBytes is how large the manifests are that images take to be sent, each
// once for each repository.
func manifestBytes(images []plan.Image, seen *foreseen) (bytes int64) {
	counted := map[string]bool{}
	for _, i := range images {
		if seen.lacksBlobs(i) {
			continue // the target has them
		}
		for _, m := range i.Manifests {
			if key := report.Name(i.Target.Repository, "", m.Digest.String()); !counted[key] {
				counted[key] = true
				bytes += m.Size
			}
		}
	}
	return bytes
}

// foresee says what a graft would do, and writes nothing.
func (g *grafting) foresee(t *target, images []plan.Image, seen *foreseen) error {
	f, err := g.storage.Foresee(blobsOf(images))
	if err != nil {
		return err
	}
	seen.doubtful = seen.doubtful || len(f.Findings) > 0
	g.session.foretell(f, manifestBytes(images, seen))
	return errors.Join(g.tellLacking(t, seen), g.session.findAll(f.Findings))
}

// foretell keeps for the summary what a run would put into a registry's storage,
// and how many bytes of manifests it would send.
func (s *session) foretell(f *tree.Forecast, manifests int64) {
	s.summary.Forecast = &report.Forecast{
		Linked: f.Linked, Copied: f.Copied, There: f.There, Manifests: manifests, Why: f.Why, Refused: f.Refused,
	}
}

// forecastLines say how much a graft would put where, and send.
func forecastLines(f *report.Forecast, dir, host string) []string {
	line := fmt.Sprintf("into %s: %s by hard link, %s copied at most; %s there already; %s of manifests to send to %s",
		dir, size(f.Linked), size(f.Copied), size(f.There), size(f.Manifests), host)
	return append([]string{line}, obstacles(f)...)
}

// obstacles say what would be in the way.
func obstacles(f *report.Forecast) (lines []string) {
	if f.Why != "" {
		lines = append(lines, "not everything can be hard-linked: "+f.Why)
	}
	if f.Refused != "" {
		lines = append(lines, "NOTHING CAN BE PUT THERE by this user: "+f.Refused)
	}
	return lines
}
