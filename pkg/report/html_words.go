package report

// voice is how the report of one command speaks.
type voice struct {
	moves bool // its images have outcomes, unless it was only to plan
	sends bool // to a registry
	// asked completes "What was asked"; %[1]s are the images, %[2]s is the
	// source, %[3]s the target.
	asked string
	well  string // completes "All images are …"
	ill   string // completes "1 of 3 images is …"
	good  string // what it means that all is well
	bad   string // and that it is not
	// labels of states, where the general ones will not do.
	labels map[state]string
}

// inTarget is what a report can say about images that are whole in the target.
const inTarget = "Everything that was asked for is whole in the target, and nothing of it would be lost with the source. Images that were not asked for are not part of this report. "

// keep is what follows where something is not whole in the target.
const keep = "Keep the source: what is listed under “Not whole, and why” would be lost with it. "

var voices = map[string]*voice{
	"migrate": {
		moves: true, sends: true,
		asked: "To carry %[1]s from %[2]s to %[3]s.",
		well:  "in the target", ill: "not whole in the target",
		good: inTarget + "At the end the target was asked for every tag and every manifest, and it has the digests given here.",
		bad:  keep + "Mend what is named there and run the same command again: what the target has is not sent again.",
	},
	"push": {
		moves: true, sends: true,
		asked: "To push %[1]s from the layouts in %[2]s to %[3]s.",
		well:  "in the target", ill: "not whole in the target",
		good: inTarget + "The target took every manifest under the digest given here; drydock verify asks for them once more.",
		bad:  keep + "Mend what is named there and run the same command again: what the target has is not sent again.",
	},
	"verify": {
		moves: true,
		asked: "To compare %[1]s from %[2]s with what %[3]s has.",
		well:  "the same in the target", ill: "not the same in the target",
		good:   inTarget + "The target was asked for every tag and every manifest, and it has the digests of the source.",
		bad:    keep + "Run drydock migrate for them, and then verify again.",
		labels: map[state]string{done: "The same", failed: "Missing or different"},
	},
	"convert": {
		moves: true,
		asked: "To make layouts of %[1]s from %[2]s in %[3]s.",
		well:  "there as layouts", ill: "not there as layouts",
		good:   "Everything that was asked for has its layout. Layouts are files: no registry was sent anything.",
		bad:    "The layouts that are there are whole. Mend what is listed under “Not whole, and why” and run the same command again: only what is missing is made.",
		labels: map[state]string{done: "Made"},
	},
	"bundle": {
		moves: true,
		asked: "To put %[1]s from %[2]s into the bundle %[3]s.",
		well:  "in the bundle", ill: "not in the bundle",
		good:   "Everything that was asked for is in the bundle. No registry was sent anything.",
		bad:    keep + "The bundle has everything else.",
		labels: map[state]string{done: "Bundled", there: "In the base"},
	},
	"check": {
		asked: "To look through %[1]s in %[2]s for what is missing or damaged.",
		well:  "well", ill: "not whole",
		good: "A migration can carry everything that was looked at. Wrong bytes of the right length are noticed only where the run was made with --read-data.",
		bad:  "What is listed under “Not whole, and why” cannot be pulled from this registry as it is, and a migration would leave it out.",
	},
	"list": {
		asked: "To list %[1]s of %[2]s.",
		well:  "well", ill: "not whole",
		good: "This is a list of what is there. drydock check looks closer.",
		bad:  "What is listed under “Not whole, and why” would be left out of a migration. drydock check looks closer.",
	},
}

// planning is the voice of runs that move nothing, though their images have
// targets: of plan, of dry runs, and of what ended before its first image.
var planning = voice{
	moves: true,
	asked: "To plan the way of %[1]s from %[2]s to %[3]s.",
	well:  "planned; nothing has been carried yet", ill: "not to be carried",
	good: "Nothing has been carried by this run. A plan proves nothing about the target; a report of drydock verify does.",
	bad:  "Nothing has been carried by this run. What is listed under “Not whole, and why” would be left out.",
}

// looking and carrying are the voices of commands that have none of their own.
var looking = voice{
	asked: "To read %[1]s from %[2]s.",
	well:  "well", ill: "not whole",
	good: "Nothing that was looked at is amiss.",
	bad:  "See what is listed under “Not whole, and why”.",
}

var carrying = voice{
	moves: true, sends: true,
	asked: "To carry %[1]s from %[2]s to %[3]s.",
	well:  "carried", ill: "not carried",
	good: "Everything that was asked for was carried.",
	bad:  keep,
}

// speak chooses the voice for a command; moved says that its images have
// outcomes.
func speak(verb string, moved bool) *voice {
	v := voices[verb]
	switch {
	case v == nil && moved:
		return &carrying
	case v == nil && verb != "plan":
		return &looking
	case v == nil:
		return &planning
	case v.moves && !moved:
		only := planning
		only.asked = v.asked
		return &only
	}
	return v
}

var labels = map[state]string{
	failed: "Failed", leftOut: "Left out", open: "Not reached", planned: "Planned",
	whole: "Whole", done: "Carried", there: "There already",
}

// label is what the report calls a state.
func (v *voice) label(s state) string {
	if own, ok := v.labels[s]; ok {
		return own
	}
	if s == leftOut && !v.moves {
		return "Not whole"
	}
	return labels[s]
}
