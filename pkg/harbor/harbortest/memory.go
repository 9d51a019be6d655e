package harbortest

import (
	"bytes"
	"context"
	"io"

	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/factory"
	"github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
)

// MemoryDriver is the name under which distribution finds a storage in memory that
// is fit for requests side by side.
const MemoryDriver = "steadymemory"

func init() { factory.Register(MemoryDriver, memories{}) }

type memories struct{}

func (memories) Create(context.Context, map[string]any) (driver.StorageDriver, error) {
	return memory{inmemory.New()}, nil
}

// memory is distribution's storage in memory, with files that stay as they are
// while they are read. That one's own readers look at a file without its lock
// (registry/storage/driver/inmemory/mfs.go, ReadAt), and the registry writes a
// manifest anew where two repositories are given it at the same moment.
type memory struct{ driver.StorageDriver }

// Reader reads a copy of what the file is now.
func (m memory) Reader(ctx context.Context, path string, offset int64) (io.ReadCloser, error) {
	if offset < 0 {
		return nil, driver.InvalidOffsetError{Path: path, Offset: offset, DriverName: MemoryDriver}
	}
	content, err := m.GetContent(ctx, path)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(content[min(offset, int64(len(content))):])), nil
}
