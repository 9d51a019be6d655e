package dirlayout

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

// placer puts files of the source into layouts.
type placer struct {
	local  source.LocalFS // nil where the source's files have no paths
	root   *link.Dir      // of a source that is a directory; else nil
	method link.Method
	pool   *pool
	trial  string // the path of a link that is tried

	tried   sync.Once
	refuses bool         // files of the source cannot be linked, as the trial says
	linked  atomic.Int64 // files
	refused atomic.Pointer[string]
}

func newPlacer(src source.Source, staging, pool string, method link.Method) *placer {
	if method == "" {
		method = link.Auto
	}
	p := &placer{method: method, pool: newPool(src, pool), trial: staging + separator + "trial"}
	p.local, _ = src.(source.LocalFS)
	if d, ok := src.(source.Dir); ok {
		p.root, _ = link.OpenDir(d.Root()) // what is wrong with it, the first of its files tells
	}
	return p
}

func (p *placer) usage() link.Usage {
	u := link.Usage{Linked: int(p.linked.Load() + p.pool.cloned.Load()), Copied: p.pool.copied.Load()}
	if why := p.refused.Load(); why != nil {
		u.Why = *why
	}
	return u
}

// close gives up what is kept open.
func (p *placer) close() error {
	if p == nil || p.root == nil {
		return nil
	}
	return p.root.Close()
}

// place puts the source's file, of a size in bytes, into a layout under a new
// name.
func (p *placer) place(ctx context.Context, name string, size int64, to *link.Dir, as string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	dir, from, local := p.find(name)
	switch {
	case p.method == link.Copy || (!local && p.method == link.Auto):
		return p.pool.place(ctx, name, "", size, to.Path(as))
	case !local:
		return fmt.Errorf("%s: the source has no file to make a %s of", name, p.method)
	}
	err := p.link(dir, from, to, as)
	switch {
	case err == nil:
		p.linked.Add(1)
		return nil
	case !link.Refused(err):
		return err
	case p.method != link.Auto:
		return report.WithHint(err, "name a directory on the file system of the registry, or use --link=auto")
	}
	why := err.Error()
	p.refused.CompareAndSwap(nil, &why)
	return p.pool.place(ctx, name, dir.Path(from), size, to.Path(as))
}

func (p *placer) link(dir *link.Dir, from string, to *link.Dir, as string) error {
	switch p.method {
	case link.Symlink, link.Reflink:
		return p.method.Make(dir.Path(from), to.Path(as))
	default:
		return link.HardAt(dir, from, to, as)
	}
}

// find says where the source's file lies in the local file system, if it does:
// below a directory, or at a path of its own.
func (p *placer) find(name string) (dir *link.Dir, path string, local bool) {
	switch {
	case p.root != nil:
		return p.root, name, fs.ValidPath(name)
	case p.local != nil:
		path, local = p.local.LocalPath(name)
	}
	return nil, path, local
}

// know tells of a whole layout's file with the content of the source's. It is
// needed, and kept, only where the source's own cannot be linked.
func (p *placer) know(name, path string) {
	if p.pools(name) {
		p.pool.know(name, path)
	}
}

// pools tells whether a file comes from the pool, as far as can be told without
// placing it.
func (p *placer) pools(name string) bool {
	dir, from, local := p.find(name)
	if p.method != link.Auto || !local {
		return p.method == link.Copy || p.method == link.Auto
	}
	p.tried.Do(func() {
		can, err := canLink(dir.Path(from), p.trial)
		p.refuses = !can || err != nil
		_ = os.Remove(p.trial) // if it stays, it goes with the work directory
	})
	return p.refuses
}
