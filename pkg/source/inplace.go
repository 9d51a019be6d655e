package source

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"math"
)

// leaver leaves the bytes of files where they are: in a tar that is read in place.
type leaver struct{ archive io.ReaderAt }

func (l leaver) file(_ context.Context, _ member, from *body, n *node) error {
	n.place, n.at = inPlace, from.tape.at
	n.size = from.pass()
	return nil
}

func (l leaver) sparseFile(_ context.Context, m *member, from *body, n *node) error {
	r := tar.NewReader(io.NewSectionReader(l.archive, m.at, math.MaxInt64-m.at))
	if _, err := readSparse(r, m); err != nil {
		return err
	}
	stored := from.left
	n.place, n.at, n.size = sparse, m.at, m.size
	if passed := from.pass(); passed < stored {
		n.place, n.size = gone, passed // where its holes are is no longer of use
	}
	return nil
}

// readSparse reads a sparse file's headers once more, with archive/tar, which
// knows its true name and size.
func readSparse(r *tar.Reader, m *member) (io.Reader, error) {
	real, err := r.Next()
	if err != nil {
		return nil, &refusal{"a sparse file that cannot be read: " + err.Error()}
	}
	if real.Size > maxSparse && real.Size/maxSparseRatio > m.size {
		return nil, &refusal{fmt.Sprintf("a sparse file of %d bytes, of which %d are there", real.Size, m.size)}
	}
	m.header.name, m.header.size = real.Name, real.Size
	if m.path, err = split(real.Name, nil); err != nil {
		return nil, &refusal{err.Error()}
	}
	return r, nil
}
