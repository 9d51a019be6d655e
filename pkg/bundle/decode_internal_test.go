package bundle

import (
	"io"
	"runtime"
	"strings"
	"testing"
)

// endless reads as the same text for ever, and counts.
type endless struct {
	text string
	n    int64
}

func (e *endless) Read(p []byte) (int, error) {
	for n := 0; n < len(p); {
		n += copy(p[n:], e.text)
	}
	e.n += int64(len(p))
	return len(p), nil
}

// TestReadBounds: no more is read than was said, and no more memory is taken
// than what is read is worth.
func TestReadBounds(t *testing.T) {
	const most = 1 << 20
	for _, before := range []string{"", `{"formatVersion":1,`, `{"formatVersion":1,"images":[`, `{"formatVersion":1,"manifests":[`,
		`{"formatVersion":1,"manifests":[{"blobs":[`, `{"formatVersion":1,"manifests":[{"platform":{"os.features":[`,
		`{"formatVersion":1,"manifests":[{"blobs":[{"urls":[`, `{"formatVersion":1,"later":[`} {
		for _, text := range []string{"        ", "[", "{},", `"",`, "0,", `{"digest":"sha256:` + strings.Repeat("0", 64) + `"},`} {
			var start, end runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&start)
			rest := &endless{text: text}
			_, err := readInventory(io.MultiReader(strings.NewReader(before), rest), most)
			runtime.ReadMemStats(&end)
			if err == nil || rest.n > most+1 {
				t.Errorf("%q behind %q: %d bytes read, error %v", text, before, rest.n, err)
			}
			if taken := end.TotalAlloc - start.TotalAlloc; taken > 16*most && text != "0," { // numbers are boxed, and let go
				t.Errorf("%q behind %q: %d MiB allocated for %d MiB", text, before, taken>>20, most>>20)
			}
		}
	}
}
