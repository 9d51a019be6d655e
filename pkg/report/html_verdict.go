package report

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"
)

// verdict is what stands first: what was asked, what is whole, what is not, and
// what that means.
type verdict struct {
	Tone     string // good, bad, or open where nothing was to be proven
	Headline string
	Answers  []fact
	Asked    []string // the flags that belong to the first answer
	Worth    []worth
}

// worth is something to know before signing, though no image is lost by it.
type worth struct{ Text, Anchor string }

func (t *tally) verdict() verdict {
	v := verdict{Tone: "bad", Headline: t.headline(), Worth: t.worth()}
	for _, flag := range t.run.Asked {
		v.Asked = append(v.Asked, printable(flag))
	}
	meaning := t.voice.bad
	if t.well() {
		v.Tone, meaning = "good", t.voice.good
		if t.count[planned] > 0 {
			v.Tone = "open"
		}
	}
	if t.obstacles > 0 && !t.moved {
		meaning += " Mend first what stands against it in the target."
	}
	if len(t.fates) == 0 {
		meaning = "Nothing can be signed off by this report."
	}
	for _, a := range []fact{
		{"What was asked", t.asked()},
		{"What is whole", t.whole()},
		{"What is not", t.lacking()},
		{"What that means", meaning},
	} {
		v.Answers = append(v.Answers, fact{a.Term, printable(strings.TrimSpace(a.Text))})
	}
	return v
}

func (t *tally) headline() string {
	n, bad, ended := len(t.fates), t.bad(), t.run.Summary.Error != ""
	all := fmt.Sprintf("All %s images", humanize.Comma(int64(n)))
	are := "are"
	if n == 1 {
		all, are = "The one image", "is"
	}
	switch {
	case n == 0:
		return "There is no image in this report."
	case bad > 0:
		are := "are"
		if bad == 1 {
			are = "is"
		}
		return fmt.Sprintf("%s of %s %s %s.", humanize.Comma(int64(bad)), number(n, "image", "images"), are, t.voice.ill)
	case ended && t.count[planned] > 0:
		return "Nothing has been carried: the run ended before its time."
	case ended:
		return fmt.Sprintf("%s %s %s, but the run ended before its time.", all, are, t.voice.well)
	case t.stray == 0 && t.obstacles > 0 && !t.moved:
		return fmt.Sprintf("%s %s planned, but the target is not ready for them.", all, are)
	case !t.well():
		return fmt.Sprintf("%s that %s found %s %s, but the source may hold more.", all, map[string]string{"are": "were", "is": "was"}[are], are, t.voice.well)
	}
	return fmt.Sprintf("%s %s %s.", all, are, t.voice.well)
}

func (t *tally) asked() string {
	images := "images"
	if n := len(t.fates); n > 0 {
		images = number(n, "image", "images")
	}
	text := fmt.Sprintf(t.voice.asked+"%.0[1]s%.0[2]s%.0[3]s", images, cmp.Or(t.run.Source, "the source"), cmp.Or(t.run.Target, "the target"))
	if len(t.run.Asked) > 0 {
		text += " Chosen and mapped by:"
	}
	return text
}

func (t *tally) whole() string {
	switch {
	case t.count[planned] > 0:
		return fmt.Sprintf("%s can be carried, as far as the source goes.", number(t.count[planned], "image", "images"))
	case t.count[whole] > 0:
		return number(t.count[whole], "image", "images") + "."
	case t.count[done]+t.count[there] == 0:
		return "Nothing."
	}
	text := number(t.count[done]+t.count[there], "image", "images")
	if t.count[there] > 0 {
		text += ": " + t.counts(done, there)
	}
	return text + "."
}

func (t *tally) lacking() string {
	var parts []string
	if t.run.Summary.Error != "" {
		parts = append(parts, "The run ended before its time: "+t.run.Summary.Error+".")
	}
	if t.bad() > 0 {
		parts = append(parts, number(t.bad(), "image", "images")+": "+t.counts(failed, leftOut, open)+".")
	}
	if t.stray > 0 {
		parts = append(parts, number(t.stray, "further finding", "further findings")+" of what was passed over and may hold more images.")
	}
	if t.obstacles > 0 && !t.moved {
		parts = append(parts, number(t.obstacles, "finding stands", "findings stand")+" against it in the target.")
	}
	if len(parts) == 0 {
		return "Nothing of what was asked for."
	}
	return strings.Join(parts, " ")
}

// counts says how many images came to each of some states.
func (t *tally) counts(of ...state) string {
	var parts []string
	for _, s := range of {
		if n := t.count[s]; n > 0 {
			parts = append(parts, humanize.Comma(int64(n))+" "+strings.ToLower(t.voice.label(s)))
		}
	}
	return strings.Join(parts, ", ")
}

// saved says what sharing spared.
func (t *tally) saved() string {
	s := t.run.Summary
	part := func(bytes int64) string {
		return fmt.Sprintf("%s (%d %%)", size(bytes), int(float64(bytes)/float64(t.size)*100))
	}
	var parts []string
	if spared := t.size - s.UniqueBytes; s.UniqueBytes > 0 && spared > 0 {
		parts = append(parts, "Images share "+part(spared)+" of their sizes: each blob is needed once.")
	}
	if spared := t.size - s.UploadedBytes; t.voice.sends && t.moved && spared > 0 {
		why := "images share blobs, or the target had them"
		if s.PlacedBlobs > 0 {
			why += ", or they were put into its storage as files"
		}
		if t.bad() > 0 {
			why += ", or they were not carried"
		}
		parts = append(parts, part(spared)+" did not have to be sent, since "+why+".")
	}
	if s.MountedBlobs > 0 {
		parts = append(parts, number(s.MountedBlobs, "blob", "blobs")+" came from another repository of the target, by a mount.")
	}
	return strings.Join(parts, " ")
}

// worth gathers what a person must know who relies on the report: what is not
// as it was, though as asked, what was not asked for, and the notes that are
// told unasked.
func (t *tally) worth() []worth {
	var trimmed, recovered int
	for _, f := range t.fates {
		if f.Trimmed != "" {
			trimmed++
		}
		if f.Recovered {
			recovered++
		}
	}
	var all []worth
	say := func(n int, one, many string, code Code) {
		if n > 0 {
			all = append(all, worth{number(n, one, many), t.anchor(code)})
		}
	}
	say(trimmed, "image was trimmed, as asked: its digest is new.", "images were trimmed, as asked: their digests are new.", IndexTrimmed)
	say(recovered, "image was recovered, as asked: see that it is the one you expect.", "images were recovered, as asked: see that they are the ones you expect.", TagRecovered)
	say(t.run.Summary.Unasked, "manifest without a tag was not asked for; --untagged takes it along.", "manifests without a tag were not asked for; --untagged takes them along.", "")
	for _, k := range Kinds {
		n := len(t.findings(func(f Finding) bool {
			return f.Code == k.Code && (f.Level == Note && k.Code.alwaysTold() || k.Code.ofTarget())
		}))
		if n > 0 {
			all = append(all, worth{sentence(k.Means) + " " + number(n, "finding", "findings") + ".", t.anchor(k.Code)})
		}
	}
	return all
}

// sentence begins with a capital letter and ends with a full stop.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
