package extract

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// WriteTo writes the image to a file or a directory, which appears when it is
// whole. One that is there stays as it is, and is an error, unless it is an empty
// directory, which is filled.
func (i *Image) WriteTo(ctx context.Context, path string, f Format) error {
	filled, err := free(path, f)
	if err != nil {
		return err
	}
	path = filepath.Clean(path)
	partial, err := begin(path, filled)
	if err != nil {
		return fmt.Errorf("preparing %s: %w", path, err)
	}
	defer os.RemoveAll(partial)
	switch {
	case filled:
		err = i.fill(ctx, partial, path)
	case f == OCI:
		err = i.writeDir(ctx, partial, path)
	default:
		err = i.writeFile(ctx, filepath.Join(partial, "archive"), path, f)
	}
	if err != nil {
		return fmt.Errorf("extracting %s to %s: %w", i.Reference, path, err)
	}
	return nil
}

// free holds that nothing is replaced, and tells of an empty directory that is to
// be filled.
func free(path string, f Format) (filled bool, err error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("preparing %s: %w", path, err)
	case info.IsDir() && f == OCI:
		if entries, err := os.ReadDir(path); err == nil && len(entries) == 0 {
			return true, nil
		}
	}
	return false, report.WithHint(fmt.Errorf("preparing %s: it exists", path), "name another file or directory, or remove it first")
}

// begin makes the directory that all is written to first: on the same file system.
// A directory to be filled may be a mount, and that above it be nobody's to write
// to.
func begin(path string, filled bool) (string, error) {
	if filled {
		return os.MkdirTemp(path, ".partial-")
	}
	return os.MkdirTemp(filepath.Dir(path), "."+filepath.Base(path)+".partial-")
}

func (i *Image) writeDir(ctx context.Context, partial, path string) error {
	if err := os.Chmod(partial, 0o755); err != nil { // temporary ones are private
		return err
	}
	if err := i.writeOCI(ctx, dirSink{partial}); err != nil {
		return err
	}
	return os.Rename(partial, path)
}

// fill writes a layout into a directory that is there. What says that it is one
// comes last.
func (i *Image) fill(ctx context.Context, partial, path string) error {
	if err := i.writeOCI(ctx, dirSink{partial}); err != nil {
		return err
	}
	for _, name := range []string{ocispec.ImageBlobsDir, ocispec.ImageIndexFile, ocispec.ImageLayoutFile} {
		if err := os.Rename(filepath.Join(partial, name), filepath.Join(path, name)); err != nil {
			return err
		}
	}
	return nil
}

func (i *Image) writeFile(ctx context.Context, partial, path string, f Format) error {
	file, err := os.OpenFile(partial, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(file, 1<<20)
	err = i.Write(ctx, w, f)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	err = os.Link(partial, path) // unlike a renaming, this never replaces anything
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Rename(partial, path) // where there are no links
}
