package bundle

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/seed-5b48bd9d/drydock/pkg/dirlayout"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// maxWindow bounds how far back a compressed archive may refer, bytes: as far as
// "zstd --long" lets it.
const maxWindow = 128 << 20

// OpenInventory reads the inventory of a bundle: from the file FILE.inventory.json
// or from the bundle FILE itself, compressed or not, or from its first volume.
// Of these, no more is read than the inventory. Where both are there, the file
// beside counts: it leaves out images that failed.
func OpenInventory(path string) (*Inventory, error) {
	inv, err := openInventory(path)
	if err != nil {
		err = fmt.Errorf("opening inventory %s: %w", path, err)
		if report.Advice(err) == "" {
			err = report.WithHint(err, inventoryAdvice)
		}
		return nil, err
	}
	return inv, nil
}

func openInventory(path string) (*Inventory, error) {
	own, err := readInventoryFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	beside, besideErr := readInventoryFile(besideOf(path))
	switch {
	case errors.Is(besideErr, fs.ErrNotExist):
		return own, err
	case besideErr != nil:
		return nil, besideErr
	case own != nil && !own.covers(beside):
		return nil, report.WithHint(fmt.Errorf("%s is another bundle's", besideOf(path)), "move it away, or give the right one instead of the bundle")
	}
	return beside, nil
}

// besideOf is where the inventory of a bundle or of a volume lies.
func besideOf(path string) string {
	name, number := cutLast(path, ".")
	if !isVolume("." + number) {
		name = path
	}
	return name + inventorySuffix
}

// readInventoryFile reads an inventory's file, or a bundle's beginning.
func readInventoryFile(path string) (*Inventory, error) {
	f, err := openParts(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := bufio.NewReader(f)
	magic, err := r.Peek(4)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(magic, []byte("{")):
		return ReadInventory(r)
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}): // RFC 8878, 3.1.1
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		return firstMember(z)
	}
	return firstMember(r)
}

// firstMember reads the inventory at the beginning of an archive.
func firstMember(r io.Reader) (*Inventory, error) {
	t := tar.NewReader(r)
	h, err := t.Next()
	switch {
	case err != nil && err != io.EOF && !errors.Is(err, tar.ErrHeader) && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, err
	case err != nil, strings.TrimPrefix(h.Name, "./") != InventoryName, h.Typeflag != tar.TypeReg:
		return nil, errNotInventory
	case h.Size > maxInventory:
		return nil, fmt.Errorf("reading inventory: it has %d bytes, at most %d are read", h.Size, maxInventory)
	}
	return ReadInventory(t)
}

// parts are a bundle's volumes one after the other, or a file of its own. It is
// an io.ReadCloser.
type parts struct {
	next string // the name of the next volume; "": there is none
	file *os.File
}

func openParts(path string) (*parts, error) {
	f, err := dirlayout.OpenFile(path)
	if err != nil {
		return nil, err
	}
	return &parts{next: nextVolume(path), file: f}, nil
}

// nextVolume is the name of the volume behind one, or "".
func nextVolume(path string) string {
	name, number := cutLast(path, ".")
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil || !isVolume("."+number) {
		return ""
	}
	return fmt.Sprintf("%s.%0*d", name, len(number), n+1)
}

func (p *parts) Read(b []byte) (int, error) {
	n, err := p.file.Read(b)
	for n == 0 && err == io.EOF && p.next != "" {
		f, openErr := dirlayout.OpenFile(p.next)
		if errors.Is(openErr, fs.ErrNotExist) {
			p.next = ""
			break
		}
		if openErr != nil {
			return 0, openErr
		}
		p.file.Close()
		p.file, p.next = f, nextVolume(p.next)
		n, err = p.file.Read(b)
	}
	return n, err
}

func (p *parts) Close() error { return p.file.Close() }
