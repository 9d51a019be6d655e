package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

// passingFaults are the failures that go away by themselves. Those that are no answer
// at all take a minute to be noticed by a command line: pkg/push has them.
var passingFaults = []harbortest.Fault{
	harbortest.RequestTimeout, harbortest.TooManyRequests, harbortest.TooManyForASec, harbortest.TooManyUntil, harbortest.InternalError,
	harbortest.BadGateway, harbortest.Unavailable, harbortest.GatewayTimeout, harbortest.Page, harbortest.MissingPage,
	harbortest.ResetAtOnce, harbortest.ResetInBody, harbortest.AnswerLost, harbortest.AnswerCut,
}

// requestKinds are all kinds of requests that a migration and a verification of
// faultyTree and heavyTree make.
var requestKinds = []string{
	"base", "token", "GET systeminfo", "GET users", "GET health", "HEAD projects", "GET projects", "POST projects", "GET configurations", "GET quotas",
	"tags", "HEAD manifest", "mount", "POST upload", "PUT upload", "GET upload", "PATCH upload", "closing PUT", "PUT manifest", "POST tag", "HEAD blob",
}

// faultyTree has an index, blobs that two projects share, and docker's first
// schema; heavyTree has a layer that is worth going on with when it breaks.
const (
	faultyTree = `
image amd amd64 base
image arm arm64 base
schema1 old base
index multi amd arm
tag a/app v1 multi
tag a/app v0 old
tag b/app v1 amd
`
	heavyTree = `
random heavy 2359296
image large amd64 base heavy
tag a/large v1 large
`
)

// kindOf is what a request is for, in words.
func kindOf(q *http.Request) string {
	kind := harbortest.Kind(q)
	switch {
	case kind == "PUT upload" && q.ContentLength == 0:
		return "closing PUT"
	case kind == "API" && strings.Contains(q.URL.Path, "/artifacts/"):
		return q.Method + " tag"
	case kind == "API":
		what, _, _ := strings.Cut(strings.TrimPrefix(q.URL.Path, "/api/v2.0/"), "/")
		return q.Method + " " + what
	}
	return kind
}

// TestFaults meets every failure at every kind of request of a migration, once
// each.
func TestFaults(t *testing.T) {
	light, heavy := newFaulty(t, faultyTree, faultyTags), newFaulty(t, heavyTree, heavyTags)
	for _, fault := range passingFaults {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			for n, kind := range requestKinds {
				switch {
				case !thorough() && (n+len(fault))%3 != 0:
					continue
				case kind == "base" && isPage(fault):
					continue // whoever answers so at first is no registry
				case slices.Contains(resumptions, kind):
					heavy.migrateThrough(t, kind, fault)
				default:
					light.migrateThrough(t, kind, fault)
				}
			}
		})
	}
}

func isPage(fault harbortest.Fault) bool {
	return fault == harbortest.Page || fault == harbortest.MissingPage
}

// resumptions are the requests of an upload that broke.
var resumptions = []string{"GET upload", "PATCH upload", "closing PUT"}

// faulty is a tree that is migrated through failures, and the tags that are in
// the target then.
type faulty struct {
	tree *storagetest.Builder
	root string
	tags map[string]string
}

func newFaulty(t *testing.T, lines string, tags map[string]string) *faulty {
	t.Helper()
	f := &faulty{tags: tags}
	f.tree, f.root = parsedTree(t, lines)
	return f
}

var (
	faultyTags = map[string]string{"a/app:v0": "old", "a/app:v1": "multi", "b/app:v1": "amd"}
	allTags    = map[string]string{"a/app:v0": "old", "a/app:v1": "multi", "b/app:v1": "amd", "a/large:v1": "large"}
	heavyTags  = map[string]string{"a/large:v1": "large"}
)

// migrateThrough has one request of a kind fail. Where that takes an upload which
// breaks, or a mount that is refused, there is one.
func (f *faulty) migrateThrough(t *testing.T, kind string, fault harbortest.Fault) {
	to := startHarbor(t)
	defer to.harbor.Close()
	to.harbor.CreateProject("a", harbortest.Project{}) // and b is not there
	to.harbor.SetResumable(true)
	sent := newSendings()
	struck, whole := false, !slices.Contains(resumptions, kind)
	to.harbor.SetFaults(func(q *http.Request) harbortest.Fault {
		at := kindOf(q)
		switch {
		case at == kind && !struck:
			struck = true
			return sent.count(q, fault)
		case !whole && at == "PUT upload" && q.ContentLength > 2<<20:
			whole = true
			return sent.count(q, harbortest.ResetInBody)
		case at == "mount" && kind == "POST upload": // which is there for who may not mount
			return harbortest.NoRight
		}
		return sent.count(q, harbortest.NoFault)
	})
	name := fmt.Sprintf("%s at %s", fault, kind)
	f.completes(t, to, name, "-j", "2")
	if !struck {
		t.Errorf("%s: there was no such request", name)
	}
	if kind != "POST upload" { // without mounts, each project gets its own
		sent.check(t, name)
	}
}

// completes migrates and verifies, both within the time that no sound run takes,
// and holds that all is in the target.
func (f *faulty) completes(t *testing.T, to *registryUnderTest, name string, flags ...string) {
	t.Helper()
	more := append([]string{"-o", "json", "--retry-delay", "1ms", "--retry-times", "12", "--log-level", "error"}, flags...)
	for _, verb := range [][]string{
		{"migrate", f.root, to.url, "--layouts", t.TempDir()},
		{"verify", f.root, to.url, "--deep"},
	} {
		r := inTime(name, hangs, func() result { return drydock(t, to, append(verb, more...)...) })
		if r.code != exitDone || r.summary.Done != len(f.tags) {
			t.Errorf("%s: %s: exit status %d, %d of %d done\n%s\n%s", name, verb[0], r.code, r.summary.Done, len(f.tags), r.failures(), r.stderr)
			return
		}
	}
	to.harbor.SetFaults(nil)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(f.tags)), to.tags(t)); diff != "" {
		t.Errorf("%s: tags in the target (-want +there):\n%s", name, diff)
	}
	for tag, image := range f.tags {
		repository, tag, _ := strings.Cut(tag, ":")
		if got, want := to.digestOf(t, repository, tag), f.tree.Digest(image).String(); got != want {
			t.Errorf("%s: %s:%s is %s, want %s", name, repository, tag, got, want)
		}
	}
}

// hangs is what no run takes that does not hang.
const hangs = 3 * time.Minute

// inTime gives what a run says, unless it hangs.
func inTime(name string, limit time.Duration, run func() result) result {
	ended := make(chan result, 1)
	go func() { ended <- run() }()
	select {
	case r := <-ended:
		return r
	case <-time.After(limit):
		panic(name + ": the run hangs") // which shows where
	}
}

// digestOf asks what the target says that a tag's digest is.
func (to *registryUnderTest) digestOf(t *testing.T, repository, tag string) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodHead, to.url+"/v2/"+repository+"/manifests/"+tag, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(to.username, to.password)
	req.Header["Accept"] = storage.ManifestMediaTypes
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.Header.Get("Docker-Content-Digest")
}

// sendings counts for each blob how often it is sent as a whole, and how often
// that fails. The double's faults come one at a time.
type sendings struct{ sent, failed map[string]int }

func newSendings() *sendings { return &sendings{map[string]int{}, map[string]int{}} }

func (s *sendings) count(q *http.Request, fault harbortest.Fault) harbortest.Fault {
	if kindOf(q) == "PUT upload" {
		d := q.URL.Query().Get("digest")
		s.sent[d]++
		if fault != harbortest.NoFault {
			s.failed[d]++
		}
	}
	return fault
}

func (s *sendings) check(t *testing.T, name string) {
	t.Helper()
	for d, n := range s.sent {
		if n > 1+s.failed[d] {
			t.Errorf("%s: blob %s was sent %d times, with %d failures", name, d, n, s.failed[d])
		}
	}
}

// anyFault is one at random, but no page in place of what a registry is known by.
func anyFault(random *rand.Rand, q *http.Request) harbortest.Fault {
	fault := passingFaults[random.IntN(len(passingFaults))]
	if isPage(fault) && kindOf(q) == "base" {
		return harbortest.BadGateway
	}
	return fault
}

// TestRandomFaults has one request in ten fail, in any way.
func TestRandomFaults(t *testing.T) {
	f := newFaulty(t, faultyTree+heavyTree, allTags)
	seeds := uint64(3)
	if thorough() {
		seeds = 8
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random, sent := rand.New(rand.NewPCG(seed, 10)), newSendings()
			to := startHarbor(t)
			to.harbor.SetResumable(seed%2 == 0)
			to.harbor.SetFaults(func(q *http.Request) harbortest.Fault {
				if random.IntN(10) > 0 {
					return sent.count(q, harbortest.NoFault)
				}
				return sent.count(q, anyFault(random, q))
			})
			f.completes(t, to, "at random", "-j", fmt.Sprint(1+seed))
			sent.check(t, "at random")
		})
	}
}
