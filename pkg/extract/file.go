package extract

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// WriteTo writes the image to a file or a directory, which appears when it is
// whole. One that is there stays as it is, and is an error, unless it is an empty
// directory.
func (i *Image) WriteTo(ctx context.Context, path string, f Format) error {
	if err := free(path, f); err != nil {
		return err
	}
	path = filepath.Clean(path)
	partial, err := os.MkdirTemp(filepath.Dir(path), "."+filepath.Base(path)+".partial-")
	if err != nil {
		return fmt.Errorf("preparing %s: %w", path, err)
	}
	defer os.RemoveAll(partial)
	if f == OCI {
		err = i.writeDir(ctx, partial, path)
	} else {
		err = i.writeFile(ctx, filepath.Join(partial, "archive"), path, f)
	}
	if err != nil {
		return fmt.Errorf("extracting %s to %s: %w", i.Reference, path, err)
	}
	return nil
}

// free holds that nothing is replaced.
func free(path string, f Format) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("preparing %s: %w", path, err)
	case info.IsDir() && f == OCI:
		if entries, err := os.ReadDir(path); err == nil && len(entries) == 0 {
			return nil
		}
	}
	return report.WithHint(fmt.Errorf("preparing %s: it exists", path), "name another file or directory, or remove it first")
}

func (i *Image) writeDir(ctx context.Context, partial, path string) error {
	if err := os.Chmod(partial, 0o755); err != nil { // temporary ones are private
		return err
	}
	if err := i.writeOCI(ctx, dirSink{partial}); err != nil {
		return err
	}
	_ = syscall.Rmdir(path) // an empty one, no file; of anything else the renaming tells
	return os.Rename(partial, path)
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
