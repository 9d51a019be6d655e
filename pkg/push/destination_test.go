package push_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/containers/image/v5/pkg/blobinfocache/none"
	"github.com/containers/image/v5/types"

	"github.com/seed-5b48bd9d/drydock/pkg/push"
)

// put sends a blob by hand, as copiers of containers/image do.
func put(ctx context.Context, t *testing.T, d types.ImageDestination, f *fixture, n int, stream func([]byte) io.Reader) {
	t.Helper()
	info := types.BlobInfo{Digest: f.Blobs[n].Digest, Size: f.Blobs[n].Size}
	reused, _, err := d.TryReusingBlob(ctx, info, none.NoCache, false)
	if err != nil {
		t.Fatal(err)
	}
	if !reused {
		if _, err := d.PutBlob(ctx, stream(f.files[info.Digest.Encoded()]), info, none.NoCache, n == 0); err != nil {
			t.Fatal(err)
		}
	}
}

func rewindable(content []byte) io.Reader { return bytes.NewReader(content) }

func oneWay(content []byte) io.Reader { return io.MultiReader(bytes.NewReader(content)) }

func TestDestination(t *testing.T) {
	s := startHarbor(t, nil, "mig")
	r := dialHarbor(t, s, asAdmin())
	child := image("mig/app:1", "one", "two")
	list := index("mig/app:1", child)
	d := r.Destination(list.Target)
	for n := range child.Blobs {
		stream := rewindable
		if n == 1 {
			stream = oneWay
		}
		put(t.Context(), t, d, child, n, stream)
	}
	if err := d.PutManifest(t.Context(), child.files["manifest.json"], &child.Manifest.Digest); err != nil {
		t.Fatal(err)
	}
	if err := d.PutManifest(t.Context(), child.files["manifest.json"], nil); err == nil {
		t.Error("a manifest of another digest was taken")
	}
	if err := d.PutManifest(t.Context(), list.files["manifest.json"], nil); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.PutSignatures(t.Context(), nil, nil), d.Commit(t.Context(), nil), d.Close()); err != nil {
		t.Error(err)
	}
	harborReader(t, s, "mig").check(t, list.Image)
	if got, want := d.Reference().DockerReference().String(), s.Host()+"/mig/app:1"; got != want {
		t.Errorf("reference %q, want %q", got, want)
	}
}

// Close lets others have what was begun. A layer twice in one image is no
// reason to wait for oneself.
func TestCloseReleases(t *testing.T) {
	s := startHarbor(t, nil, "mig")
	r := dialHarbor(t, s, asAdmin())
	f := image("mig/app:1", "layer")
	first := r.Destination(f.Target)
	info := types.BlobInfo{Digest: f.Blobs[1].Digest, Size: f.Blobs[1].Size}
	for range 2 {
		if reused, _, err := first.TryReusingBlob(t.Context(), info, none.NoCache, false); reused || err != nil {
			t.Fatalf("reused %t: %v", reused, err)
		}
	}
	done := make(chan error)
	go func() {
		_, err := f.pushTo(t.Context(), t, r)
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatalf("a blob that is under way elsewhere was not waited for: %v", err)
	default:
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A stream that cannot be read again is not sent in part.
func TestOneWayStream(t *testing.T) {
	s := startHarbor(t, nil, "mig")
	r := dialHarbor(t, s, asAdmin())
	f := image("mig/app:1", "layer")
	reset, _ := failFirst(1, onBlob, reset)
	s.Intercept(reset)
	d := r.Destination(f.Target)
	defer d.Close()
	info := types.BlobInfo{Digest: f.Blobs[1].Digest, Size: f.Blobs[1].Size}
	if _, err := d.PutBlob(t.Context(), oneWay([]byte("layer")), info, none.NoCache, false); err == nil {
		t.Error("no error")
	}
	if _, err := d.PutBlob(t.Context(), oneWay([]byte("layer")), types.BlobInfo{Size: -1}, none.NoCache, false); err == nil {
		t.Error("a blob of unknown digest was taken")
	}
	if _, err := f.pushTo(t.Context(), t, r); err != nil {
		t.Error(err)
	}
	if _, err := push.Layout("\x00"); err == nil {
		t.Error("a layout without a directory")
	}
}
