package harbor_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

const settingsText = `
# teams first
- match: team-core
  public: true
  quota: -1
- match: "team-*"
  quota: 50GiB
  metadata:
    auto_scan: true
    prevent_vul: "false"
    severity: high
- {match: "open-?", public: true, quota: 1.5 TB}
- match: "[a-c]*"
  public: no-op-is-not-a-bool
`

func TestSettings(t *testing.T) {
	text, _, _ := strings.Cut(settingsText, "- match: \"[a-c]")
	s, err := harbor.ParseSettings(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for project, want := range map[string]harbor.Setting{
		"team-core": {Match: "team-core", Public: harbor.Yes, Quota: -1},
		"team-web": {Match: "team-*", Public: harbor.No, Quota: 50 << 30,
			Metadata: map[string]string{"auto_scan": "true", "prevent_vul": "false", "severity": "high"}},
		"open-a":  {Match: "open-?", Public: harbor.Yes, Quota: 1_500_000_000_000},
		"open-ab": {Public: harbor.No},
		"library": {Public: harbor.No},
	} {
		if diff := cmp.Diff(want, s.For(project), cmpopts.IgnoreUnexported(harbor.Setting{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", project, diff)
		}
	}
	if got := s.Unused([]string{"team-core", "open-b", "other"}); !slices.Equal(got, []string{"team-*"}) {
		t.Errorf("unused %v", got)
	}
	s.Public = true
	if s.For("library").Public != harbor.Yes || s.For("team-web").Public != harbor.Yes || s.For("team-core").Quota != -1 {
		t.Error("public by default is not applied where no rule says it")
	}
	none := (*harbor.Settings)(nil)
	if none.For("x").Public != harbor.No || none.Unused(nil) != nil {
		t.Error("no settings are not private")
	}
}

func TestSettingsRefused(t *testing.T) {
	for text, want := range map[string]string{
		settingsText:                                  "line 14: want true or false",
		"":                                            "it is empty",
		"# nothing\n":                                 "it is empty",
		"[]":                                          "line 1: want a list of rules",
		"match: x":                                    "line 1: want a list of rules",
		"- x":                                         "line 1: want a rule",
		"- match: x\n- quota: 5GB":                    "line 2: the rule has no match",
		"- match: x\n  pubic: true":                   `line 2: "pubic" is unknown; known are`,
		"- match: x\n  match: y":                      `line 2: "match" stands there twice`,
		"- match: x\n- match: x":                      `line 2: "x" is matched in line 1 already`,
		"- match:":                                    "line 1: want a project's name",
		"- match: [a]":                                "line 1: want a project's name",
		"- match: '[a'":                               "line 1: bad pattern",
		"- match: a/b":                                "line 1: bad pattern",
		"- match: x\n  public: 1":                     "line 2: want true or false",
		"- match: x\n  public: yes":                   "line 2: want true or false",
		"- match: x\n  quota: much":                   "line 2: bad quota",
		"- match: x\n  quota: -2":                     "line 2: bad quota",
		"- match: x\n  quota: -5GiB":                  "line 2: bad quota",
		"- match: x\n  quota: 1,5GiB":                 "line 2: bad quota",
		"- match: x\n  quota: [1]":                    "line 2: bad quota",
		"- match: x\n  quota: 0":                      "line 2: a quota of 0",
		"- match: x\n  quota: 1025TiB":                "line 2: a quota of",
		"- match: x\n  quota: 99999EiB":               "line 2: bad quota",
		"- match: x\n  metadata: x":                   "line 2: want names and values",
		"- match: x\n  metadata: {autoscan: t}":       `line 2: Harbor has no setting "autoscan"`,
		"- match: x\n  metadata: {public: true}":      "line 2: public stands beside metadata",
		"- match: x\n  metadata: {retention_id: 1}":   `Harbor has no setting "retention_id"`,
		"- match: x\n  metadata: {severity: bad}":     "line 2: bad value \"bad\" of severity: want none, low",
		"- match: x\n  metadata: {auto_scan: [true]}": "line 2: bad value",
		"- match: x\n---\n- match: y":                 "more than one document",
		"- match: x\n y: z":                           "yaml: line ",
		"- &a {match: x}\n- *a":                       "line 2: want a rule",
		"- <<: {match: x}":                            `line 1: "<<" is unknown`,
		"- ? [a]\n  : b":                              "want a name before the colon",
		"- match: x\n" + strings.Repeat("# long\n", 200_000): "it has more than 1.0 MiB",
	} {
		got, err := harbor.ParseSettings(strings.NewReader(text))
		if err == nil || report.Advice(err) == "" || !strings.Contains(err.Error(), "reading project settings: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q is taken as %+v, error %v, want %q", text, got, err, want)
		}
	}
	broken := errors.New("the disk is broken")
	if _, err := harbor.ParseSettings(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("a file that cannot be read: %v", err)
	}
}

// Whatever is taken says of each project what Harbor can take.
func FuzzParseSettings(f *testing.F) {
	text, _, _ := strings.Cut(settingsText, "- match: \"[a-c]")
	for _, seed := range []string{settingsText, text, "[]", "- match: x", "- &a {match: x}\n- *a", "- match: x\n  quota: 1e3GB", strings.Repeat("[", 100), "- {match: \"\\x00\"}", "- match: !!binary eA=="} {
		f.Add(seed, "team-web")
	}
	f.Fuzz(func(t *testing.T, text, project string) {
		s, err := harbor.ParseSettings(strings.NewReader(text))
		if err != nil {
			if report.Advice(err) == "" {
				t.Errorf("no hint: %v", err)
			}
			return
		}
		own := s.For(project)
		if own.Public == harbor.Unknown || own.Quota < -1 || own.Quota > 1<<50 {
			t.Errorf("%+v", own)
		}
		if n := len(s.Unused([]string{project})); n < len(s.Rules)-1 {
			t.Errorf("one project uses %d of %d rules", len(s.Rules)-n, len(s.Rules))
		}
	})
}
