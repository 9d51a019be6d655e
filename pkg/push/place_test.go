package push_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/push"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// files are put into a registry's storage as they are.
type files struct {
	root string // that holds docker
	all  map[digest.Digest][]byte

	mu    sync.Mutex
	asked map[string]int // by "repository@digest"
}

func filesOf(root string, images []*fixture) *files {
	f := &files{root: filepath.Join(root, "docker/registry/v2"), all: map[digest.Digest][]byte{}, asked: map[string]int{}}
	for _, i := range images {
		for _, b := range i.Blobs {
			f.all[b.Digest] = i.files[b.Digest.Encoded()]
		}
	}
	return f
}

func (f *files) place(_ context.Context, repository string, d digest.Digest, size int64) (put bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked[repository+"@"+d.String()]++
	if int64(len(f.all[d])) != size {
		return false, fmt.Errorf("asked for %d bytes", size)
	}
	data := filepath.Join(f.root, storage.BlobPath(d))
	if _, err := os.Stat(data); err != nil {
		put = true
		if err := write(data, f.all[d]); err != nil {
			return false, err
		}
	}
	link := filepath.Join(f.root, "repositories", repository, "_layers", d.Algorithm().String(), d.Encoded(), "link")
	return put, write(link, []byte(d))
}

func write(path string, content []byte) error {
	return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644))
}

// neverUnseen fails a test whose blobs are not found.
func neverUnseen(t *testing.T) func(string, digest.Digest) {
	return func(repository string, d digest.Digest) { t.Errorf("%s: blob %s is not found", repository, d) }
}

// TestPlaceBy places blobs as files: nothing but manifests is sent, each blob is
// put once, and no repository is given one twice.
func TestPlaceBy(t *testing.T) {
	dir := t.TempDir()
	h := startHarbor(t, &harbortest.Options{Dir: dir}, "a", "b", "c")
	r := dialHarbor(t, h, asAdmin())
	images := shared()
	f := filesOf(dir, images)
	r.PlaceBy(f.place, neverUnseen(t))
	put, bytes := 0, int64(0)
	for _, o := range pushAll(t.Context(), t, r, 4, images) {
		if o.Status != report.Done || o.Uploaded != 0 || o.Bytes != 0 {
			t.Errorf("%+v", o)
		}
		put, bytes = put+o.Placed, bytes+o.PlacedBytes
	}
	total := int64(0)
	for _, content := range f.all {
		total += int64(len(content))
	}
	if put != len(f.all) || bytes != total {
		t.Errorf("%d blobs with %d bytes were put, want %d with %d", put, bytes, len(f.all), total)
	}
	for what, n := range f.asked {
		if n != 1 {
			t.Errorf("%s was asked for %d times", what, n)
		}
	}
	for _, q := range h.Requests() {
		if strings.Contains(q.Path, "/blobs/") {
			t.Errorf("%s %s", q.Method, q.Path)
		}
	}
	read := harborReader(t, h, "a", "b", "c")
	for _, i := range images {
		read.check(t, i.Image)
	}
}

// TestPlacedUnseen has blobs placed where the registry does not look: what it does
// not find is sent, and told once.
func TestPlacedUnseen(t *testing.T) {
	images := shared()
	h := startHarbor(t, &harbortest.Options{Dir: t.TempDir()}, "a", "b", "c")
	r := dialHarbor(t, h, asAdmin())
	var mu sync.Mutex
	var unseen []string
	r.PlaceBy(filesOf(t.TempDir(), images).place, func(repository string, d digest.Digest) {
		mu.Lock()
		defer mu.Unlock()
		unseen = append(unseen, repository+"@"+d.String())
	})
	for _, o := range pushAll(t.Context(), t, r, 4, images) {
		if o.Status != report.Done {
			t.Errorf("%+v", o)
		}
	}
	slices.Sort(unseen)
	if n := len(unseen); n == 0 || len(slices.Compact(unseen)) != n {
		t.Errorf("told %d times of %q", n, unseen)
	}
	if n := tally(h.Requests())["upload"]; n < len(filesOf("", images).all) {
		t.Errorf("%d blobs were sent, want %d at least", n, len(filesOf("", images).all))
	}
	read := harborReader(t, h, "a", "b", "c")
	for _, i := range images {
		read.check(t, i.Image)
	}
}

// TestPlacerFails fails images whose blob cannot be placed; one that is damaged
// is asked for once.
func TestPlacerFails(t *testing.T) {
	h := startHarbor(t, &harbortest.Options{Dir: t.TempDir()}, "a")
	for _, tt := range []struct {
		err   error
		asked int
	}{
		{fmt.Errorf("hashing: %w", push.ErrDamaged), 1},
		{errors.New("no room"), 2},
	} {
		r := dialHarbor(t, h, asAdmin())
		asked := 0
		base := digest.FromString("base")
		r.PlaceBy(func(_ context.Context, _ string, d digest.Digest, _ int64) (bool, error) {
			if d != base {
				return true, nil
			}
			asked++
			return false, tt.err
		}, neverUnseen(t))
		for _, i := range []*fixture{image("a/one:1", "base"), image("a/two:1", "base", "two")} {
			if o, err := i.pushTo(t.Context(), t, r); !errors.Is(err, tt.err) || o.Status != report.Failed {
				t.Errorf("%v: %+v, %v", tt.err, o, err)
			}
		}
		if asked != tt.asked {
			t.Errorf("%v: asked %d times, want %d", tt.err, asked, tt.asked)
		}
	}
	for _, q := range h.Requests() {
		if q.Method == "PUT" || q.Method == "POST" {
			t.Errorf("%s %s", q.Method, q.Path)
		}
	}
}

// TestOneBlob sends a blob, reads it back and removes it; a plain registry lets
// nobody remove one.
func TestOneBlob(t *testing.T) {
	content := []byte("a blob of no image")
	onHarbor := dialHarbor(t, startHarbor(t, &harbortest.Options{Dir: t.TempDir()}, "a"), asAdmin())
	plain := dial(t, hostOf(serve(t, newDistribution(t))), nil)
	for name, r := range map[string]*push.Registry{"harbor": onHarbor, "plain": plain} {
		d, err := r.SendBlob(t.Context(), "a/one", content)
		if err != nil || d != digest.FromBytes(content) {
			t.Fatalf("%s: %s, %v", name, d, err)
		}
		got, host, err := r.FetchBlob(t.Context(), "a/one", d, 100)
		if err != nil || string(got) != string(content) || host != r.URL().Host {
			t.Errorf("%s: %q from %s: %v", name, got, host, err)
		}
		if got, _, err := r.FetchBlob(t.Context(), "a/one", d, 3); err != nil || string(got) != "a b" {
			t.Errorf("%s: %q: %v", name, got, err)
		}
		err = r.RemoveBlob(t.Context(), "a/one", d)
		var status *push.StatusError
		if name == "plain" {
			if !errors.As(err, &status) || status.Status != 405 {
				t.Errorf("removing from a plain registry: %v", err)
			}
			continue
		}
		if err != nil {
			t.Error(err)
		}
		if _, _, err := r.FetchBlob(t.Context(), "a/one", d, 100); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("after its removal: %v", err)
		}
	}
}
