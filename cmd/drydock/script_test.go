package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"drydock": main})
}

// TestScript runs the scripts of testdata/script, a topic each. Beside the
// usual commands they have those of scriptCommands.
func TestScript(t *testing.T) {
	t.Setenv("REGISTRY_AUTH_FILE", "") // of whoever runs the tests
	testdata, err := filepath.Abs("../../testdata")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("TESTDATA", testdata)
			return nil
		},
		Cmds:                scriptCommands,
		Condition:           scriptCondition,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// scriptCommands are:
//
//	harbor               starts an embedded Harbor: $HARBOR is its URL, $HARBOR_HOST its
//	                     host, and HARBOR_USERNAME and HARBOR_PASSWORD its admin
//	harbor disk          starts one that keeps its blobs in the directory $STORAGE
//	harbor requests [!] METHOD PATH-PART
//	                     holds that it was (not) asked so since the last reset
//	harbor reset         forgets the requests so far
//	harbor quota PROJECT BYTES, harbor immutable PROJECT, harbor readonly,
//	harbor proxy NAME, harbor user NAME PASSWORD, harbor restrict, harbor unhealthy PART WHY,
//	harbor storage DRIVER,
//	harbor project NAME, harbor robot NAME PASSWORD PROJECT, harbor refuse PATH-PART
//	harbor slow DURATION has it wait before each answer
//	harbor wait METHOD PATH-PART
//	                     waits until it was asked so
//	harbor holds DIR FILE
//	                     holds that it has what FILE says is carried of the tree in DIR
//	harbor referrers DIR REPOSITORY SUBJECT [NAME …]
//	                     holds that it lists these referrers
//	registry             starts a plain distribution registry: $REGISTRY
//	unchanged DIR        holds that DIR is as it was at its first call
//	status N drydock …   runs drydock, and holds that its exit status is N
//	unprivileged N drydock …
//	                     does so as a user whom permissions hold back; for root
//	tree DIR FILE        makes a tree of the lines in FILE, which storagetest.Parse reads
//	findings DIR FILE    holds the findings in the last output, JSON Lines, against FILE
//	images DIR FILE      holds its images, and what became of them, against FILE
//	symbolic DIR         prints the last output with names in the place of digests
//	expand DIR FILE TO   writes FILE with digests in the place of names
//	otherdisk            makes $OTHERDISK, a directory on another file system
//
// Conditions are [user:root], [otherdisk], that there is one, and [protected-links],
// that the kernel lets nobody link to a file of somebody else.
var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"harbor":    scriptHarbor,
	"registry":  scriptRegistry,
	"unchanged": scriptUnchanged,
	"status":    scriptStatus,
}

// What scripts keep between their commands: embedded Harbors by script, and
// fingerprints by directory.
var servers, fingerprints sync.Map

func scriptHarbor(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 || args[0] == "disk" {
		var opts harbortest.Options
		if len(args) == 1 {
			dir, err := os.MkdirTemp(ts.Getenv("WORK"), "storage-*")
			ts.Check(err)
			ts.Setenv("STORAGE", dir)
			opts.Dir = dir
		}
		server, err := harbortest.New(&opts)
		ts.Check(err)
		ts.Defer(server.Close)
		servers.Store(ts, server)
		ts.Setenv("HARBOR", server.URL())
		ts.Setenv("HARBOR_HOST", server.Host())
		ts.Setenv("HARBOR_USERNAME", "admin")
		ts.Setenv("HARBOR_PASSWORD", "Harbor12345")
		return
	}
	value, ok := servers.Load(ts)
	if !ok {
		ts.Fatalf("no Harbor was started")
	}
	steerHarbor(ts, value.(*harbortest.Server), neg, args[0], args[1:])
}

func steerHarbor(ts *testscript.TestScript, h *harbortest.Server, neg bool, verb string, args []string) {
	switch {
	case verb == "reset":
		h.ResetRequests()
	case verb == "readonly":
		h.SetReadOnly(true)
	case verb == "project" && len(args) == 1:
		h.CreateProject(args[0], harbortest.Project{})
	case verb == "proxy" && len(args) == 1:
		h.CreateProject(args[0], harbortest.Project{ProxyCache: true})
	case verb == "user" && len(args) == 2:
		h.AddUser(args[0], args[1])
	case verb == "storage" && len(args) == 1:
		h.SetStorage(args[0])
	case verb == "restrict" && len(args) == 0:
		h.SetProjectCreationRestriction("adminonly")
	case verb == "unhealthy" && len(args) == 2:
		h.SetUnhealthy(args[0], args[1])
	case verb == "immutable" && len(args) == 1:
		h.SetImmutable(args[0], true)
	case verb == "quota" && len(args) == 2:
		var bytes int64
		_, err := fmt.Sscan(args[1], &bytes)
		ts.Check(err)
		h.SetQuota(args[0], bytes)
	case verb == "robot" && len(args) == 3:
		h.AddRobot(args[0], args[1], harbortest.Robot{Projects: []string{args[2]}})
	case verb == "refuse" && len(args) == 1:
		h.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, args[0]) {
				return false
			}
			http.Error(w, `{"errors":[{"code":"DENIED","message":"not today"}]}`, http.StatusForbidden)
			return true
		})
	case verb == "slow" && len(args) == 1:
		wait, err := time.ParseDuration(args[0])
		ts.Check(err)
		h.Intercept(func(http.ResponseWriter, *http.Request) bool { time.Sleep(wait); return false })
	case verb == "holds" && len(args) == 2:
		harborHolds(ts, h, args[0], args[1])
	case verb == "referrers" && len(args) >= 3:
		harborReferrers(ts, h, args[0], args[1], args[2], args[3:])
	case verb == "wait" && len(args) == 2:
		for !wasAsked(h, args[0], args[1]) {
			time.Sleep(10 * time.Millisecond)
		}
	case verb == "requests" && len(args) == 2:
		if asked := wasAsked(h, args[0], args[1]); asked == neg {
			ts.Fatalf("request %s …%s…: %v", args[0], args[1], asked)
		}
	default:
		ts.Fatalf("harbor %s %q: no such thing", verb, args)
	}
}

func wasAsked(h *harbortest.Server, method, part string) bool {
	return slices.ContainsFunc(h.Requests(), func(r harbortest.Request) bool {
		return r.Method == method && strings.Contains(r.Path, part)
	})
}

func scriptRegistry(ts *testscript.TestScript, _ bool, _ []string) {
	server, err := harbortest.NewRegistry("")
	ts.Check(err)
	ts.Defer(server.Close)
	ts.Setenv("REGISTRY", server.URL)
}

func scriptUnchanged(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: unchanged DIR")
	}
	dir := ts.MkAbs(args[0])
	now, err := treeFingerprint(dir)
	ts.Check(err)
	if before, ok := fingerprints.LoadOrStore(dir, now); ok {
		if diff := cmp.Diff(before, now); diff != "" {
			ts.Fatalf("%s changed:\n%s", args[0], diff)
		}
	}
}

func scriptStatus(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: status N COMMAND [ARG …]")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		var code int
		if _, scan := fmt.Sscanf(err.Error(), "exit status %d", &code); scan != nil {
			ts.Fatalf("%s: %v", args[1], err)
		}
		got = fmt.Sprint(code)
	}
	if got != args[0] {
		ts.Fatalf("exit status %s, want %s", got, args[0])
	}
}
