package push_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// heavy is an image of a config and one layer, of which no two parts are the same.
func heavy(name string, size int) *fixture {
	content := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(size), byte(size >> 8), byte(size >> 16)}).Read(content)
	f := newFixture(name)
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest}
	m.SchemaVersion = 2
	m.Config = f.blob(digest.Canonical, ocispec.MediaTypeImageConfig, `{"architecture":"amd64","os":"linux"}`)
	m.Layers = []ocispec.Descriptor{f.blob(digest.Canonical, ocispec.MediaTypeImageLayer, string(content))}
	return f.top(ocispec.MediaTypeImageManifest, marshal(m))
}

const large = 3 << 20

// uploads are the requests about uploads, "PUT 201", and the bytes that the server
// read of them.
func uploads(requests []harbortest.Request) (all []string, bytes int64) {
	for _, q := range requests {
		if !strings.Contains(q.Path, "/blobs/uploads/") {
			continue
		}
		how := fmt.Sprint(q.Status)
		if q.Status == 0 || q.Status >= 499 { // nobody got this answer
			how = "broken"
		}
		all = append(all, q.Method+" "+how)
		bytes += q.Bytes
	}
	return all, bytes
}

// An upload that breaks is gone on with where the registry keeps what it got, and
// begun again where it does not: Harbor today. Where nothing breaks, it is one
// request more than none.
func TestResume(t *testing.T) {
	for _, test := range []struct {
		name      string
		resumable bool
		size      int
		cuts      []int64
		want      []string // requests for the layer, after the config's
		again     bool     // something is sent twice
	}{
		{"nothing breaks", true, large, nil, []string{"POST 202", "PUT 201"}, false},
		{"PUT", true, large, []int64{2 << 20}, []string{"POST 202", "PUT broken", "GET 204", "PATCH 202", "PUT 201"}, false},
		{"PUT and PATCH", true, large, []int64{3 << 19, 1 << 20},
			[]string{"POST 202", "PUT broken", "GET 204", "PATCH broken", "GET 204", "PATCH 202", "PUT 201"}, false},
		{"too small", true, resumeFrom - 1, []int64{resumeFrom / 2}, []string{"POST 202", "PUT broken", "POST 202", "PUT 201"}, true},
		{"Harbor today", false, large, []int64{2 << 20}, []string{"POST 202", "PUT broken", "GET 404", "POST 202", "PUT 201"}, true},
		{"asked once", false, large, []int64{2 << 20, 3 << 19},
			[]string{"POST 202", "PUT broken", "GET 404", "POST 202", "PUT broken", "POST 202", "PUT 201"}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := newCutter(t, test.cuts...)
			s := startHarbor(t, &harbortest.Options{Dir: t.TempDir(), ExternalURL: "http://" + c.host()}, "mig")
			s.SetResumable(test.resumable)
			c.leadTo(s.Host())
			opts := asAdmin()
			opts.Jobs = 1
			r := dial(t, c.host(), opts)
			f := heavy("mig/app:1", test.size)
			s.ResetRequests()
			o, err := f.pushTo(t.Context(), t, r)
			whole := f.Blobs[0].Size + f.Blobs[1].Size
			if err != nil || o.Bytes != whole {
				t.Fatalf("outcome %+v: %v", o, err)
			}
			all, bytes := uploads(s.Requests())
			if diff := cmp.Diff(append([]string{"POST 202", "PUT 201"}, test.want...), all); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if bytes != whole != test.again {
				t.Errorf("%d bytes were sent of %d", bytes, whole)
			}
			harborReader(t, s, "mig").check(t, f.Image)
			if used, want := usage(t, s, "mig"), whole+f.Manifest.Size; used != want {
				t.Errorf("Harbor counts %d bytes, want %d", used, want)
			}
		})
	}
}

// resumeFrom is how many bytes must be sent before it is asked what became of them.
const resumeFrom = 1 << 20

// usage is what Harbor says that a project uses, in bytes.
func usage(t testing.TB, s *harbortest.Server, project string) int64 {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.URL()+"/api/v2.0/quotas?reference=project&page_size=100", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("admin", "Harbor12345")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var quotas []struct {
		Ref  struct{ Name string }
		Used struct{ Storage int64 }
	}
	if err := json.NewDecoder(resp.Body).Decode(&quotas); err != nil {
		t.Fatal(err)
	}
	for _, q := range quotas {
		if q.Ref.Name == project {
			return q.Used.Storage
		}
	}
	t.Fatalf("no quota of %s", project)
	return 0
}

// The registries that there are, behind a line that breaks twice.
func TestResumeForReal(t *testing.T) {
	for _, test := range []struct {
		name  string
		start func(t *testing.T) string
	}{
		{"distribution 3", func(t *testing.T) string { return hostOf(serve(t, newDistribution(t))) }},
		{"distribution 2.8", func(t *testing.T) string { return startDebian(t) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := newCutter(t, 3<<19, 1<<20)
			c.leadTo(test.start(t))
			r := dial(t, c.host(), nil)
			f := heavy("app:1", large)
			mustPush(t, r, f)
			reader{base: "http://" + c.server()}.check(t, f.Image)
			if err := r.VerifyBlobs(t.Context(), f.Image); err != nil {
				t.Error(err)
			}
			if left := c.next(); left != 0 {
				t.Errorf("the line did not break at %d", left)
			}
		})
	}
}

// A refusal that is about the blob, the account or the project is one, wherever it
// comes.
func TestResumeRefused(t *testing.T) {
	for name, code := range map[string]int{"PATCH": 413, "PUT": 403} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCutter(t, 2<<20)
			s := startHarbor(t, &harbortest.Options{Dir: t.TempDir(), ExternalURL: "http://" + c.host()}, "mig")
			s.SetResumable(true)
			c.leadTo(s.Host())
			opts := asAdmin()
			opts.Jobs = 1
			f := heavy("mig/app:1", large)
			s.Intercept(func(w http.ResponseWriter, q *http.Request) bool {
				if q.Method != name || q.ContentLength == large || !strings.Contains(q.URL.Path, "/uploads/") || q.ContentLength == f.Blobs[0].Size {
					return false
				}
				status(code, "")(w, q)
				return true
			})
			o, _ := f.pushTo(t.Context(), t, dial(t, c.host(), opts))
			all, _ := uploads(s.Requests())
			if want := fmt.Sprintf("%s %d", name, code); o.Status != report.Failed || all[len(all)-1] != want {
				t.Errorf("outcome %+v after %v, want %s at the end", o, all, want)
			}
		})
	}
}

// An upload that is elsewhere, where credentials do not go, begins again.
func TestResumeElsewhere(t *testing.T) {
	h := newDistribution(t)
	c := newCutter(t, 2<<20)
	c.leadTo(hostOf(serve(t, h)))
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		h.Handler.ServeHTTP(&relocated{w, func(l string) string { return "http://" + c.host() + l }}, q)
	}))
	f := heavy("app:1", large)
	mustPush(t, dial(t, hostOf(s), nil), f)
	reader{base: s.URL}.check(t, f.Image)
	if h.count("GET /v2/app/blobs/uploads/")+h.count("PATCH") > 0 || h.count("PUT /v2/app/blobs/uploads/") != 3 {
		t.Errorf("requests %v", h.requests)
	}
}
