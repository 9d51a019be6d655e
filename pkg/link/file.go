package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// File is a file to be made anew where links to it are refused.
type File struct {
	FS    fs.FS
	Name  string // in FS
	Local string // its path in the local file system; empty where it has none
	Size  int64  // bytes, as it is known to have
}

// Anew makes the file under another name, whole or not at all: by reflink where
// that can be, else by copying its bytes, and says which. What lies there goes.
// It fails where the file has not the size that it should have.
func (f File) Anew(ctx context.Context, to string) (cloned bool, err error) {
	partial := to + ".partial"
	os.Remove(partial)
	defer func() {
		if err != nil {
			os.Remove(partial)
		}
	}()
	if cloned = f.Local != "" && Clone(f.Local, partial) == nil; !cloned {
		if err := f.copy(ctx, partial); err != nil {
			return false, fmt.Errorf("copying %s: %w", f.Name, err)
		}
	}
	info, err := os.Stat(partial)
	if err != nil {
		return false, err
	}
	if info.Size() != f.Size {
		return false, fmt.Errorf("copying %s: %d bytes, %d were expected: it changed since the scan", f.Name, info.Size(), f.Size)
	}
	return cloned, os.Rename(partial, to)
}

func (f File) copy(ctx context.Context, to string) error {
	in, err := f.FS.Open(f.Name)
	if err != nil {
		return err
	}
	defer in.Close()
	return Write(ctx, in, to)
}

// copyStep is how many bytes are copied before the context is asked again.
// Between files, the kernel copies each step on its own.
const copyStep = 64 << 20

// Write makes a new file of all bytes that are to be read, and has them on the
// disk when it returns: a name must not outlive a power cut without its bytes.
// An error leaves a part of the file.
func Write(ctx context.Context, from io.Reader, to string) error {
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if err := copyAll(ctx, out, from); err != nil {
		return errors.Join(err, out.Close())
	}
	return errors.Join(out.Sync(), out.Close())
}

func copyAll(ctx context.Context, out io.Writer, in io.Reader) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := io.CopyN(out, in, copyStep); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
