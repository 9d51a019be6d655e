package push_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// zeros is what head -c 2147483648 /dev/zero | sha256sum gives.
const zeros = digest.Digest("sha256:a7c744c13cc101ed66c29f672f92455547889cc586ce6d44fe76ae824958ea51")

// A layer is never held in memory.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("sends 2 GiB")
	}
	const size = 2 << 30
	h := newDistribution(t)
	var peak, received atomic.Uint64
	measure := func() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak.Store(max(peak.Load(), m.HeapAlloc))
	}
	h.answer = func(w http.ResponseWriter, q *http.Request) bool {
		if q.Method != http.MethodPut || q.ContentLength != size {
			return false
		}
		for buffer := make([]byte, 1<<20); ; {
			n, err := io.ReadFull(q.Body, buffer)
			if received.Add(uint64(n))%(64<<20) == 0 {
				measure()
			}
			if err != nil {
				break
			}
		}
		w.Header().Set("Docker-Content-Digest", zeros.String())
		w.WriteHeader(http.StatusCreated)
		return true
	}
	s := serve(t, h)
	f := image("app:1")
	f.Blobs = append(f.Blobs, &ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: zeros, Size: size})
	layer, err := os.Create(filepath.Join(f.write(t), zeros.Encoded()))
	if err != nil {
		t.Fatal(err)
	}
	if err := layer.Truncate(size); err != nil {
		t.Skipf("no sparse files here: %v", err)
	}
	if err := layer.Close(); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	measure()
	start := peak.Load()
	o, err := f.pushTo(t.Context(), t, dial(t, hostOf(s), nil))
	if err != nil || o.Status != report.Done || received.Load() != size {
		t.Fatalf("%d bytes received, outcome %+v: %v", received.Load(), o, err)
	}
	if grown := int64(peak.Load()) - int64(start); grown > 64<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
}
