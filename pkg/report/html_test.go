package report_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

var equateEmpty = cmpopts.EquateEmpty()

var (
	styleElement  = regexp.MustCompile(`(?s)<style>(.*?)</style>`)
	scriptElement = regexp.MustCompile(`(?s)<script>(.*?)</script>`)
	policyContent = regexp.MustCompile(`<meta http-equiv="Content-Security-Policy" content="([^"]*)">`)
	elements      = regexp.MustCompile(`<[^>]*>`)
	verdictText   = regexp.MustCompile(`(?s)<header class="(\w+)">.*?<h1>(.*?)</h1>(.*?)</header>`)
)

// withoutParts leaves style, script and their hashes out of an HTML report.
func withoutParts(text []byte) []byte {
	text = styleElement.ReplaceAll(text, []byte("<style>…</style>"))
	text = scriptElement.ReplaceAll(text, []byte("<script>…</script>"))
	return policyContent.ReplaceAll(text, []byte(`<meta http-equiv="Content-Security-Policy" content="…">`))
}

func TestHTMLStandsAlone(t *testing.T) {
	text := readRun(t, mixedRun(60))
	policy := policyContent.FindStringSubmatch(text)
	if policy == nil || strings.Index(text, policy[0]) > strings.Index(text, "<style>") {
		t.Fatal("there is no policy, or it comes late")
	}
	allowed := html.UnescapeString(policy[1])
	if !strings.HasPrefix(allowed, "default-src 'none'; ") || strings.Contains(allowed, "unsafe") {
		t.Errorf("the policy is %s", allowed)
	}
	for name, element := range map[string]*regexp.Regexp{"style-src": styleElement, "script-src": scriptElement} {
		found := element.FindAllStringSubmatch(text, -1)
		if len(found) != 1 {
			t.Fatalf("%s: %d elements", name, len(found))
		}
		sum := sha256.Sum256([]byte(found[0][1]))
		if want := name + " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "';"; !strings.Contains(allowed, want) {
			t.Errorf("%s is not in %s", want, allowed)
		}
	}
	for _, outside := range []string{"src=", "<link", "url(", "@import", "http:", "https:", "fetch(", "XMLHttpRequest", "style="} {
		if strings.Contains(text, outside) {
			t.Errorf("it has %s", outside)
		}
	}
	for _, link := range regexp.MustCompile(`href="#([^"]*)"`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(text, `id="`+link[1]+`"`) {
			t.Errorf("#%s leads nowhere", link[1])
		}
	}
}

// verdicts of runs, as they are read.
func TestHTMLVerdict(t *testing.T) {
	one, some, stray, trimmed := goodRun(1), mixedRun(160), goodRun(3), goodRun(3)
	stray.Findings = []report.Finding{report.Unreadable.New("permission denied")}
	trimmed.Images[1].Trimmed, trimmed.Images[2].Recovered = numbered(9), true
	trimmed.Summary.Unasked = 1
	large := report.ManifestLarge.New("5 MiB")
	trimmed.Findings = []report.Finding{large, large}
	runs := everyRun()
	failed := goodRun(2)
	failed.Summary.Error = "the target went away"
	verify, push, convert, dry, odd, carried := goodRun(2), goodRun(2), goodRun(2), goodRun(2), goodRun(2), goodRun(2)
	verify.Verb, push.Verb, convert.Verb, odd.Verb, carried.Verb = "verify", "push", "convert", "frobnicate", "frobnicate"
	odd.Outcomes, dry.Outcomes = nil, nil
	different := goodRun(2)
	different.Verb = "verify"
	different.Outcomes[0].Status, different.Outcomes[0].Error, different.Summary.Failed = report.Failed, "the target has sha256:0 instead", 1
	list := runs["check"]
	list.Verb, list.Findings = "list", nil
	list.Images = goodRun(43).Images
	unknown := goodRun(2)
	unknown.Outcomes[1].Status = "perhaps"
	orphan := goodRun(1)
	orphan.Outcomes = append(orphan.Outcomes, report.Outcome{Source: "x:extra", Target: "h/x:extra", Status: report.Failed, Error: "not in the source"})
	full := report.HarborQuota.New("5 GiB are left")
	full.Repository = "old"
	forced, stopped := goodRun(2), goodRun(2)
	forced.Findings, stopped.Findings, stopped.Outcomes = []report.Finding{full}, []report.Finding{full}, nil
	for name, test := range map[string]struct {
		run      report.Run
		tone     string
		headline string
		says     []string
		not      []string
	}{
		"good": {goodRun(1234), "good", "All 1,234 images are in the target.", []string{
			"To carry 1,234 images from /srv/registry to harbor.example.com/old. Chosen and mapped by: --include=** --rewrite=legacy=archive",
			"1,234 images: 1,110 carried, 124 there already.", "Nothing of what was asked for.", "it has the digests given here",
		}, []string{"Keep the source", "Worth knowing"}},
		"one":     {one, "good", "The one image is in the target.", []string{"To carry 1 image from"}, nil},
		"push":    {push, "good", "All 2 images are in the target.", []string{"drydock verify asks for them once more"}, []string{"At the end the target was asked"}},
		"verify":  {verify, "good", "All 2 images are the same in the target.", []string{"The target was asked for every tag"}, nil},
		"differs": {different, "bad", "1 of 2 images is not the same in the target.", []string{"1 missing or different", "Keep the source"}, nil},
		"convert": {convert, "good", "All 2 images are there as layouts.", []string{"no registry was sent anything"}, []string{"in the target"}},
		"mixed": {some, "bad", "8 of 160 images are not whole in the target.", []string{
			"152 images: 140 carried, 12 there already.", "8 images: 4 failed, 4 left out. 1 further finding of what was passed over",
			"Keep the source", "4 images were trimmed, as asked", "12 manifests without a tag were not asked for", "A repository has no tags. 1 finding.",
		}, []string{"nothing of it would be lost"}},
		"stray":       {stray, "bad", "All 3 images that were found are in the target, but the source may hold more.", []string{"1 further finding"}, []string{"nothing of it would be lost"}},
		"as asked":    {trimmed, "good", "All 3 images are in the target.", []string{"1 image was trimmed", "1 image was recovered", "1 manifest without a tag was", "over 4 MiB; Harbor refuses it. 2 findings."}, nil},
		"empty":       {runs["empty"], "bad", "There is no image in this report.", []string{"connection refused", "Nothing can be signed off"}, []string{"Keep the source"}},
		"ended":       {runs["ended"], "bad", "41 of 60 images are not whole in the target.", []string{"interrupted.", "41 images: 1 failed, 2 left out, 38 not reached."}, nil},
		"ended late":  {failed, "bad", "All 2 images are in the target, but the run ended before its time.", []string{"the target went away"}, []string{"nothing of it would be lost"}},
		"plan":        {runs["plan"], "bad", "2 of 60 images are not to be carried.", []string{"To plan the way of 60 images"}, nil},
		"dry run":     {dry, "open", "All 2 images are planned; nothing has been carried yet.", []string{"To carry 2 images", "A plan proves nothing"}, []string{"nothing of it would be lost"}},
		"check":       {runs["check"], "bad", "2 of 60 images are not whole.", []string{"2 not whole", "cannot be pulled"}, []string{"target"}},
		"list":        {list, "good", "All 43 images are well.", []string{"This is a list"}, []string{"target"}},
		"other":       {odd, "good", "All 2 images are well.", []string{"To read 2 images"}, []string{"in the target"}},
		"other moves": {carried, "good", "All 2 images are carried.", nil, []string{"was asked for every tag", "nothing of it would be lost"}},
		"unknown":     {unknown, "bad", "1 of 2 images is not whole in the target.", []string{"1 failed"}, nil},
		"forced":      {forced, "good", "All 2 images are in the target.", []string{"quota leaves room for. 1 finding."}, []string{"stands against"}},
		"stopped":     {stopped, "bad", "All 2 images are planned, but the target is not ready for them.", []string{"1 finding stands against it in the target.", "Mend first"}, []string{"hold more"}},
		"orphan":      {orphan, "bad", "1 of 2 images is not whole in the target.", nil, nil},
	} {
		found := verdictText.FindStringSubmatch(readRun(t, test.run))
		if found == nil {
			t.Fatalf("%s: there is no verdict", name)
		}
		if tone, headline := found[1], html.UnescapeString(found[2]); tone != test.tone || headline != test.headline {
			t.Errorf("%s: %s: %q, and not %s: %q", name, tone, headline, test.tone, test.headline)
		}
		text := html.UnescapeString(strings.Join(strings.Fields(elements.ReplaceAllString(found[3], " ")), " "))
		for _, words := range test.says {
			if !strings.Contains(text, words) {
				t.Errorf("%s: %q is not in %s", name, words, text)
			}
		}
		for _, words := range test.not {
			if strings.Contains(text, words) {
				t.Errorf("%s: %q is in %s", name, words, text)
			}
		}
	}
}

// TestHTMLTellsAll looks for everything that a run said.
func TestHTMLTellsAll(t *testing.T) {
	for name, run := range everyRun() {
		if name == "hostile" {
			continue // its words are written in another way
		}
		orphan := report.Outcome{Source: "nobody/knows:it", Target: "h/nobody/knows:it", Digest: numbered(-99), Status: report.Failed, Error: "it is lonely"}
		run.Outcomes = append(run.Outcomes, orphan)
		run.Findings = append(run.Findings, report.Finding{Code: "brand-new", Level: report.Skip, Path: "some/where", Detail: "odd"})
		text := html.UnescapeString(readRun(t, run))
		want := append(run.Asked, run.Source, run.Target, run.Version, run.Summary.Error)
		for _, i := range run.Images {
			want = append(want, "<b>"+i.Name()+"</b>", i.Digest, i.Trimmed, i.Subject, strings.Join(i.Platforms, ", "), i.Updated.Format("2006-01-02 15:04"))
		}
		for _, o := range run.Outcomes {
			want = append(want, "<b>"+o.Source+"</b>", o.Target, o.Error)
		}
		for _, f := range run.Findings {
			want = append(want, string(f.Code), f.Image(), f.Digest, f.Path, f.Detail, f.Code.Kind().Means[1:], f.Code.Kind().Advice[1:])
		}
		for _, words := range want {
			if !strings.Contains(text, words) {
				t.Errorf("%s: %q is not there", name, words)
			}
		}
	}
}

// TestHTMLSavings compares what is said of sharing with the numbers.
func TestHTMLSavings(t *testing.T) {
	run := goodRun(4)
	for i := range run.Images {
		run.Images[i].Size = 100 << 20
	}
	run.Images[3].Size = 1<<63 - 1 // sums do not run over
	run.Images[3].Complete, run.Outcomes = false, run.Outcomes[:3]
	run.Summary = report.Summary{UniqueBytes: 120 << 20, UploadedBytes: 60 << 20, UploadedBlobs: 1234, MountedBlobs: 1, Seconds: 3723}
	text := html.UnescapeString(readRun(t, run))
	for _, words := range []string{
		"Sizes of the images, added up</th><td>300 MiB", "each counted once</th><td>120 MiB", "Sent in this run</th><td>60 MiB",
		`width="100%" rx="4"/></svg>`, `width="40%" rx="4"/></svg>`, `width="20%" rx="4"/></svg>`,
		"Images share 180 MiB (60 %) of their sizes", "240 MiB (80 %) did not have to be sent", "1 blob came from another repository",
		"1,234 blobs, 60 MiB", "1 h 2 min 3 s",
	} {
		if !strings.Contains(text, words) {
			t.Errorf("%q is not there", words)
		}
	}
	run.Summary.UniqueBytes = 0 // nobody counted
	if text := readRun(t, run); strings.Contains(text, "each counted once") || strings.Contains(text, "Images share") {
		t.Error("it tells of what nobody counted")
	}
}

// TestPlaced tells of blobs that went into the target's storage as files.
func TestPlaced(t *testing.T) {
	run := goodRun(1)
	run.Images[0].Size = 100 << 20
	run.Outcomes[0].Uploaded, run.Outcomes[0].Bytes = 0, 0
	run.Outcomes[0].Placed, run.Outcomes[0].PlacedBytes = 7, 90<<20
	run.Summary = report.Summary{Images: 1}
	run.Summary.Add(run.Outcomes[0])
	if s := run.Summary; s.PlacedBlobs != 7 || s.PlacedBytes != 90<<20 || s.UploadedBytes != 0 {
		t.Errorf("%+v", s)
	}
	text := html.UnescapeString(readRun(t, run))
	for _, words := range []string{"Put into the target's storage", "7 blobs, 90 MiB", "or they were put into its storage as files"} {
		if !strings.Contains(text, words) {
			t.Errorf("%q is not there", words)
		}
	}
	var out bytes.Buffer
	if err := report.NewText(report.TextOptions{Out: &out, Err: &out}).Outcome(run.Outcomes[0]); err != nil || !strings.Contains(out.String(), "(7 placed, 90 MiB") {
		t.Errorf("%q, %v", out.String(), err)
	}
	out.Reset()
	if err := report.NewJSON(&out).Outcome(run.Outcomes[0]); err != nil || !strings.Contains(out.String(), `"placed":7,"placedBytes":94371840`) {
		t.Errorf("%q, %v", out.String(), err)
	}
}

func TestHTMLErrorsInCommonAreToldOnce(t *testing.T) {
	run := goodRun(6)
	for i, words := range []string{"the project is full", "alone", "the project is full", "", "the project is full"} {
		run.Outcomes[i].Status, run.Outcomes[i].Error = report.Failed, words
	}
	text := readRun(t, run)
	from, to := strings.Index(text, "Not whole, and why</h2>"), strings.Index(text, `<section id="all">`)
	if from < 0 || to < from {
		t.Fatal("there are no reasons")
	}
	reasons := text[from:to]
	for words, times := range map[string]int{"the project is full": 1, "alone": 1, "no reason was given": 1, run.Images[4].Name(): 1, `<span class="n">3</span>`: 1, `<span class="n">2</span>`: 1} {
		if got := strings.Count(reasons, words); got != times {
			t.Errorf("%q is there %d times", words, got)
		}
	}
}
