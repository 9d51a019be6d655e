package push_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

func TestRefusals(t *testing.T) {
	readOnly := func(w http.ResponseWriter, q *http.Request) bool {
		if q.Method == http.MethodGet || q.Method == http.MethodHead {
			return false
		}
		status(403, `{"errors":[{"code":"DENIED","message":"The system is in read only mode. Any modification is prohibited."}]}`)(w, q)
		return true
	}
	for _, test := range []struct {
		name  string
		setUp func(t *testing.T, s *harbortest.Server)
		want  string
		hint  string
	}{
		{"quota", func(_ *testing.T, s *harbortest.Server) { s.SetQuota("mig", 60) }, "will exceed the configured upper limit", "raise the project's quota"},
		{"immutable", func(t *testing.T, s *harbortest.Server) {
			mustPush(t, dialHarbor(t, s, asAdmin()), image("mig/app:1", "another"))
			s.SetImmutable("mig", true)
		}, "configured as immutable", "makes the tag immutable"},
		{"read-only", func(_ *testing.T, s *harbortest.Server) { s.Intercept(readOnly) }, "read only mode", "ends read-only mode"},
		{"no project", func(t *testing.T, s *harbortest.Server) {
			s.Intercept(func(_ http.ResponseWriter, q *http.Request) bool {
				q.URL.Path = strings.Replace(q.URL.Path, "/v2/mig/", "/v2/nope/", 1)
				return false
			})
		}, "401 Unauthorized", "there is no such project"},
		{"a proxy's limit", func(_ *testing.T, s *harbortest.Server) {
			f, _ := failFirst(99, onBlob, status(413, "<html>nginx</html>"))
			s.Intercept(f)
		}, "413 Request Entity Too Large", "client_max_body_size"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := startHarbor(t, nil, "mig")
			test.setUp(t, s)
			o, err := image("mig/app:1", "a layer").pushTo(t.Context(), t, dialHarbor(t, s, asAdmin()))
			if o.Status != report.Failed || !strings.Contains(o.Error, test.want) || !strings.Contains(o.Error, test.hint) ||
				!strings.Contains(report.Advice(err), test.hint) {
				t.Errorf("outcome %+v, hint %q", o, report.Advice(err))
			}
		})
	}
}

// An immutable tag that has the image is no trouble, even if nobody knew: where
// an answer was lost, the second try is refused.
func TestImmutableAndThere(t *testing.T) {
	s := startHarbor(t, nil, "mig")
	s.SetImmutable("mig", true)
	r := dialHarbor(t, s, asAdmin())
	one := image("mig/app:1", "layer")
	mustPush(t, r, one)
	o, err := one.pushTo(t.Context(), t, r) // whose list of tags is from before
	if err != nil || o.Uploaded+o.Mounted > 0 {
		t.Errorf("outcome %+v: %v", o, err)
	}
	o, err = one.pushTo(t.Context(), t, dialHarbor(t, s, asAdmin()))
	if err != nil || o.Status != report.Skipped {
		t.Errorf("outcome %+v: %v", o, err)
	}
}

// A layout that is not what it was planned to be leaves nothing under the tag.
func TestDamagedLayout(t *testing.T) {
	layer := func(f *fixture) string { return f.Blobs[1].Digest.Encoded() }
	for _, test := range []struct {
		name   string
		damage func(t *testing.T, dir string, f *fixture) error
		want   string
	}{
		{"layer missing", func(_ *testing.T, dir string, f *fixture) error { return os.Remove(filepath.Join(dir, layer(f))) }, "reading layout: "},
		{"layer truncated", func(_ *testing.T, dir string, f *fixture) error { return os.Truncate(filepath.Join(dir, layer(f)), 3) }, "has 3 bytes, not 7"},
		{"layer changed", func(_ *testing.T, dir string, f *fixture) error {
			return os.WriteFile(filepath.Join(dir, layer(f)), []byte("a LAYER"), 0o600)
		}, "DIGEST_INVALID"},
		{"manifest missing", func(_ *testing.T, dir string, _ *fixture) error {
			return os.Remove(filepath.Join(dir, "manifest.json"))
		}, "reading layout: "},
		{"manifest changed", func(_ *testing.T, dir string, _ *fixture) error {
			return os.WriteFile(filepath.Join(dir, "manifest.json"), []byte("{}"), 0o600)
		}, "is not what it was planned to be"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := startHarbor(t, nil, "mig")
			f := image("mig/app:1", "a layer")
			dir := f.write(t)
			r := dialHarbor(t, s, asAdmin())
			if err := test.damage(t, dir, f); err != nil {
				t.Fatal(err)
			}
			o, err := f.pushTo(t.Context(), t, r)
			if err == nil || !strings.Contains(o.Error, test.want) {
				t.Errorf("outcome %+v, want %q in it", o, test.want)
			}
			if _, err := r.Resolve(t.Context(), f.Target); err == nil {
				t.Error("something is under the tag")
			}
		})
	}
}

func TestOddImages(t *testing.T) {
	duplicate := image("mig/duplicate:1", "twice", "twice")
	zero := image("mig/zero:1", "", "layer")
	nested := index("mig/nested:1", index("x/x:1", image("x/x:2", "one"), index("x/x:3", image("x/x:4", "two"))), image("x/x:5", "one"))
	untagged := image("mig/untagged", "layer")
	for _, f := range []*fixture{duplicate, zero, nested, untagged, withSHA512("mig/sha512:1"), schema1("mig/old:1", "one", "two")} {
		t.Run(strings.TrimPrefix(f.Source.Repository, "mig/"), func(t *testing.T) {
			t.Parallel()
			s := startHarbor(t, nil, "mig")
			r := dialHarbor(t, s, asAdmin())
			mustPush(t, r, f)
			back := harborReader(t, s, "mig")
			back.check(t, f.Image)
			again := f.rename(strings.TrimSuffix(f.Source.Repository, ":1") + "-again:1")
			mustPush(t, r, again)
			back.check(t, again.Image)
			for _, i := range []*fixture{f, again} {
				if err := r.Verify(t.Context(), i.Image); err != nil {
					t.Error(err)
				}
				if o, err := i.pushTo(t.Context(), t, dialHarbor(t, s, asAdmin())); o.Status != report.Skipped {
					t.Errorf("pushed again: %+v: %v", o, err)
				}
			}
		})
	}
}

// Schema 1 by its tag, to a registry that still takes it so.
func TestSchema1ByTag(t *testing.T) {
	host := startDebian(t)
	f := schema1("old/app:1", "one", "two")
	r := dial(t, host, nil)
	mustPush(t, r, f)
	reader{base: "http://" + host}.check(t, f.Image)
	if err := r.Verify(t.Context(), f.Image); err != nil {
		t.Error(err)
	}
}

// The tag of a schema 1 image that is there already, and whose answer was lost.
func TestSchema1TagIsThere(t *testing.T) {
	s := startHarbor(t, nil, "mig")
	f := schema1("mig/old:1", "one")
	r := dialHarbor(t, s, asAdmin())
	mustPush(t, r, f)
	if _, err := f.pushTo(t.Context(), t, r); err != nil { // whose list of tags is from before
		t.Error(err)
	}
	other := schema1("mig/old:1", "two")
	if o, err := other.pushTo(t.Context(), t, dialHarbor(t, s, asAdmin())); err == nil || !strings.Contains(o.Error, "409") {
		t.Errorf("a tag of another image: %+v", o)
	}
}

func TestVerify(t *testing.T) {
	s := startHarbor(t, nil, "mig")
	r := dialHarbor(t, s, asAdmin())
	one, two := image("mig/app:1", "one"), image("mig/app:1", "two")
	var got []string
	say := func(err error) { got = append(got, fmt.Sprint(err)) }
	say(r.Verify(t.Context(), one.Image))
	mustPush(t, r, one)
	say(r.Verify(t.Context(), one.Image))
	say(r.Verify(t.Context(), two.Image))
	want := []string{
		"verifying mig/app:1: not found in the target", "<nil>",
		fmt.Sprintf("verifying mig/app:1: the target has %s, the source %s", one.Manifest.Digest, two.Manifest.Digest),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}

// Where there is no list of tags, each is asked for.
func TestNoTagList(t *testing.T) {
	for _, code := range []int{401, 403, 405} {
		h := newDistribution(t)
		f, _ := failFirst(99, "/tags/list", status(code, ""))
		h.answer = f
		s := serve(t, h)
		one := image("app:1", "layer")
		mustPush(t, dial(t, hostOf(s), nil), one)
		if o, err := one.pushTo(t.Context(), t, dial(t, hostOf(s), nil)); o.Status != report.Skipped {
			t.Errorf("%d: outcome %+v: %v", code, o, err)
		}
		if n := h.count("HEAD /v2/app/manifests/1"); n != 2 {
			t.Errorf("%d: %d requests for the tag, want 2", code, n)
		}
	}
}

// Pages of tags, and a registry that does not say a manifest's digest.
func TestTagPages(t *testing.T) {
	h := newDistribution(t)
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if strings.HasSuffix(q.URL.Path, "/tags/list") && q.URL.Query().Get("n") == "" {
			q.URL.RawQuery = "n=2"
		}
		h.ServeHTTP(&silent{w, strings.Contains(q.URL.Path, "/manifests/")}, q)
	}))
	r := dial(t, hostOf(s), nil)
	one := image("app:1", "layer")
	for n := range 7 {
		mustPush(t, r, one.rename(fmt.Sprintf("app:%d", n)))
	}
	h.mu.Lock()
	h.requests = nil
	h.mu.Unlock()
	r = dial(t, hostOf(s), nil)
	for n := range 7 {
		if o, err := one.rename(fmt.Sprintf("app:%d", n)).pushTo(t.Context(), t, r); o.Status != report.Skipped {
			t.Errorf("tag %d: %+v: %v", n, o, err)
		}
	}
	if n := h.count("GET /v2/app/tags/list"); n != 4 {
		t.Errorf("%d pages, want 4", n)
	}
	if _, err := r.Has(t.Context(), one.rename("app:new").Image); err != nil || h.count("HEAD /v2/app/manifests/new") > 0 {
		t.Errorf("a new tag was asked for: %v", err)
	}
}

// silent leaves a header out.
type silent struct {
	http.ResponseWriter
	on bool
}

func (s *silent) WriteHeader(code int) {
	if s.on {
		s.Header().Del("Docker-Content-Digest")
	}
	s.ResponseWriter.WriteHeader(code)
}
