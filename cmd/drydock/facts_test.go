package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

// fact is one thing that was measured of Harbor, and what a run of drydock makes
// of it. The double gives the answers that Harbor gave; see harbortest.
type fact struct {
	name  string // in the words of what was measured
	tree  string // lines as storagetest.Parse reads them; empty: oneImage
	files map[string]string
	setUp func(t *testing.T, w *world)

	user string // whose password is "secret"; empty: admin, "-": nobody
	verb string // empty: migrate
	dest string // a prefix in the target
	args []string

	code  int
	says  []string // patterns in what is told, one of a line
	never []string // patterns of what is not told
	tags  []string // all there are in the target at the end; nil: nobody asks
	then  func(t *testing.T, w *world, r result)
}

// world is what a fact is tried in.
type world struct {
	root string // of the source
	tree *storagetest.Builder
	to   *registryUnderTest
	h    *harbortest.Server
	dir  string // for files
}

const oneImage = `
image one amd64 base own
tag fine/app v1 one
`

// The facts that no command line meets are tried elsewhere: what a HEAD and a
// mount say of blobs that were put into the storage as files, POST to the token
// service, tokens of a hundred scopes, singly encoded repositories, page sizes
// over 100, DELETE by tag, an index or a manifest whose parts are missing in the
// target, wrong content types and monolithic POSTs are requests that drydock does
// not make: pkg/harbor/harbortest. Sixteen writers of one tag: pkg/push, and the
// deadlock below. Lifetimes of tokens: TestTokens.
var facts = slices.Concat(factsOfNames, factsOfAccounts, factsOfContents, factsOfPolicies, factsOfChecks)

// TestHarborFacts holds drydock against every answer that was measured of a real
// Harbor and that a command line can meet.
func TestHarborFacts(t *testing.T) {
	for _, f := range facts {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, f.tree)
			for name, content := range f.files {
				w.write(t, name, content)
			}
			if f.setUp != nil {
				f.setUp(t, w)
			}
			w.check(t, &f, w.run(t, &f))
		})
	}
}

func newWorld(t *testing.T, tree string) *world {
	t.Helper()
	if tree == "" {
		tree = oneImage
	}
	w := &world{to: startHarbor(t), dir: t.TempDir()}
	w.h = w.to.harbor
	w.tree, w.root = parsedTree(t, tree)
	return w
}

// parsedTree writes a tree from lines as storagetest.Parse reads them, and gives
// its root directory.
func parsedTree(t *testing.T, lines string) (b *storagetest.Builder, root string) {
	t.Helper()
	b, err := storagetest.Parse(lines)
	if err != nil {
		t.Fatal(err)
	}
	root = filepath.Join(t.TempDir(), "registry")
	if err := b.WriteTo(root); err != nil {
		t.Fatal(err)
	}
	return b, root
}

func (w *world) write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// as is the target for another account.
func (w *world) as(user string) *registryUnderTest {
	to := *w.to
	switch user {
	case "":
	case "-":
		to.username, to.password = "", ""
	default:
		to.username, to.password = user, "secret"
	}
	return &to
}

func (w *world) run(t *testing.T, f *fact) result {
	t.Helper()
	verb := f.verb
	if verb == "" {
		verb = "migrate"
	}
	source := w.root
	if verb == "push" {
		source = filepath.Join(w.dir, "layouts")
		if r := drydock(t, nil, "convert", w.root, source); r.code != exitDone {
			t.Fatalf("convert: exit status %d\n%s", r.code, r.stderr)
		}
	}
	args := []string{verb, source, w.to.url + f.dest, "-o", "json", "--retry-delay", "1ms"}
	for _, a := range f.args {
		args = append(args, strings.ReplaceAll(a, "DIR", w.dir))
	}
	return drydock(t, w.as(f.user), args...)
}

func (w *world) check(t *testing.T, f *fact, r result) {
	t.Helper()
	if r.code != f.code {
		t.Errorf("exit status %d, want %d", r.code, f.code)
	}
	said := r.stdout + r.stderr
	for _, pattern := range f.says {
		if !regexp.MustCompile(pattern).MatchString(said) {
			t.Errorf("nothing like %q is told", pattern)
		}
	}
	for _, pattern := range append(f.never, "secret", "Harbor12345") {
		if at := regexp.MustCompile(pattern).FindString(said); at != "" {
			t.Errorf("%q is told", at)
		}
	}
	if f.then != nil {
		f.then(t, w, r)
	}
	if w.asked("DELETE", "") {
		t.Error("something was deleted")
	}
	if f.tags != nil {
		if diff := cmp.Diff(w.tree.Expand(strings.Join(f.tags, " ")), strings.Join(w.to.tags(t), " ")); diff != "" {
			t.Errorf("tags in the target (-want +there):\n%s", diff)
		}
	}
	if t.Failed() {
		t.Logf("it said:\n%s", said)
	}
}

// count gives how many requests there were of a method, whose path and query
// match a pattern.
func (w *world) count(method, pattern string) int {
	n, re := 0, regexp.MustCompile(pattern)
	for _, q := range w.h.Requests() {
		if q.Method == method && re.MatchString(q.Path+"?"+q.RawQuery) {
			n++
		}
	}
	return n
}

func (w *world) asked(method, pattern string) bool { return w.count(method, pattern) > 0 }

// sentNothing tells of requests that changed something.
func sentNothing(t *testing.T, w *world, _ result) {
	t.Helper()
	for _, q := range w.h.Requests() {
		if q.Method != "GET" && q.Method != "HEAD" {
			t.Errorf("%s %s was sent", q.Method, q.Path)
		}
	}
}

// failsOnce holds that what is refused for good is not tried again.
func failsOnce(method, pattern string) func(*testing.T, *world, result) {
	return func(t *testing.T, w *world, _ result) {
		t.Helper()
		if n := w.count(method, pattern); n != 1 {
			t.Errorf("%d requests %s %s, want 1", n, method, pattern)
		}
	}
}

// settled holds how many images came to which end.
func settled(done, skipped, failed int) func(*testing.T, *world, result) {
	return func(t *testing.T, _ *world, r result) {
		t.Helper()
		got, want := [3]int{r.summary.Done, r.summary.Skipped, r.summary.Failed}, [3]int{done, skipped, failed}
		if got != want {
			t.Errorf("done, skipped, failed: %v, want %v", got, want)
		}
	}
}

func checks(all ...func(*testing.T, *world, result)) func(*testing.T, *world, result) {
	return func(t *testing.T, w *world, r result) {
		t.Helper()
		for _, c := range all {
			c(t, w, r)
		}
	}
}

// projects makes these before the run.
func projects(names ...string) func(*testing.T, *world) {
	return func(_ *testing.T, w *world) {
		for _, name := range names {
			w.h.CreateProject(name, harbortest.Project{})
		}
	}
}

// robot adds one, whose password is "secret", and the projects that it works in.
func robot(name string, r harbortest.Robot) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		projects(r.Projects...)(t, w)
		w.h.AddRobot(name, "secret", r)
	}
}

// user adds one, whose password is "secret", with a role in the project fine.
func user(name string, role harbortest.Role) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		w.h.AddUser(name, "secret")
		if role != 0 {
			projects("fine")(t, w)
			w.h.AddMember("fine", name, role)
		}
	}
}

// many gives lines for n images, with %d for a number from 0 on.
func many(n int, line string) string {
	var b strings.Builder
	b.WriteString("blob base\n")
	for i := range n {
		b.WriteString(strings.ReplaceAll(line, "%d", fmt.Sprint(i)) + "\n")
	}
	return b.String()
}
