package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sort"
	"time"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// parts is one file that lies in several, one behind the other; most often it is
// just one.
type parts struct {
	files  []*os.File
	starts []int64 // where each begins
	size   int64   // bytes of all
}

// openParts opens the parts, in their order. Parts have to be regular files.
func openParts(names []string) (*parts, error) {
	p := &parts{}
	for _, name := range names {
		if err := p.add(name); err != nil {
			return nil, errors.Join(err, p.Close())
		}
	}
	return p, nil
}

func (p *parts) add(name string) error {
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		return report.WithHint(fmt.Errorf("opening source %s: a part of an archive that is not a regular file", name), "give all parts in one stream: cat … | drydock … -")
	}
	if err != nil {
		return fmt.Errorf("opening source: %w", err)
	}
	f, err := os.Open(name)
	if err != nil {
		return report.WithHint(fmt.Errorf("opening source: %w", err), "mend its permissions")
	}
	p.files = append(p.files, f)
	p.starts = append(p.starts, p.size)
	if info, err = f.Stat(); err != nil {
		return fmt.Errorf("opening source: %w", err)
	}
	p.size += info.Size()
	return nil
}

// ReadAt implements io.ReaderAt.
func (p *parts) ReadAt(b []byte, at int64) (n int, err error) {
	if at < 0 {
		return 0, fs.ErrInvalid
	}
	i := sort.Search(len(p.starts), func(i int) bool { return p.starts[i] > at }) - 1
	for ; n < len(b) && i < len(p.files); i++ {
		end := p.size
		if i+1 < len(p.files) {
			end = p.starts[i+1]
		}
		want := b[n:]
		if left := end - at; int64(len(want)) > left {
			want = want[:max(left, 0)]
		}
		read, err := p.files[i].ReadAt(want, at-p.starts[i])
		n, at = n+read, at+int64(read)
		if read < len(want) {
			return n, unexpected(err) // it got shorter since it was opened
		}
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// written is when any of them was last written to.
func (p *parts) written() (last time.Time, err error) {
	for _, f := range p.files {
		info, err := f.Stat()
		if err != nil {
			return last, err
		}
		if t := info.ModTime(); t.After(last) {
			last = t
		}
	}
	return last, nil
}

// Close implements io.Closer.
func (p *parts) Close() (err error) {
	for _, f := range p.files {
		err = errors.Join(err, f.Close())
	}
	return err
}
