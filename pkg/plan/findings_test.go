package plan_test

import (
	"strings"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

// ofTags are the findings about tags.
func ofTags(findings []string) []string {
	var of []string
	for _, f := range findings {
		if strings.Contains(strings.Fields(f)[2], ":") {
			of = append(of, f)
		}
	}
	return of
}

func TestFindings(t *testing.T) {
	tr := parse(t, `
image ok amd64 base
image bad amd64 l-bad
image lost amd64 l-lost
image dark amd64 l-dark
index pair ok bad
tag app ok ok
tag app bad bad
tag app pair pair
tag web bad bad
push app lost
push app dark
blob orphan
remove blob:l-bad
remove blob:l-lost
corrupt blob:dark
mkdir "repositories/app/_manifests/tags/.odd"
`)
	const (
		dark   = "skip manifest-damaged app@<dark>"
		lost   = "skip blob-missing app@<l-lost>"
		odd    = "skip tag-name app"
		orphan = "note blob-unreferenced @<orphan>"
	)
	for _, tt := range []struct {
		name     string
		rules    plan.Rules
		has, not []string
	}{
		{"of what is chosen", plan.Rules{Include: []string{"app:ok"}}, []string{odd, dark}, []string{lost, "skip blob-missing app:bad@<l-bad>"}},
		{"of left out images", plan.Rules{Include: []string{"app:bad"}}, []string{"skip blob-missing app:bad@<l-bad>"}, []string{"skip blob-missing app:pair@<l-bad>"}},
		{"of all", plan.Rules{}, []string{dark, odd, "skip blob-missing app:pair@<l-bad>"}, []string{lost}},
		{"a damaged manifest may refer to one", plan.Rules{Include: []string{"app:ok"}, NoReferrers: true}, []string{odd}, []string{dark}},
		{"of untagged images", plan.Rules{Untagged: true}, []string{dark, lost, odd}, nil},
		{"untagged, without referrers", plan.Rules{Untagged: true, NoReferrers: true}, []string{dark, lost, odd}, nil},
		{"excluded", plan.Rules{Untagged: true, Exclude: []string{"app"}}, nil, []string{dark, lost, odd}},
		{"excluded by digest", plan.Rules{Untagged: true, Exclude: []string{"app@**"}}, []string{odd}, []string{dark, lost}},
		{"another repository", plan.Rules{Include: []string{"web"}}, nil, []string{dark, lost, odd}},
		{"of the tree", plan.Rules{Include: []string{"web"}}, []string{orphan}, nil},
		{"trimmed", plan.Rules{Incomplete: plan.TrimIncomplete}, []string{"note index-trimmed app:pair@<pair>"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := "\n" + strings.Join(tr.findings(tr.plan(t, tt.rules)), "\n") + "\n"
			for _, want := range tt.has {
				if !strings.Contains(got, "\n"+want+"\n") {
					t.Errorf("%q is missing in%s", want, got)
				}
			}
			for _, unwanted := range tt.not {
				if strings.Contains(got, "\n"+unwanted+"\n") {
					t.Errorf("%q is in%s", unwanted, got)
				}
			}
		})
	}
}

// TestHiddenBelow has a directory that cannot be looked into, and patterns that
// may or may not mean what is in it.
func TestHiddenBelow(t *testing.T) {
	tr := parse(t, "image ok amd64 base\ntag team/app v1 ok\ntag other v1 ok\n",
		func(b *storagetest.Builder) { b.Symlink("repositories/team/lib", "lib") })
	for _, tt := range []struct {
		rules plan.Rules
		want  bool
	}{
		{plan.Rules{}, true},
		{plan.Rules{Include: []string{"other"}}, true}, // storage does not say of which repository it is
	} {
		p := tr.plan(t, tt.rules)
		if p.Whole() == tt.want {
			t.Errorf("%+v: whole is %v, findings %v", tt.rules, p.Whole(), tr.findings(p))
		}
	}
}
