package plan_test

import (
	"strings"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

func TestTargetRepository(t *testing.T) {
	rewrites := func(list ...string) (all []plan.Rewrite) {
		for _, s := range list {
			w, err := plan.ParseRewrite(s)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, w)
		}
		return all
	}
	for _, tt := range []struct {
		target       *plan.Target
		source, want string
	}{
		{&plan.Target{}, "app", "app"},
		{&plan.Target{Project: "library"}, "app", "library/app"},
		{&plan.Target{Project: "library"}, "team/app", "team/app"},
		{&plan.Target{Prefix: "old", Project: "library"}, "app", "old/app"},
		{&plan.Target{Prefix: "old/place"}, "team/app", "old/place/team/app"},
		{&plan.Target{Rewrites: rewrites("team=new")}, "team/app", "new/app"},
		{&plan.Target{Rewrites: rewrites("team=new")}, "team", "new"},
		{&plan.Target{Rewrites: rewrites("team=new")}, "teams/app", "teams/app"},
		{&plan.Target{Rewrites: rewrites("team=new")}, "a/team/app", "a/team/app"},
		{&plan.Target{Rewrites: rewrites("team/app=new")}, "team/app/web", "new/web"},
		{&plan.Target{Rewrites: rewrites("team/a=new")}, "team/app", "team/app"},
		{&plan.Target{Rewrites: rewrites("team=a", "team/app=b")}, "team/app", "a/app"}, // the first that fits
		{&plan.Target{Rewrites: rewrites("team/app=b", "team=a")}, "team/app", "b"},
		{&plan.Target{Rewrites: rewrites("a=b", "b=c")}, "a/app", "b/app"}, // and no other
		{&plan.Target{Rewrites: rewrites("=all")}, "team/app", "all/team/app"},
		{&plan.Target{Rewrites: rewrites("team=")}, "team/app", "app"},
		{&plan.Target{Project: "library", Rewrites: rewrites("team=")}, "team/app", "library/app"},
		{&plan.Target{Prefix: "old", Rewrites: rewrites("team=new")}, "team/app", "old/new/app"},
		{&plan.Target{Rewrites: rewrites("/team/=/new/")}, "team/app", "new/app"},
	} {
		if got := tt.target.Repository(tt.source); got != tt.want {
			t.Errorf("%+v: %s goes to %s, want %s", tt.target, tt.source, got, tt.want)
		}
	}
}

func TestParseRewriteRefuses(t *testing.T) {
	for _, s := range []string{"", "=", "/=/", "team", "a=b=c", "Team=team", "team=New", "a:v1=b", "a//b=c", "../x=y"} {
		w, err := plan.ParseRewrite(s)
		if err == nil || report.Advice(err) == "" {
			t.Errorf("%q is taken as %+v, error %v", s, w, err)
		}
	}
}

func TestTargetNames(t *testing.T) {
	long := func(n int) string { return "p/" + strings.Repeat("x", n-2) }
	for _, tt := range []struct {
		name   string
		target *plan.Target
		source string
		want   string // part of the reason; "" where it is carried
	}{
		{"one component", &plan.Target{Harbor: true}, "app", "in projects"},
		{"one component, no Harbor", &plan.Target{}, "app", ""},
		{"with a project", &plan.Target{Harbor: true, Project: "library"}, "app", ""},
		{"two underscores in the project", &plan.Target{Harbor: true}, "a__b/app", "no name for a Harbor project"},
		{"two dashes in the project", &plan.Target{Harbor: true}, "a--b/app", "no name for a Harbor project"},
		{"two dashes below it", &plan.Target{Harbor: true}, "ab/c--d__e", ""},
		{"other separators", &plan.Target{Harbor: true}, "a.b-c_d/app", ""},
		{"two dashes, no Harbor", &plan.Target{}, "a--b/app", ""},
		{"below the limit", &plan.Target{Harbor: true}, long(244), ""},
		{"at the limit", &plan.Target{Harbor: true}, long(245), ""},
		{"above the limit", &plan.Target{Harbor: true}, long(246), "246 characters; Harbor takes 245"},
		{"the prefix counts", &plan.Target{Harbor: true, Prefix: "old"}, long(242), "246 characters"},
		{"above, no Harbor", &plan.Target{}, long(250), ""},
		{"above every limit", &plan.Target{Prefix: "old/place"}, long(250), "a registry takes 255"},
		{"nothing left", &plan.Target{Rewrites: []plan.Rewrite{{From: "team", To: ""}}}, "team", "lower-case"},
		{"no name", &plan.Target{Rewrites: []plan.Rewrite{{From: "team", To: "Up"}}}, "team/app", "lower-case"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := parse(t, "image app amd64 base\n", func(b *storagetest.Builder) { b.Tag(tt.source, "v1", "app") })
			p := tr.plan(t, plan.Rules{Target: tt.target})
			if tt.want == "" {
				if len(p.Images) != 1 || !p.Whole() {
					t.Errorf("left out: %+v", p.LeftOut)
				}
				return
			}
			if len(p.LeftOut) != 1 || p.LeftOut[0].Code != report.TargetName || p.LeftOut[0].Incomplete() || !strings.Contains(p.LeftOut[0].Reason, tt.want) {
				t.Errorf("left out: %+v", p.LeftOut)
			}
			diff(t, []string{"skip target-name " + tt.source + ":v1@<app>"}, tr.findings(p))
		})
	}
}

func TestCollisions(t *testing.T) {
	tr := parse(t, `
image one amd64 l1
image two amd64 l2
tag a/app same one
tag b/app same one
tag a/app differ one
tag b/app differ two
tag a/app V1 one
tag b/app v1 two
tag c/app v1 two
`)
	p := tr.plan(t, plan.Rules{Target: &plan.Target{Rewrites: []plan.Rewrite{{From: "a", To: "x"}, {From: "b", To: "x"}}}})
	diff(t, []string{
		"a/app:V1", "a/app:same", "b/app:same", "b/app:v1", "c/app:v1",
		"-a/app:differ target-collision", "-b/app:differ target-collision",
	}, tr.sources(p))
	diff(t, []string{
		"skip target-collision a/app:differ@<one>", "skip target-collision b/app:differ@<two>", "note target-case-collision b/app:v1",
	}, tr.findings(p))
	for _, l := range p.LeftOut {
		diff(t, "x/app:differ would get 2 different images", l.Reason)
	}
	diff(t, []string{"c", "x"}, p.Projects())
	if size, blobs := p.Bytes(); blobs != 4 || size == 0 {
		t.Errorf("%d bytes in %d blobs", size, blobs)
	}
}

func TestParseDestination(t *testing.T) {
	for s, want := range map[string]plan.Destination{
		"harbor.example.com":                   {Host: "harbor.example.com"},
		"harbor.example.com/":                  {Host: "harbor.example.com"},
		"docker://harbor.example.com/old":      {Host: "harbor.example.com", Prefix: "old"},
		"https://Harbor.Example.com:443/a/b/":  {Host: "Harbor.Example.com:443", Prefix: "a/b"},
		"http://10.0.0.5:8080/old":             {Host: "10.0.0.5:8080", Prefix: "old", PlainHTTP: true},
		"localhost:5000":                       {Host: "localhost:5000"},
		"[::1]:5000/old":                       {Host: "[::1]:5000", Prefix: "old"},
		"http://[fe80::1]":                     {Host: "[fe80::1]", PlainHTTP: true},
		"registry":                             {Host: "registry"},
		"nexus.example.com:8443/repository/x":  {Host: "nexus.example.com:8443", Prefix: "repository/x"},
		"harbor.example.com/a__b/c--d/e.f_g-h": {Host: "harbor.example.com", Prefix: "a__b/c--d/e.f_g-h"},
	} {
		got, err := plan.ParseDestination(s)
		if err != nil {
			t.Errorf("%q: %v", s, err)
		}
		diff(t, want, got)
	}
	for _, s := range []string{
		"", "/", "//", "http://", "docker:///old", "user@harbor.example.com", "user:secret@harbor.example.com", "harbor.example.com/old@sha256:00",
		"harbor.example.com/old:v1", "harbor.example.com/Old", "harbor.example.com/a//b", "harbor.example.com/../x", "harbor.example.com/a/../../etc",
		"harbor.example.com:", "harbor.example.com:http", "harbor.example.com:0", "harbor.example.com:65536", "harbor.example.com:-1",
		"::1", "[::1", "::1]:5000", "[1.2.3.4]", "[nonsense]", "[::1]x", "[::1%25eth0]", "ftp://harbor.example.com", "HTTPS://harbor.example.com", "oci:dir",
		"harbor example.com", " harbor.example.com", "harbor.example.com\n", "harbor\x00.example.com", "harbor.example.com?x=y", "harbor.example.com#x",
		"-harbor.example.com", "harbor..example.com", ".", "a_b", "%41", "$(reboot)", "harbor.example.com/old?x", "harbor.example.com/ old",
	} {
		got, err := plan.ParseDestination(s)
		if err == nil || report.Advice(err) == "" {
			t.Errorf("%q is taken as %+v, error %v", s, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the password is shown: %v", s, err)
		}
	}
}
