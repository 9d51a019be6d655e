package push_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/seed-5b48bd9d/drydock/pkg/dirlayout"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/plan/plantest"
	"github.com/seed-5b48bd9d/drydock/pkg/push"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// A tree is a registry's storage, planned and converted.
type tree struct {
	plan    *plan.Plan
	layouts *dirlayout.Layouts
}

// convert makes layouts of every image of a tree, tagged or not.
func convert(t testing.TB, name string, to *plan.Target) *tree {
	t.Helper()
	loaded := plantest.Load(t, "../../testdata/"+name, nil, plan.Rules{Untagged: true, Target: to})
	p := loaded.Plan
	l, err := dirlayout.Open(t.TempDir(), loaded.Source, &dirlayout.Options{Path: loaded.Index.Path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	for _, i := range p.Images {
		if _, err := l.Write(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	if len(p.Images) < 30 || len(p.LeftOut) > 0 {
		t.Fatalf("%d images of %s, and %d left out", len(p.Images), name, len(p.LeftOut))
	}
	return &tree{p, l}
}

// push pushes every image, depth by depth, and gives the outcomes by status.
func (tr *tree) push(t testing.TB, r *push.Registry, jobs int, want report.Status) (blobs, mounts int) {
	t.Helper()
	r.Expect(tr.plan.Images)
	var mu sync.Mutex
	for depth := 0; depth < 5; depth++ {
		var g errgroup.Group
		g.SetLimit(jobs)
		for _, i := range tr.plan.Images {
			if i.Depth != depth {
				continue
			}
			g.Go(func() error {
				o, err := pushLayout(t.Context(), t, r, tr.layouts.Path(i), i)
				mu.Lock()
				defer mu.Unlock()
				if o.Status != want {
					t.Errorf("pushing %s: %s, want %s: %v", i.Source, o.Status, want, err)
				}
				blobs, mounts = blobs+o.Uploaded, mounts+o.Mounted
				return nil
			})
		}
		g.Wait()
	}
	return blobs, mounts
}

// pushRefused pushes the images of some repositories, which the registry of
// distribution 3 refuses: docker's first schema, and an index whose children are
// layers. They are taken out of the plan.
func (tr *tree) pushRefused(t testing.TB, r *push.Registry, repositories ...string) {
	t.Helper()
	tr.plan.Images = slices.DeleteFunc(tr.plan.Images, func(i plan.Image) bool {
		if !slices.Contains(repositories, i.Source.Repository) {
			return false
		}
		if o, err := pushLayout(t.Context(), t, r, tr.layouts.Path(i), i); o.Status != report.Failed {
			t.Errorf("pushing %s: %s, want failed: %v", i.Source, o.Status, err)
		}
		return true
	})
}

var trees = []string{"distribution-2.8", "distribution-3"}

func TestPushTreeToHarbor(t *testing.T) {
	for _, name := range trees {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := convert(t, name, &plan.Target{Prefix: "mig/old", Harbor: true})
			s := startHarbor(t, nil, "mig")
			r := dialHarbor(t, s, asAdmin())
			tr.pushRefused(t, r, "team/cache")
			tr.push(t, r, 4, report.Done)
			back := harborReader(t, s, "mig")
			for _, i := range tr.plan.Images {
				back.check(t, i)
				if err := r.Verify(t.Context(), i); err != nil {
					t.Error(err)
				}
				checkReferrer(t, back, i)
			}
			i := tr.plan.Images[0]
			got, ok := skopeoDigest(t, s.Host()+"/"+i.Target.String(), "--creds", "admin:Harbor12345")
			if ok && got != i.Manifest.Digest {
				t.Errorf("skopeo reads %s, want %s", got, i.Manifest.Digest)
			}
			s.ResetRequests()
			tr.push(t, dialHarbor(t, s, asAdmin()), 4, report.Skipped)
			for _, q := range s.Requests() {
				if q.Bytes > 0 || (q.Method != http.MethodGet && q.Method != http.MethodHead) {
					t.Errorf("a second run sent %s %s with %d bytes", q.Method, q.Path, q.Bytes)
				}
			}
		})
	}
}

// checkReferrer asks for an image below its subject.
func checkReferrer(t *testing.T, c reader, i plan.Image) {
	t.Helper()
	if i.Subject == "" || i.Target.Tag != "" { // a tag may name its subject, and the manifest not
		return
	}
	resp, body := c.get(t, "/v2/"+i.Target.Repository+"/referrers/"+i.Subject.String())
	m, err := storage.ParseManifest(body, i.Subject, resp.Header.Get("Content-Type"))
	if err != nil {
		t.Errorf("referrers of %s: %s: %v", i.Subject, resp.Status, err)
		return
	}
	for _, d := range m.Manifests {
		if d.Digest == i.Manifest.Digest {
			return
		}
	}
	t.Errorf("%s is not among the referrers of %s", i.Target, i.Subject)
}

func TestPushTreeToDistribution(t *testing.T) {
	for _, name := range trees {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := convert(t, name, &plan.Target{})
			s := serve(t, newDistribution(t))
			r := dial(t, hostOf(s), nil)
			tr.pushRefused(t, r, "legacy/schema1", "team/cache")
			tr.push(t, r, 4, report.Done)
			for _, i := range tr.plan.Images {
				reader{base: s.URL}.check(t, i)
			}
			blobs, mounts := tr.push(t, dial(t, hostOf(s), nil), 4, report.Skipped)
			if diff := cmp.Diff([2]int{}, [2]int{blobs, mounts}); diff != "" {
				t.Errorf("blobs and mounts of the second run (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPushTreeToDebian(t *testing.T) {
	for _, name := range trees {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := startDebian(t)
			tr := convert(t, name, &plan.Target{})
			r := dial(t, host, nil)
			tr.push(t, r, 4, report.Done)
			back := reader{base: "http://" + host}
			for _, i := range tr.plan.Images {
				back.check(t, i)
			}
			blobs, mounts := tr.push(t, dial(t, host, nil), 4, report.Skipped)
			if diff := cmp.Diff([2]int{}, [2]int{blobs, mounts}); diff != "" {
				t.Errorf("blobs and mounts of the second run (-want +got):\n%s", diff)
			}
			i := tr.plan.Images[0]
			if got, ok := skopeoDigest(t, host+"/"+i.Target.String()); ok && got != i.Manifest.Digest {
				t.Errorf("skopeo reads %s, want %s", got, i.Manifest.Digest)
			}
		})
	}
}
