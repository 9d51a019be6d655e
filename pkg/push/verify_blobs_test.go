package push_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/push"
)

func TestVerifyBlobs(t *testing.T) {
	s := startHarbor(t, nil, "mig")
	r := dialHarbor(t, s, asAdmin())
	one := image("mig/app:1", "one", "two", "three")
	mustPush(t, r, one)
	layer := one.Blobs[2]
	s.Intercept(func(w http.ResponseWriter, q *http.Request) bool {
		if q.Method == http.MethodHead && strings.HasSuffix(q.URL.Path, one.Blobs[1].Digest.String()) {
			w.Header().Set("Content-Length", "7") // of another size
			return true
		}
		return false
	})
	other := image("mig/app:2", "never sent")
	mixed := index("mig/app:3", one, other)
	for _, test := range []struct {
		name      string
		f         *fixture
		missing   []*ocispec.Descriptor
		different []push.BlobSize
		err       string
	}{
		{"another size", one, nil, []push.BlobSize{{Descriptor: *one.Blobs[1], Got: 7}},
			fmt.Sprintf("verifying blobs of mig/app:1: %s has 7 bytes in the target, not 3", one.Blobs[1].Digest)},
		{"missing", other, other.Blobs, nil,
			fmt.Sprintf("verifying blobs of mig/app:2: %s is missing in the target, %s is missing in the target", other.Blobs[0].Digest, other.Blobs[1].Digest)},
		{"both", mixed, other.Blobs, []push.BlobSize{{Descriptor: *one.Blobs[1], Got: 7}}, ""},
	} {
		err := r.VerifyBlobs(t.Context(), test.f.Image)
		var wrong *push.BlobsError
		if !errors.As(err, &wrong) {
			t.Fatalf("%s: %v", test.name, err)
		}
		if diff := cmp.Diff(&push.BlobsError{Image: test.f.Target, Missing: test.missing, Different: test.different}, wrong); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
		if test.err != "" && err.Error() != test.err {
			t.Errorf("%s: %v, want %s", test.name, err, test.err)
		}
		if got := errors.Is(err, push.ErrNotFound); got != (len(test.missing) > 0) {
			t.Errorf("%s: not found %t", test.name, got)
		}
	}
	// A size that is wrong here, and right there.
	wrong := one.rename("mig/app:4")
	wrong.Blobs = []*ocispec.Descriptor{{Digest: layer.Digest, Size: layer.Size + 1}}
	if err := r.VerifyBlobs(t.Context(), wrong.Image); err == nil {
		t.Error("a descriptor of another size is fine")
	}
}

// Each blob is asked for once in each repository, by HEAD, whatever the answer.
func TestVerifyBlobsOnce(t *testing.T) {
	s := startHarbor(t, nil, "a", "b", "c")
	images := append(shared(), image("a/one:never", "base", "nowhere"), image("a/one:nor", "nowhere"))
	pushAll(t.Context(), t, dialHarbor(t, s, asAdmin()), 4, images[:len(images)-2])
	r := dialHarbor(t, s, asAdmin())
	s.ResetRequests()
	var all sync.WaitGroup
	for n, f := range images {
		for range 3 {
			all.Go(func() {
				err := r.VerifyBlobs(t.Context(), f.Image)
				if there := n < len(images)-2; (err == nil) != there {
					t.Errorf("%s: %v", f.Target, err)
				}
			})
		}
	}
	all.Wait()
	want, got := map[string]int{}, map[string]int{}
	for _, f := range images {
		for _, b := range f.Blobs {
			want["HEAD /v2/"+f.Target.Repository+"/blobs/"+b.Digest.String()] = 1
		}
	}
	for _, q := range s.Requests() {
		if q.Path != "/service/token" {
			got[q.Method+" "+q.Path]++
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// What cannot be asked for is not missing, and is asked for again.
func TestVerifyBlobsFails(t *testing.T) {
	s := startHarbor(t, nil, "mig")
	r := dialHarbor(t, s, asAdmin())
	one := image("mig/app:1", "one")
	mustPush(t, r, one)
	for _, code := range []int{400, 401, 403, 500, 503, 204} {
		f, _ := failFirst(99, "HEAD /v2/mig/app/blobs/", status(code, ""))
		s.Intercept(f)
		err := r.VerifyBlobs(t.Context(), one.Image)
		if err == nil || errors.Is(err, push.ErrNotFound) || !strings.Contains(err.Error(), fmt.Sprint(code)) {
			t.Errorf("%d: error %v", code, err)
		}
	}
	s.Intercept(nil)
	if err := r.VerifyBlobs(t.Context(), one.Image); err != nil {
		t.Error(err)
	}
}

// Many are named in few words.
func TestBlobsErrorIsShort(t *testing.T) {
	f := image("mig/app:1", "a", "b", "c", "d", "e", "f", "g")
	err := &push.BlobsError{Image: f.Target, Missing: f.Blobs}
	if got := err.Error(); strings.Count(got, "missing") != 5 || !strings.HasSuffix(got, "and 3 more") {
		t.Error(got)
	}
}
