package bundle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// inventorySuffix is of the inventory that lies beside an archive.
const inventorySuffix = ".inventory.json"

// WriteFile writes the archive into a file whose name ends in .tar, .tar.zst or
// .tzst, or into volumes of it: NAME.001, NAME.002 and so on, which hold the
// archive one after the other. Beside each lies its checksum, .sha256, and last
// of all comes NAME.inventory.json, the inventory without images that failed.
//
// A file appears under its name when it is whole and on the disk. What an
// interrupted run left is replaced; where there is anything else of that name,
// the error wraps fs.ErrExist. The source and the errors are those of Write.
func (b *Bundle) WriteFile(ctx context.Context, src fs.FS, name string) (*Result, error) {
	f, err := b.formOf(name)
	var res *Result
	switch {
	case err != nil:
	case b.opts.Only != 0:
		res, err = b.remake(ctx, src, f)
	default:
		res, err = b.create(ctx, src, f)
	}
	if err != nil {
		return nil, fmt.Errorf("writing bundle %s: %w", name, err)
	}
	return res, nil
}

// create writes all files, or leaves none.
func (b *Bundle) create(ctx context.Context, src fs.FS, f form) (*Result, error) {
	t, err := claim(f.name, b.opts.Force)
	if err != nil {
		return nil, err
	}
	v := &volumes{name: f.file, most: f.most, admit: func(string, string) error { return t.begin() }}
	res, err := b.fill(ctx, src, f, v)
	if err == nil {
		err = t.finish(res, v)
	}
	if err != nil {
		v.abandon()
		t.abandon()
		return nil, err
	}
	return res, nil
}

// fill writes the archive into files.
func (b *Bundle) fill(ctx context.Context, src fs.FS, f form, v *volumes) (*Result, error) {
	if !f.compressed {
		res, err := b.write(ctx, src, &output{w: buffered(v), passes: v.passes, skip: v.skip})
		if err == nil {
			err = v.finish()
		}
		return res, err
	}
	z, err := compress(v)
	if err != nil {
		return nil, err
	}
	res, err := b.write(ctx, src, &output{w: buffered(z)})
	if closed := z.Close(); err == nil && !errors.Is(closed, errEnough) {
		err = closed
	}
	if err == nil {
		err = v.finish()
	}
	return res, err
}

// target is the name of a bundle, which this process alone writes to.
type target struct {
	name  string
	mark  *os.File // what becomes the inventory; its presence tells of a run
	fresh bool     // no other run left the mark
	force bool
	old   []string // files of a bundle that is to be replaced
}

// claim takes a name. The mark says, should this run be cut short, that what is
// left is no one else's.
func claim(name string, force bool) (*target, error) {
	t := &target{name: name, force: force}
	if err := t.lock(); err != nil {
		return nil, err
	}
	if err := t.clear(); err != nil {
		if t.fresh {
			t.abandon()
		}
		t.mark.Close()
		return nil, err
	}
	return t, nil
}

// clear makes sure that nothing is in the way.
func (t *target) clear() error {
	there, err := t.existing()
	if err != nil {
		return err
	}
	_, err = os.Lstat(t.name + inventorySuffix)
	finished := err == nil
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case t.force:
		t.old = there
		return nil
	case finished:
		return report.WithHint(&fs.PathError{Op: "create", Path: t.name + inventorySuffix, Err: fs.ErrExist},
			"a bundle of that name is there; name another file, or replace it with --force")
	}
	for _, name := range there {
		if t.fresh && !strings.HasSuffix(name, partialSuffix) {
			return report.WithHint(&fs.PathError{Op: "create", Path: name, Err: fs.ErrExist},
				"name another file, move what is there away, or replace it with --force")
		}
	}
	for _, name := range there {
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

// existing lists the files of a bundle of this name, whole and begun ones.
func (t *target) existing() ([]string, error) {
	dir, base := filepath.Split(t.name)
	entries, err := os.ReadDir(filepath.Clean(dir))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if rest, ok := strings.CutPrefix(e.Name(), base); ok && isBundleFile(rest) {
			names = append(names, dir+e.Name())
		}
	}
	return names, nil
}

// isBundleFile tells what may come behind the name: the number of a volume, and
// the end of a checksum's name or of one that is not finished.
func isBundleFile(rest string) bool {
	rest = strings.TrimSuffix(rest, partialSuffix)
	rest = strings.TrimSuffix(rest, sumSuffix)
	return rest == "" || isVolume(rest)
}

// isVolume tells whether it is a dot and three digits or more.
func isVolume(rest string) bool {
	return len(rest) > 3 && rest[0] == '.' && strings.Trim(rest[1:], "0123456789") == ""
}

// begin is called before a file gets its name. From there on, a bundle that is
// to be replaced is not whole any more, which its inventory would say.
func (t *target) begin() error {
	if !t.force {
		return nil
	}
	if err := os.Remove(t.name + inventorySuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// finish removes what the bundle replaces, and writes the inventory: with it,
// the bundle is finished.
func (t *target) finish(res *Result, v *volumes) error {
	made := map[string]bool{}
	for _, name := range v.made {
		made[name] = true
	}
	for _, name := range t.old {
		if made[name] {
			continue
		}
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := t.writeInventory(res.Inventory); err != nil {
		return advise(err)
	}
	dir, final := filepath.Dir(t.name), t.name+inventorySuffix
	if err := syncDir(dir); err != nil {
		return err
	}
	if err := os.Rename(final+partialSuffix, final); err != nil {
		return err
	}
	if err := errors.Join(syncDir(dir), t.mark.Close()); err != nil {
		return errors.Join(err, os.Remove(final))
	}
	res.Files, res.Bytes = append(v.made, final), v.pos
	return nil
}

// writeInventory writes into the mark, which may hold what an earlier run wrote.
func (t *target) writeInventory(inv *Inventory) error {
	if err := t.mark.Truncate(0); err != nil {
		return err
	}
	if _, err := inv.WriteTo(t.mark); err != nil {
		return err
	}
	return t.mark.Sync()
}

// abandon gives the name up. A mark that another run left stays with what that
// run left, where it is not cleared away.
func (t *target) abandon() {
	if t.fresh || !t.force {
		os.Remove(t.mark.Name())
	}
	t.mark.Close()
}
