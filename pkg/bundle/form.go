package bundle

import (
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// minVolume is the least that a volume may be allowed to hold, bytes.
const minVolume = 1 << 20

// form is what kind of files an archive goes into.
type form struct {
	name       string // as it was asked for
	compressed bool
	width      int   // digits of a volume's number; 0: there are no volumes
	most       int64 // bytes in a file
	count      int64 // of files; 0 where it is not known
}

// formOf works out the files for a name and the options.
func (b *Bundle) formOf(name string) (form, error) {
	f := form{name: filepath.Clean(name), most: math.MaxInt64, count: 1}
	switch lower := strings.ToLower(name); {
	case strings.HasSuffix(lower, ".tar"):
	case strings.HasSuffix(lower, ".tar.zst"), strings.HasSuffix(lower, ".tzst"):
		f.compressed = true
	default:
		return form{}, report.WithHint(fmt.Errorf("%q says no form of an archive", name), "end the name in .tar or, to compress, in .tar.zst")
	}
	if b.opts.VolumeSize != 0 {
		if err := f.cut(b.opts.VolumeSize, b.size); err != nil {
			return form{}, err
		}
	}
	return f, f.has(b.opts.Only)
}

// cut makes volumes of an archive of so many bytes, before it is compressed.
func (f *form) cut(most, size int64) error {
	if most < minVolume {
		return report.WithHint(fmt.Errorf("volumes of %d bytes are too small", most), "give 1M at least, such as --volume-size 4G")
	}
	f.most, f.count = most, volumesOf(size, most)
	if f.compressed {
		f.count = 0
		size += size>>8 + minVolume // more than zstd adds to what it cannot compress
	}
	f.width = max(3, len(fmt.Sprint(volumesOf(size, most))))
	return nil
}

func volumesOf(size, most int64) int64 { return (size-1)/most + 1 }

// has tells whether there can be a volume of that number; 0 stands for all.
func (f *form) has(n int) error {
	switch {
	case n == 0:
		return nil
	case n < 0 || f.width == 0:
		return report.WithHint(fmt.Errorf("there is no volume %d to make again", n), "give the number of a volume, from 1, and the --volume-size that it was made with")
	case int64(n) > math.MaxInt64/f.most || (f.count > 0 && int64(n) > f.count):
		return report.WithHint(fmt.Errorf("there is no volume %d", n), f.counted())
	}
	return nil
}

func (f *form) counted() string {
	if f.count == 0 {
		return "the bundle has fewer volumes of that size"
	}
	return fmt.Sprintf("the bundle has %d volumes of that size", f.count)
}

// file is the name of a file by its number, from 1.
func (f *form) file(n int) string {
	if f.width == 0 {
		return f.name
	}
	return fmt.Sprintf("%s.%0*d", f.name, f.width, n)
}

// compress compresses what goes to w. The same bytes give the same, whatever
// pieces they come in and however many cores there are.
func compress(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) }
