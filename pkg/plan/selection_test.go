package plan_test

import (
	"errors"
	"testing"
	"time"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

const plain = `
image one amd64 base l1
image two amd64 base l2
image three amd64 base l3
image lost amd64 base l4
tag library/app v1.0 one
tag library/app v1.1 two
tag library/app latest three
tag library/web v1.0 one
tag team/x/app v1.0 two
tag team v1.0 three
push team lost
`

func TestGlobs(t *testing.T) {
	tr := parse(t, plain)
	all := []string{"library/app:latest", "library/app:v1.0", "library/app:v1.1", "library/web:v1.0", "team:v1.0", "team/x/app:v1.0"}
	for _, tt := range []struct {
		include, exclude []string
		want             []string
	}{
		{nil, nil, all},
		{[]string{"**"}, nil, all},
		{[]string{"*"}, nil, []string{"team:v1.0"}},
		{[]string{"library/*"}, nil, all[:4]},
		{[]string{"library/**"}, nil, all[:4]},
		{[]string{"lib**"}, nil, all[:4]},
		{[]string{"**app"}, nil, []string{"library/app:latest", "library/app:v1.0", "library/app:v1.1", "team/x/app:v1.0"}},
		{[]string{"**/app"}, nil, []string{"library/app:latest", "library/app:v1.0", "library/app:v1.1", "team/x/app:v1.0"}},
		{[]string{"*/app"}, nil, all[:3]},
		{[]string{"team"}, nil, []string{"team:v1.0"}},
		{[]string{"team/**"}, nil, []string{"team/x/app:v1.0"}}, // below it, not itself
		{[]string{"team**"}, nil, []string{"team:v1.0", "team/x/app:v1.0"}},
		{[]string{"library/app:v1.*"}, nil, []string{"library/app:v1.0", "library/app:v1.1"}},
		{[]string{"library/*:v1.0"}, nil, []string{"library/app:v1.0", "library/web:v1.0"}},
		{[]string{"*:v1.0"}, nil, []string{"team:v1.0"}},
		{[]string{"**:v1.0"}, nil, []string{"library/app:v1.0", "library/web:v1.0", "team:v1.0", "team/x/app:v1.0"}},
		{[]string{"t**:v1.0"}, nil, []string{"team:v1.0", "team/x/app:v1.0"}},
		{[]string{"library/{app,web}:v1.[0-9]"}, nil, []string{"library/app:v1.0", "library/app:v1.1", "library/web:v1.0"}},
		{[]string{"team", "library/web:*"}, nil, []string{"library/web:v1.0", "team:v1.0"}},
		{nil, []string{"library/**"}, []string{"team:v1.0", "team/x/app:v1.0"}},
		{nil, []string{"**:latest", "team/**"}, []string{"library/app:v1.0", "library/app:v1.1", "library/web:v1.0", "team:v1.0"}},
		{[]string{"library/**"}, []string{"**:v1.?"}, []string{"library/app:latest"}},
		{[]string{"nothing"}, nil, nil},
	} {
		p := tr.plan(t, plan.Rules{Include: tt.include, Exclude: tt.exclude})
		t.Logf("include %q exclude %q", tt.include, tt.exclude)
		diff(t, tt.want, tr.sources(p))
	}
}

func TestUntagged(t *testing.T) {
	tr := parse(t, plain)
	p := tr.plan(t, plan.Rules{Include: []string{"team**"}, Untagged: true})
	diff(t, []string{"team/x/app:v1.0", "team:v1.0", "team@<lost>"}, sorted(tr.sources(p)))
	for _, i := range p.Images {
		if i.Updated.IsZero() {
			t.Errorf("%s has no time", i.Source)
		}
	}
	p = tr.plan(t, plan.Rules{Include: []string{"team@" + tr.Digest("lost").String()}, Untagged: true})
	diff(t, []string{"team@<lost>"}, tr.sources(p))
	p = tr.plan(t, plan.Rules{Include: []string{"team@sha256:*"}, Untagged: true})
	diff(t, []string{"team@<lost>"}, tr.sources(p))
	p = tr.plan(t, plan.Rules{Exclude: []string{"**@*", "library/**"}, Untagged: true})
	diff(t, []string{"team/x/app:v1.0", "team:v1.0"}, sorted(tr.sources(p)))
}

// named makes tags that are named after a manifest: "<one>.sig" for one of it.
func named(repository, subject, suffix, name string) func(b *storagetest.Builder) {
	return func(b *storagetest.Builder) {
		b.Tag(repository, "sha256-"+b.Digest(subject).Encoded()+suffix, name)
	}
}

func TestLatestAndSince(t *testing.T) {
	tr := parse(t, `
image one amd64 l1
image two amd64 l2
image three amd64 l3
artifact sig application/sig - s1
artifact old application/sig - s2
image gone amd64 l5
tag app b one
tag app a two
tag app c three
tag sigs b one
touch tag:app:a 2024-01-01T00:00:00Z
touch tag:app:b 2024-01-01T00:00:00Z
`,
		named("app", "one", ".sig", "sig"), named("app", "three", ".sig", "old"), named("sigs", "three", ".sig", "sig"),
		func(b *storagetest.Builder) { b.Tag("app", "hidden", "two"); b.Mkfifo("tag:app:hidden") },
	)
	day := func(hour int) time.Time { return time.Date(2024, 1, 1, hour, 0, 0, 0, time.UTC) }
	for _, tt := range []struct {
		name  string
		rules plan.Rules
		want  []string
	}{
		{"newest", plan.Rules{Latest: 1}, []string{"-app:hidden link-not-a-file", "app:c", "app:sha256-<three>.sig", "sigs:sha256-<three>.sig"}},
		{"a tie goes by name", plan.Rules{Latest: 2, Include: []string{"app"}}, []string{"-app:hidden link-not-a-file", "app:a", "app:c", "app:sha256-<three>.sig"}},
		{"referrers are not counted", plan.Rules{Latest: 3, Include: []string{"app"}}, []string{"-app:hidden link-not-a-file", "app:a", "app:b", "app:c", "app:sha256-<one>.sig", "app:sha256-<three>.sig"}},
		{"more than there are", plan.Rules{Latest: 9, Include: []string{"sigs"}}, []string{"sigs:b", "sigs:sha256-<three>.sig"}},
		{"since includes its time", plan.Rules{Since: day(0).Add(3 * time.Minute), Include: []string{"sigs"}}, []string{"sigs:b", "sigs:sha256-<three>.sig"}},
		{"since", plan.Rules{Since: day(0).Add(4 * time.Minute), Include: []string{"sigs"}}, []string{"sigs:sha256-<three>.sig"}},
		{"nobody knows how old", plan.Rules{Since: day(1)}, []string{"-app:hidden link-not-a-file"}},
		{"both", plan.Rules{Since: day(0).Add(time.Minute), Latest: 1, Include: []string{"app:?"}, NoReferrers: true}, []string{"app:c"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			diff(t, tt.want, sorted(tr.sources(tr.plan(t, tt.rules))))
		})
	}
}

func TestReferrers(t *testing.T) {
	tr := parse(t, `
image amd amd64 base
image arm arm64 base l2
index multi amd arm
image other amd64 l3
artifact sbom application/sbom multi s1
artifact sbom-sig application/sig sbom s2
artifact of-child application/sig arm s3
artifact of-other application/sig other s4
artifact cosign application/sig - s5
artifact cosign2 application/sig - s6
artifact att application/att - s7
artifact listed application/sig amd s8
index fallback listed
tag app v1 multi
tag app v2 other
push app sbom
push app sbom-sig
push app of-child
push app of-other
push away sbom
`,
		named("app", "multi", ".sig", "cosign"), named("app", "arm", ".att", "att"),
		named("app", "cosign", ".sig", "cosign2"), named("app", "sbom", ".sbom", "cosign2"),
		named("app", "amd", "", "fallback"),
	)
	v1 := []string{
		"app:v1",
		"app:sha256-<amd>", "app:sha256-<arm>.att", "app:sha256-<multi>.sig", "app@<of-child>", "app@<sbom>",
		"app:sha256-<cosign>.sig", "app:sha256-<sbom>.sbom", "app@<sbom-sig>",
	}
	for _, tt := range []struct {
		name  string
		rules plan.Rules
		want  []string
	}{
		{"go along unasked", plan.Rules{Include: []string{"app:v1"}}, v1},
		{"with the newest", plan.Rules{Latest: 1}, []string{"app:v2", "app@<of-other>"}},
		{"all of them", plan.Rules{}, append([]string{"app@<of-other>", "app:v2"}, v1...)},
		{"excluded", plan.Rules{Include: []string{"app:v1"}, Exclude: []string{"app:sha256-*.att", "app@" + tr.Digest("sbom").String(), "app:*.sig"}}, []string{
			"app:v1", "app:sha256-<amd>", "app@<of-child>",
		}},
		{"left out", plan.Rules{NoReferrers: true}, []string{"app:v1", "app:v2"}},
		{"left out, not their subject", plan.Rules{NoReferrers: true, Include: []string{"app:v2"}}, []string{"app:v2"}},
		{"of another repository", plan.Rules{Include: []string{"away"}, Untagged: true}, []string{"away@<sbom>"}},
		{"by digest", plan.Rules{Include: []string{"away", "app:v2"}, Untagged: true}, []string{"app:v2", "app@<of-other>", "away@<sbom>"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := tr.plan(t, tt.rules)
			diff(t, sorted(tt.want), sorted(tr.sources(p)))
		})
	}
	t.Run("depth", func(t *testing.T) {
		got := map[string]int{}
		for _, i := range tr.plan(t, plan.Rules{Include: []string{"app:v1"}}).Images {
			got[tr.short(i.Source.String())] = i.Depth
		}
		diff(t, map[string]int{
			"app:v1": 0, "app:sha256-<amd>": 1, "app:sha256-<arm>.att": 1, "app:sha256-<multi>.sig": 1, "app@<of-child>": 1, "app@<sbom>": 1,
			"app:sha256-<cosign>.sig": 2, "app:sha256-<sbom>.sbom": 2, "app@<sbom-sig>": 2,
		}, got)
	})
}

// TestRing has tags that are named after one another, and one after itself.
func TestRing(t *testing.T) {
	tr := parse(t, "image a amd64 l1\nimage b amd64 l2\nimage c amd64 l3\n",
		named("app", "a", ".sig", "b"), named("app", "b", ".sig", "a"), named("app", "c", "", "c"))
	diff(t, []string{"app:sha256-<a>.sig", "app:sha256-<b>.sig", "app:sha256-<c>"}, sorted(tr.sources(tr.plan(t, plan.Rules{}))))
	diff(t, []string{"app:sha256-<c>"}, sorted(tr.sources(tr.plan(t, plan.Rules{NoReferrers: true}))))
}

const damaged = `
image amd amd64 base
image arm arm64 base l-arm
image s390 s390x base l-s390
index multi amd arm
index nested multi s390
image ok amd64 base
image bad amd64 l-bad
image gone amd64 l-gone
image torn amd64 l-torn
index none arm
tag app nested nested
tag app ok ok
tag app bad bad
tag app gone gone
tag app empty ok
tag app torn torn
tag app none none
tag app was torn
tag app was ok
tag app unlinked amd
remove blob:l-arm
corrupt blob:bad
remove blob:gone
truncate blob:l-torn 3
write tag:app:empty
write tag:app:was
remove revision:app@amd
`

func TestIncomplete(t *testing.T) {
	tr := parse(t, damaged)
	left := []string{"-app:bad manifest-damaged", "-app:empty tag-link-empty", "-app:gone manifest-missing"}
	for _, tt := range []struct {
		name  string
		rules plan.Rules
		want  []string
	}{
		{"skip", plan.Rules{}, append([]string{
			"-app:nested blob-missing", "-app:none blob-missing", "-app:torn blob-truncated", "-app:unlinked revision-missing", "-app:was tag-link-empty", "app:ok", "app@<amd>", "app@<s390>"}, left...)},
		{"skip, parts excluded", plan.Rules{Include: []string{"app:nested"}, Exclude: []string{"app@" + tr.Digest("s390").String()}},
			[]string{"-app:nested blob-missing", "app@<amd>"}},
		{"trim", plan.Rules{Incomplete: plan.TrimIncomplete}, append([]string{
			"-app:none blob-missing", "-app:torn blob-truncated", "-app:unlinked revision-missing", "-app:was tag-link-empty", "app:nested", "app:ok"}, left...)},
		{"recover", plan.Rules{Recover: true}, []string{
			"-app:bad manifest-damaged", "-app:gone manifest-missing", "-app:nested blob-missing", "-app:none blob-missing", "-app:torn blob-truncated",
			"-app:was tag-link-empty", "app:empty", "app:ok", "app:unlinked", "app@<amd>", "app@<s390>"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := tr.plan(t, tt.rules)
			diff(t, sorted(tt.want), sorted(tr.sources(p)))
			if p.Whole() {
				t.Error("the plan is whole")
			}
		})
	}
	t.Run("fail", func(t *testing.T) {
		p, err := plan.New(tr.x, plan.Rules{Incomplete: plan.Fail})
		if !errors.Is(err, plan.ErrIncomplete) || p == nil || len(p.LeftOut) != 8 {
			t.Errorf("plan %v, error %v", p, err)
		}
		if _, err := plan.New(tr.x, plan.Rules{Incomplete: plan.Fail, Include: []string{"app:ok"}}); err != nil {
			t.Errorf("nothing incomplete was asked for: %v", err)
		}
	})
	t.Run("reasons", func(t *testing.T) {
		got := map[string]string{}
		for _, l := range tr.plan(t, plan.Rules{Include: []string{"app:nested", "app:empty"}}).LeftOut {
			got[l.Source.Tag] = tr.short(l.Reason)
			if !l.Incomplete() {
				t.Errorf("%s is not incomplete", l.Source)
			}
		}
		diff(t, map[string]string{
			"nested": "a blob that the image needs is not there: <l-arm>",
			"empty":  "a tag's link is an empty file: repositories/app/_manifests/tags/empty/current/link",
		}, got)
	})
}

func TestRecovered(t *testing.T) {
	tr := parse(t, damaged, func(b *storagetest.Builder) { b.Tag("app", "deleted", "ok"); b.Remove("tag:app:deleted") })
	p := tr.plan(t, plan.Rules{Recover: true, Include: []string{"app:{empty,ok,unlinked,deleted}"}})
	diff(t, []string{"app:deleted", "app:empty", "app:ok", "app:unlinked"}, tr.sources(p))
	for _, i := range p.Images {
		if want := i.Source.Tag != "ok"; i.Recovered != want {
			t.Errorf("%s: recovered is %v", i.Source, i.Recovered)
		}
		if i.Source.Digest == "" || i.Manifest.Digest != i.Source.Digest || i.Target.Digest != i.Source.Digest {
			t.Errorf("%s: digests differ", i.Source)
		}
	}
	diff(t, []string{
		"note tag-recovered app:deleted@<ok>", "note tag-recovered app:empty@<ok>", "note tag-recovered app:unlinked@<amd>",
	}, ofTags(tr.findings(p)))
}

func TestBadRules(t *testing.T) {
	for _, rules := range []plan.Rules{
		{Include: []string{""}},
		{Include: []string{"a[b"}},
		{Exclude: []string{"{a,b"}},
		{Incomplete: "maybe"},
		{Target: &plan.Target{Project: "Not A Project"}},
	} {
		if p, err := plan.New(parse(t, "").x, rules); err == nil || p != nil {
			t.Errorf("%+v is taken", rules)
		}
	}
}
