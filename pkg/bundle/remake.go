package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// remake makes one volume again. Of a plain tar, only what lies in it is read.
// The volume has the bytes that it had, or there is an error: another one would
// fit to nothing.
func (b *Bundle) remake(ctx context.Context, src fs.FS, f form) (*Result, error) {
	wrap := func(err error) error {
		return fmt.Errorf("making volume %d of bundle %s again: %w", b.opts.Only, f.name, err)
	}
	if err := b.continues(f.name); err != nil {
		return nil, wrap(err)
	}
	v := &volumes{name: f.file, most: f.most, only: b.opts.Only, admit: sameSum}
	res, err := b.fill(ctx, src, f, v)
	if err == nil && len(v.made) == 0 {
		err = report.WithHint(fmt.Errorf("there is no volume %d", b.opts.Only), f.counted())
	}
	if err == nil {
		err = syncDir(filepath.Dir(f.name))
	}
	if err != nil {
		v.abandon()
		return nil, err
	}
	res.Files = v.made
	res.Bytes = min(v.pos, int64(b.opts.Only)*f.most) - int64(b.opts.Only-1)*f.most
	return res, nil
}

var errChanged = report.WithHint(errors.New("the source is not what it was when the other volumes were made"), "make the whole bundle anew, under another name or with --force")

// continues holds the inventory against the one that lies beside the bundle, if
// there is one.
func (b *Bundle) continues(name string) error {
	was, err := readInventoryFile(name + inventorySuffix)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !b.inventory.covers(was):
		return errChanged
	}
	return nil
}

// covers tells whether another inventory is of the same bundle: the same one, or
// one without images that failed.
func (inv *Inventory) covers(o *Inventory) bool {
	if inv.Base != o.Base {
		return false
	}
	for _, i := range o.Images {
		if own, _ := inv.Image(i.Repository, i.Tag, i.Digest); own != i {
			return false
		}
	}
	for _, b := range o.Blobs {
		if own, _ := inv.Blob(b.Digest); own != b {
			return false
		}
	}
	return true
}

// sameSum refuses a volume that is not the one that its checksum, where it lies
// beside, was made of.
func sameSum(name, sum string) error {
	f, err := os.Open(name + sumSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	line, err := io.ReadAll(io.LimitReader(f, 1<<16))
	if err != nil {
		return err
	}
	if !strings.HasPrefix(strings.TrimPrefix(string(line), `\`), sum) {
		return errChanged
	}
	return nil
}
