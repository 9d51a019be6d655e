package push_test

import (
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/push"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

func asked(s *harbortest.Server, method, part string) (n int) {
	for _, r := range s.Requests() {
		if r.Method == method && strings.Contains(r.Path, part) {
			n++
		}
	}
	return n
}

// TestForesee: what is there, what would be replaced, and that nothing is asked twice.
func TestForesee(t *testing.T) {
	s := startHarbor(t, nil, "team")
	mustPush(t, dialHarbor(t, s, asAdmin()), image("team/app:v1", "one"), image("team/app:v2", "two"))
	r := dialHarbor(t, s, asAdmin())
	for _, tt := range []struct {
		image           *fixture
		there, replaces bool
	}{
		{image("team/app:v1", "one"), true, false},
		{image("team/app:v2", "another"), false, true},
		{image("team/app:v3", "new"), false, false},
		{image("team/other:v1", "one"), false, false},
	} {
		there, replaces, err := r.Foresee(t.Context(), tt.image.Image)
		if err != nil || there != tt.there || replaces != tt.replaces {
			t.Errorf("%s: there %v, replaces %v, error %v", tt.image.Target, there, replaces, err)
		}
	}
	s.ResetRequests()
	mustPush(t, r, image("team/app:v2", "another"), image("team/app:v3", "new"))
	if lists, heads := asked(s, http.MethodGet, "/tags/list"), asked(s, http.MethodHead, "/manifests/"); lists+heads > 0 {
		t.Errorf("asked again: %d lists, %d manifests", lists, heads)
	}
}

// TestRelyOn: a blob that nobody has here is mounted from where it is said to be.
func TestRelyOn(t *testing.T) {
	s := startHarbor(t, nil, "team", "other")
	old := image("team/app:v1", "layer")
	mustPush(t, dialHarbor(t, s, asAdmin()), old)
	r := dialHarbor(t, s, asAdmin())
	layer := digest.FromString("layer")
	if err := r.RelyOn(t.Context(), "team/app", layer); err != nil {
		t.Fatal(err)
	}
	for _, repository := range []string{"team/none", "other/app", "absent/app"} {
		if err := r.RelyOn(t.Context(), repository, digest.FromString("nothing")); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("%s: error %v", repository, err)
		}
	}
	f := image("other/app:v2", "layer", "more")
	dir := f.write(t)
	if err := os.Remove(dir + "/" + layer.Encoded()); err != nil {
		t.Fatal(err)
	}
	if o, err := pushLayout(t.Context(), t, r, dir, f.Image); err != nil || o.Mounted != 1 || o.Uploaded != 2 {
		t.Errorf("outcome %+v, error %v", o, err)
	}
}

// TestStored pushes an image from a file system whose names are its own.
func TestStored(t *testing.T) {
	s := startHarbor(t, nil, "team")
	r := dialHarbor(t, s, asAdmin())
	f := index("team/app:multi", image("x:1", "one"), image("x:2", "two"))
	fsys := os.DirFS(f.write(t))
	path := func(d digest.Digest) string {
		switch {
		case d == f.Manifest.Digest:
			return "manifest.json"
		case f.files[d.Encoded()+".manifest.json"] != nil:
			return d.Encoded() + ".manifest.json"
		}
		return d.Encoded()
	}
	o, err := r.Push(t.Context(), push.Stored(fsys, path, f.Image), f.Image)
	if err != nil || o.Status != report.Done || o.Uploaded != 4 {
		t.Fatalf("outcome %+v, error %v", o, err)
	}
	harborReader(t, s, "team").check(t, f.Image)
	lacking := image("team/app:lacking", "not there")
	if o, err := r.Push(t.Context(), push.Stored(fsys, path, lacking.Image), lacking.Image); err == nil || o.Status != report.Failed {
		t.Errorf("outcome %+v, error %v", o, err)
	}
}

// TestTags lists what is there, also where an answer is cut off once.
func TestTags(t *testing.T) {
	s := startHarbor(t, nil, "team")
	r := dialHarbor(t, s, asAdmin())
	mustPush(t, r, image("team/app:v2", "two"), image("team/app:v1", "one"))
	cut := 0
	s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if cut++; cut > 1 || !strings.HasSuffix(r.URL.Path, "/tags/list") {
			return false
		}
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte(`{"tags":[`))
		return true
	})
	tags, err := r.Tags(t.Context(), "team/app")
	if err != nil || !slices.Equal(tags, []string{"v1", "v2"}) {
		t.Errorf("tags %v, error %v", tags, err)
	}
	if tags, err := r.Tags(t.Context(), "team/none"); err != nil || len(tags) > 0 {
		t.Errorf("tags %v, error %v", tags, err)
	}
}
