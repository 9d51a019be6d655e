package plan_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

func TestProjectMap(t *testing.T) {
	const text = "\ufeff# from            to\r\n" +
		"\n" +
		"legacy  archive/legacy   # the rest of it\r\n" +
		"legacy/team-a\tteam-a\n" +
		"   /legacy/team-a/web/ = frontend/web\n" +
		"tools=\n" +
		"= old\n"
	rewrites, err := plan.ParseProjectMap(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	diff(t, []plan.Rewrite{
		{From: "legacy/team-a/web", To: "frontend/web"}, {From: "legacy/team-a", To: "team-a"},
		{From: "legacy", To: "archive/legacy"}, {From: "tools", To: ""}, {From: "", To: "old"},
	}, rewrites)
	target := plan.Target{Rewrites: rewrites}
	for source, want := range map[string]string{
		"legacy/team-a/web":     "frontend/web", // exactly, or
		"legacy/team-a/web/v2":  "frontend/web/v2",
		"legacy/team-a/webshop": "team-a/webshop",
		"legacy/team-a":         "team-a",
		"legacy/team-b/app":     "archive/legacy/team-b/app",
		"legacyteam":            "old/legacyteam",
		"tools/kubectl":         "kubectl",
	} {
		diff(t, want, target.Repository(source))
	}
}

func TestProjectMapRefuses(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for text, want := range map[string]string{
		"":                               "there is no mapping in it",
		"# nothing\n\n":                  "there is no mapping in it",
		"a b\nc\n":                       `line 2: want FROM and TO in "c"`,
		"a b c\n":                        `line 1: want FROM and TO in "a b c"`,
		"a,b\n":                          "line 1: want FROM and TO",
		"a b\n\n# c\na c\n":              `line 4: "a" is mapped in line 1 already`,
		"a b\na b\n":                     `line 2: "a" is mapped in line 1 already`,
		"/a/ = b\na = b\n":               `line 2: "a" is mapped in line 1 already`,
		"=\n":                            "line 1: bad rewrite",
		"a = b = c\n":                    "line 1: bad rewrite",
		"a x = c\n":                      "line 1: bad rewrite",
		"Team team\n":                    "line 1: bad rewrite",
		"team */x\n":                     "line 1: bad rewrite",
		"../a b\n":                       "line 1: bad rewrite",
		"a b\n\x00 c\n":                  "line 2: bad rewrite",
		"a b\n\xff\xfea\n":               "line 2: it is no text in UTF-8",
		"a b\n" + long + " c\n":          "line 2: longer than 4096 bytes",
		strings.Repeat("\n", 100_001):    "more than 100000 lines",
		"a \ufeffb\n":                    "line 1: bad rewrite",
		"a b\n\x1b]0;x\x07 \x1b[2Jc d\n": `line 2: want FROM and TO in "\x1b]0;x\a \x1b[2Jc d"`,
	} {
		got, err := plan.ParseProjectMap(strings.NewReader(text))
		if err == nil || report.Advice(err) == "" || !strings.Contains(err.Error(), "reading project map: "+want) {
			t.Errorf("%.40q is taken as %+v, error %v, want %q", text, got, err, want)
		}
	}
	broken := errors.New("the disk is broken")
	if _, err := plan.ParseProjectMap(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("a file that cannot be read: %v", err)
	}
}

func TestUnusedRewrites(t *testing.T) {
	rewrites := []plan.Rewrite{
		{From: "a/b", To: "x"}, {From: "a", To: "y"}, {From: "a/c", To: "z"}, {From: "b", To: "w"}, {From: "", To: "v"}, {From: "d", To: "u"},
	}
	unused := func(repositories ...string) []plan.Rewrite {
		return plan.UnusedRewrites(rewrites, slices.Values(repositories))
	}
	// a/c stands behind a, which is taken for all of it; so does d behind nothing at all.
	diff(t, []plan.Rewrite{rewrites[2], rewrites[5]}, unused("a/b", "a/b/c", "a/c/d", "b", "other", "d/e"))
	diff(t, []plan.Rewrite{rewrites[0], rewrites[2], rewrites[3], rewrites[5]}, unused("a", "ab/x"))
	diff(t, rewrites, unused())
	diff(t, []plan.Rewrite(nil), plan.UnusedRewrites(nil, slices.Values([]string{"a"})))
}

// However a map reads, it maps as its rewrites do one after the other, and says
// no more lines unused than were there.
func FuzzProjectMap(f *testing.F) {
	for _, seed := range []string{
		"legacy/a a\nlegacy = b # x\n", "= all\n", "tools=\n", "a b\na c\n", "\ufeffa b\r\n", "a\tb\nb\ta\n", "a/b/c d\na/b e\na f\n", "\xff", "a b c",
	} {
		f.Add(seed, "legacy/a/app")
	}
	f.Fuzz(func(t *testing.T, text, repository string) {
		rewrites, err := plan.ParseProjectMap(strings.NewReader(text))
		if err != nil {
			if report.Advice(err) == "" {
				t.Errorf("no hint: %v", err)
			}
			return
		}
		var lines []string
		for i, w := range rewrites {
			lines = append(lines, fmt.Sprintf("%s = %s", w.From, w.To))
			if i > 0 && len(rewrites[i-1].From) < len(w.From) {
				t.Errorf("%q comes after %q", w.From, rewrites[i-1].From)
			}
		}
		again, err := plan.ParseProjectMap(strings.NewReader(strings.Join(lines, "\n")))
		if err != nil || !slices.Equal(rewrites, again) {
			t.Errorf("read again: %+v, %v; want %+v", again, err, rewrites)
		}
		target := plan.Target{Rewrites: rewrites}
		unused := plan.UnusedRewrites(rewrites, slices.Values([]string{repository}))
		if moved := target.Repository(repository) != repository; moved && len(unused) != len(rewrites)-1 {
			t.Errorf("%q is mapped, and %d of %d are unused", repository, len(unused), len(rewrites))
		}
	})
}
