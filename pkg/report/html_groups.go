package report

import (
	"slices"

	"github.com/dustin/go-humanize"
)

// group is all there is of one kind: what it is, what to do, and where.
type group struct {
	ID, Means     string
	Code          string // empty where it is no finding
	Advice, Error string
	N             string
	Places        []spot
	Long          bool // folded until somebody asks
}

// Many tells whether there are so many that a browser is spared laying them out.
func (g group) Many() bool { return len(g.Places) > many }

// spot is where something is, and what of.
type spot struct{ Name, Digest, Path, Detail string }

// folded is how many places of a note are shown unasked. What is not whole is
// never folded.
const folded = 25

// groups is everything that is not whole, by its cause.
func (t *tally) groups() []group {
	told := map[string]bool{} // images of which a finding says what is amiss
	against := t.findings(func(f Finding) bool { return f.Level != Note && !f.Code.ofTarget() })
	for _, f := range against {
		told[f.about()] = true
	}
	all := append(t.failures(), t.unfinished())
	var silent []spot
	for _, f := range t.fates {
		if f.state == leftOut && !told[f.Name()] {
			silent = append(silent, f.spot())
		}
	}
	all = append(all, newGroup("left out, since they are not whole, or not for this target", "see what is said of each", silent))
	all = slices.DeleteFunc(all, func(g group) bool { return len(g.Places) == 0 })
	return append(all, byCode("code-", against)...)
}

// failures are the images that failed. An error that several have in common is
// told once.
func (t *tally) failures() []group {
	const means, advice = "failed: the target does not have them, or could not be shown to", "mend what the error names and run the same command again"
	times := map[string]int{}
	for _, f := range t.fates {
		if f.state == failed {
			times[f.why]++
		}
	}
	var alone []spot
	var all []group
	at := map[string]int{} // where the group of an error is
	for _, f := range t.fates {
		n, begun := at[f.why]
		switch {
		case f.state != failed:
		case times[f.why] == 1:
			alone = append(alone, f.spot())
		case begun:
			all[n].Places = append(all[n].Places, spot{Name: printable(f.Name())})
		default:
			at[f.why] = len(all)
			g := newGroup(means, advice, []spot{{Name: printable(f.Name())}})
			g.Error, g.N = printable(f.why), humanize.Comma(int64(times[f.why]))
			all = append(all, g)
		}
	}
	return append(all, newGroup(means, advice, alone))
}

func (t *tally) unfinished() group {
	var spots []spot
	for _, f := range t.fates {
		if f.state == open {
			spots = append(spots, spot{Name: printable(f.Name())})
		}
	}
	return newGroup("not reached: the run ended before it came to them", "run the same command again; it goes on where it was", spots)
}

func (f *fate) spot() spot {
	return spot{Name: printable(f.Name()), Detail: printable(f.why)}
}

// against is what the target was found to have against a migration.
func (t *tally) against() []group {
	return byCode("code-", t.findings(func(f Finding) bool { return f.Level != Note && f.Code.ofTarget() }))
}

func (t *tally) findings(which func(Finding) bool) []Finding {
	var some []Finding
	for _, f := range t.run.Findings {
		if which(f) {
			some = append(some, f)
		}
	}
	return some
}

// anchor is where the findings of a code are in the page, or empty.
func (t *tally) anchor(c Code) string {
	at := ""
	for _, f := range t.run.Findings {
		switch {
		case f.Code == c && f.Level == Note:
			return "note-" + string(c)
		case f.Code == c:
			at = "code-" + string(c)
		}
	}
	return at
}

// notes are what was found of images that are carried all the same.
func (t *tally) notes() []group {
	groups := byCode("note-", t.findings(func(f Finding) bool { return f.Level == Note }))
	for n := range groups {
		groups[n].Long = len(groups[n].Places) > folded
	}
	return groups
}

// byCode puts findings together by their codes, in the table's order; unknown
// codes come last.
func byCode(prefix string, findings []Finding) []group {
	found := map[Code][]spot{}
	var unknown []Kind
	for _, f := range findings {
		if _, ok := kinds[f.Code]; !ok && found[f.Code] == nil {
			unknown = append(unknown, f.Code.Kind())
		}
		found[f.Code] = append(found[f.Code], spot{
			Name: printable(f.Image()), Digest: printable(f.Digest), Path: printable(f.Path), Detail: printable(f.Detail),
		})
	}
	var groups []group
	for _, k := range slices.Concat(Kinds, unknown) {
		if spots := found[k.Code]; len(spots) > 0 {
			g := newGroup(k.Means, k.Advice, spots)
			g.ID, g.Code = printable(prefix+string(k.Code)), printable(string(k.Code))
			groups = append(groups, g)
		}
	}
	return groups
}

func newGroup(means, advice string, spots []spot) group {
	return group{Means: sentence(means), Advice: sentence(advice), N: humanize.Comma(int64(len(spots))), Places: spots}
}
