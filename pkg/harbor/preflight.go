package harbor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Ask is what a run is about to do, to be held against Harbor beforehand.
type Ask struct {
	Username string    // who Harbor is asked as; empty for nobody
	Create   bool      // projects that are missing are to be created
	Settings *Settings // how; nil: private
	Projects []Need
}

// Need is what one project is to take.
type Need struct {
	Name string
	// Bytes is the size of all blobs and manifests that the project does not have,
	// each once, as Harbor counts them: not the blobs that it has in any repository,
	// and not layers that lie elsewhere (urls). 0 asks for no quota.
	Bytes int64
	// Replaced are tags that the project has, with another digest than they are
	// to get.
	Replaced []Tag
}

// Tag is a tag in a repository, whose name begins with that of its project.
type Tag struct{ Repository, Name string }

func (t Tag) String() string { return t.Repository + ":" + t.Name }

// Report is what Harbor says before anything is sent.
type Report struct {
	Version   string // empty where it is not known
	Account   Account
	ReadOnly  Known
	Healthy   Known
	MayCreate Known     // may this account create projects?
	Projects  []Project // those asked about, each once, by name
	Problems  []Problem // what stops most first
}

// Project is what is known of one project.
type Project struct {
	Name             string
	Exists           Known
	Public           Known
	ProxyCache       Known
	MayPush          Known // push and pull, which go together
	Quota            Known // Yes: there is a limit, No: there is none
	Limit, Used      int64 // bytes, where Quota is Yes
	Immutable        []Tag // of the replaced tags, those that rules refuse to replace
	ImmutableChecked Known // No: there were no tags to look at; Unknown: the rules were not read

	unlisted  bool     // a listing did not show it
	retention string   // the id of its retention policy; empty: none
	policies  []string // that forbid to pull
	need      Need
}

// Stopped tells whether nothing at all can be pushed.
func (r *Report) Stopped() bool {
	return slices.ContainsFunc(r.Problems, func(p Problem) bool { return p.Severity == StopsAll })
}

// Refused gives for each project that cannot take a single image the first
// reason, with a hint. One whose quota is too small can still take some.
func (r *Report) Refused() map[string]error {
	reasons := map[string]error{}
	for _, p := range r.Problems {
		if p.Severity != StopsProject || p.Code == OverQuota {
			continue
		}
		for _, name := range p.Projects {
			if reasons[name] == nil {
				own := p
				own.Projects = []string{name}
				reasons[name] = own.Err()
			}
		}
	}
	return reasons
}

// Preflight asks Harbor what it would refuse. It only reads, and pulls nothing.
// What this account may not ask, or what Harbor answers oddly, is unknown, with
// a note that says so; only where Harbor cannot be reached any more, or ctx
// ends, is there an error.
//
// With n projects it sends: one request for the account and one for the
// health; one listing for fifty projects, and a HEAD for each that is not in it;
// for administrators the configuration and the quotas, a hundred in one answer,
// for others a token for forty projects, and a summary for each project with
// Bytes; a request for each project with Replaced, and one for each with a
// retention policy.
func (h *Harbor) Preflight(ctx context.Context, ask Ask) (*Report, error) {
	p := newPreflight(h, ask)
	for _, step := range []func(context.Context){
		p.whoAmI, p.askHealth, p.lookUpProjects, p.askCreation, p.askRights, p.askQuotas, p.askRules, p.askRetention,
	} {
		step(ctx)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case p.silent >= patience:
			return nil, fmt.Errorf("asking Harbor what it would refuse: %w", p.broken)
		case p.stranger:
			return p.done(), nil // whoever is not known is told nothing else
		}
	}
	p.judge()
	return p.done(), nil
}

// patience is how many kinds of questions in a row may remain without an
// answer. Each has been repeated by then as often as it is worth.
const patience = 3

// preflight is the state of one Preflight. Its questions come one kind after the
// other; those about single projects go side by side.
type preflight struct {
	*Harbor
	ask      Ask
	projects []*Project // by name
	report   Report
	stranger bool  // the account is refused
	quotas   Known // No: switched off
	preset   Known // Yes: the limit of new projects is known
	limit    int64 // that limit, bytes; -1 none

	mu       sync.Mutex // for those below
	problems problems
	silent   int   // kinds of questions without an answer, in a row
	broken   error // the last of them
}

func newPreflight(h *Harbor, ask Ask) *preflight {
	p := &preflight{Harbor: h, ask: ask, report: Report{Version: h.Version, ReadOnly: h.readOnly}}
	byName := map[string]*Project{}
	for _, need := range ask.Projects {
		own := byName[need.Name]
		if own == nil {
			own = &Project{Name: need.Name, ImmutableChecked: No, need: Need{Name: need.Name}}
			byName[need.Name] = own
			p.projects = append(p.projects, own)
		}
		own.need.Bytes = saturate(own.need.Bytes, need.Bytes)
		own.need.Replaced = append(own.need.Replaced, need.Replaced...)
		if len(need.Replaced) > 0 {
			own.ImmutableChecked = Unknown
		}
	}
	slices.SortFunc(p.projects, func(a, b *Project) int { return strings.Compare(a.Name, b.Name) })
	return p
}

// saturate adds sizes, which are not negative, without going beyond the largest.
func saturate(a, b int64) int64 {
	if sum := a + max(b, 0); sum >= a {
		return sum
	}
	return 1<<63 - 1
}

func (p *preflight) done() *Report {
	p.problems.sort()
	p.report.Problems = p.problems
	for _, own := range p.projects {
		p.report.Projects = append(p.report.Projects, *own)
	}
	return &p.report
}

func (p *preflight) problem(code Code, severity Severity, hint, detail string, projects ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.problems.add(Problem{Code: code, Severity: severity, Projects: projects, Detail: detail, Hint: hint})
}

// unknown notes that a question has no answer.
func (p *preflight) unknown(question string, err error, projects ...string) {
	p.problem(NotAsked, Note, "", fmt.Sprintf("%s is not known: %v", question, err), projects...)
}

// answered keeps count of questions that nobody answered at all. A refusal is an
// answer.
func (p *preflight) answered(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !isUnreached(err) {
		p.silent = 0
		return
	}
	p.silent++
	p.broken = err
}

// errNotTried is why a project was not asked about: Harbor had not answered for
// one before it.
var errNotTried = errors.New("Harbor did not answer for another project, and was not asked again")

// forEach asks a question about each of some projects. Where Harbor cannot be
// reached for one, those that remain are not tried.
func (p *preflight) forEach(ctx context.Context, question string, projects []*Project, do func(context.Context, *Project) error) {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(lookUps)
	for _, own := range projects {
		g.Go(func() error {
			if ctx.Err() != nil {
				p.unknown(question, errNotTried, own.Name)
				return nil
			}
			err := do(ctx, own)
			switch {
			case err == nil:
				return nil
			case isUnreached(err) && ctx.Err() != nil:
				err = errNotTried // cut off by the end of another one
			}
			p.unknown(question, err, own.Name)
			if isUnreached(err) {
				return err
			}
			return nil
		})
	}
	if err := g.Wait(); len(projects) > 0 {
		p.answered(err)
	}
}

// takes tells whether a project may take images, for all that is known: of one
// that takes none, nothing else needs to be asked.
func (own *Project) takes() bool { return own.ProxyCache != Yes && own.MayPush != No }

// those gives the projects that fit.
func (p *preflight) those(fit func(*Project) bool) (some []*Project) {
	for _, own := range p.projects {
		if fit(own) {
			some = append(some, own)
		}
	}
	return some
}

func namesOf(projects []*Project) (names []string) {
	for _, own := range projects {
		names = append(names, own.Name)
	}
	return names
}
