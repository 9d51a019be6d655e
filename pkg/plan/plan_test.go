package plan_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

// tree is a scanned tree whose digests have names.
type tree struct {
	*storagetest.Builder
	x *storage.Index
}

// parse makes a tree of lines, and of calls whose names hold digests.
func parse(t testing.TB, text string, more ...func(b *storagetest.Builder)) tree {
	t.Helper()
	b, err := storagetest.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, add := range more {
		add(b)
	}
	return tree{b, scan(t, b.Dir(t))}
}

func scan(t testing.TB, dir string) *storage.Index {
	t.Helper()
	src, err := source.Open(context.Background(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	x, err := storage.Scan(context.Background(), src, &storage.ScanOptions{KeepIndexes: true, Thorough: true})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func (tr tree) plan(t testing.TB, rules plan.Rules) *plan.Plan {
	t.Helper()
	p, err := plan.New(tr.x, rules)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sources lists a plan's images in their order, what is left out after a "-".
func (tr tree) sources(p *plan.Plan) []string {
	var all []string
	for _, i := range p.Images {
		all = append(all, tr.short(i.Source.String()))
	}
	for _, l := range p.LeftOut {
		all = append(all, "-"+tr.short(l.Source.String())+" "+string(l.Code))
	}
	return all
}

// findings lists a plan's findings as "level code repository:tag@digest".
func (tr tree) findings(p *plan.Plan) []string {
	var all []string
	for _, f := range p.Findings {
		s := fmt.Sprintf("%s %s %s", f.Level, f.Code, f.Repository)
		if f.Tag != "" {
			s += ":" + f.Tag
		}
		if f.Digest != "" {
			s += "@" + f.Digest
		}
		all = append(all, tr.short(s))
	}
	return all
}

func (tr tree) short(s string) string { return strings.ReplaceAll(tr.Symbolic(s), "sha256:<", "<") }

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

func diff(t *testing.T, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// genuine are the trees that real registries made.
func genuine(t testing.TB) map[string]*storage.Index {
	t.Helper()
	dirs, err := filepath.Glob("../../testdata/distribution-*/docker")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no trees: %v", err)
	}
	all := map[string]*storage.Index{}
	for _, dir := range dirs {
		all[filepath.Base(filepath.Dir(dir))] = scan(t, dir)
	}
	return all
}

func TestOrderAndDeterminism(t *testing.T) {
	for name, x := range genuine(t) {
		t.Run(name, func(t *testing.T) {
			rules := plan.Rules{Untagged: true, Target: &plan.Target{Project: "library", Harbor: true}}
			first, err := plan.New(x, rules)
			if err != nil {
				t.Fatal(err)
			}
			for range 5 {
				again, err := plan.New(x, rules)
				if err != nil {
					t.Fatal(err)
				}
				diff(t, first, again)
			}
			carried := map[string]bool{}
			for n, i := range first.Images {
				if n > 0 {
					before := first.Images[n-1]
					if before.Depth > i.Depth || before.Depth == i.Depth && before.Source.Compare(i.Source) >= 0 {
						t.Errorf("%s comes before %s", before.Source, i.Source)
					}
				}
				if i.Subject != "" && i.Depth > 0 && !carried[i.Source.Repository+i.Subject.String()] {
					t.Errorf("%s comes before its subject", i.Source)
				}
				for _, m := range i.Manifests {
					carried[i.Source.Repository+m.Digest.String()] = true
				}
			}
		})
	}
}

// TestNothingIsSilentlyGone holds each tag of the index against the plan, under
// many rules.
func TestNothingIsSilentlyGone(t *testing.T) {
	trees := genuine(t)
	trees["damaged"] = parse(t, damaged).x
	for name, x := range trees {
		for _, rules := range []plan.Rules{
			{},
			{Recover: true},
			{Untagged: true},
			{Incomplete: plan.TrimIncomplete},
			{Target: &plan.Target{Project: "library", Harbor: true}},
			{Target: &plan.Target{Harbor: true}},
			{Target: &plan.Target{Rewrites: []plan.Rewrite{{From: "team/app/web", To: "one"}, {From: "team/app/api", To: "one"}, {From: "a/b", To: "UP"}}}},
		} {
			t.Run(name, func(t *testing.T) {
				p, err := plan.New(x, rules)
				if err != nil {
					t.Fatal(err)
				}
				named := map[string]int{}
				for _, i := range p.Images {
					named[i.Source.String()]++
				}
				for _, l := range p.LeftOut {
					named[l.Source.String()]++
					if l.Reason == "" || l.Code == "" {
						t.Errorf("%s is left out without a reason", l.Source)
					}
				}
				for r := range x.Repositories() {
					for _, tag := range r.Tags {
						if n := named[r.Name+":"+tag.Name]; n != 1 {
							t.Errorf("%s:%s is in the plan %d times", r.Name, tag.Name, n)
						}
					}
				}
				for name, n := range named {
					if n != 1 {
						t.Errorf("%s is in the plan %d times", name, n)
					}
				}
				if p.Whole() != (len(p.LeftOut) == 0 && !strings.Contains(strings.Join(tree{x: x, Builder: storagetest.New()}.findings(p), "\n"), "skip ")) {
					t.Errorf("Whole is %v", p.Whole())
				}
			})
		}
	}
}

func TestServed(t *testing.T) {
	p, err := plan.New(genuine(t)["distribution-3"], plan.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.LeftOut) != 0 || !p.Whole() {
		t.Errorf("left out of a sound tree: %v", p.LeftOut)
	}
	at := slices.IndexFunc(p.Images, func(i plan.Image) bool { return i.Source.String() == "team/app/web:nested" })
	if at < 0 {
		t.Fatal("team/app/web:nested is not planned")
	}
	nested := p.Images[at]
	if last := nested.Manifests[len(nested.Manifests)-1]; last.Digest != nested.Manifest.Digest {
		t.Errorf("the last manifest is %s", last.Digest)
	}
	seen := map[string]bool{}
	for _, b := range nested.Blobs {
		if seen[b.Digest.String()] {
			t.Errorf("blob %s twice", b.Digest)
		}
		seen[b.Digest.String()] = true
	}
}

func TestReferenceNames(t *testing.T) {
	for _, tt := range []struct {
		ref  plan.Reference
		want string
	}{
		{plan.Reference{Repository: "a/b", Tag: "v1", Digest: "sha256:00"}, "a/b:v1"},
		{plan.Reference{Repository: "a/b", Digest: "sha256:00"}, "a/b@sha256:00"},
		{plan.Reference{Repository: "a/b"}, "a/b"},
	} {
		diff(t, tt.want, tt.ref.String())
	}
	i := plan.Image{
		Source:   plan.Reference{Repository: "a/b", Digest: "sha256:00"},
		Manifest: &ocispec.Descriptor{Digest: "sha256:11"}, // a cut index lies under its new digest
	}
	diff(t, "a/b@sha256:11", i.LayoutPath())
}
