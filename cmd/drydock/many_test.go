package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
)

// slowFaults cost a second each.
var slowFaults = []harbortest.Fault{harbortest.TooManyForASec, harbortest.TooManyUntil}

// TestManyWithFailures migrates thousands of small images with one failure in
// fifty: all are done, and no blob is sent more often than its failures explain.
// DRYDOCK_IMAGES says how many; ten thousand take some minutes.
func TestManyWithFailures(t *testing.T) {
	count := 200
	if n, err := strconv.Atoi(os.Getenv("DRYDOCK_IMAGES")); err == nil {
		count = n
	}
	var lines strings.Builder
	for n := range count {
		fmt.Fprintf(&lines, "image i%d amd64 base stack%d own%d\n", n, n%10, n)
		fmt.Fprintf(&lines, "tag team%d/app%d v%d i%d\n", n%7, n%50, n, n)
	}
	_, root := parsedTree(t, lines.String())
	to := startHarbor(t)
	random, sent, failures := rand.New(rand.NewPCG(1, 50)), newSendings(), 0
	to.harbor.SetFaults(func(q *http.Request) harbortest.Fault {
		fault := anyFault(random, q)
		if random.IntN(50) > 0 || slices.Contains(slowFaults, fault) {
			return sent.count(q, harbortest.NoFault)
		}
		failures++
		return sent.count(q, fault)
	})
	args := []string{root, to.url, "-o", "json", "--retry-delay", "1ms", "--retry-times", "10", "--log-level", "error"}
	for _, verb := range []string{"migrate", "verify"} {
		r := inTime(verb, hangs*time.Duration(1+count/1000), func() result { return drydock(t, to, append([]string{verb}, args...)...) })
		if r.code != exitDone || r.summary.Done != count {
			t.Fatalf("%s: exit status %d, %d of %d done\n%.5000s\n%s", verb, r.code, r.summary.Done, count, r.failures(), r.stderr)
		}
	}
	to.harbor.SetFaults(nil)
	sent.check(t, "one in fifty")
	if want := 2*count + 11; len(sent.sent) != want { // configs, their own layers, ten of the stacks, the base
		t.Errorf("%d blobs were sent, want %d", len(sent.sent), want)
	}
	if got := len(to.tags(t)); got != count {
		t.Errorf("%d tags in the target, want %d", got, count)
	}
	t.Logf("%d images, %d requests, %d failures", count, len(to.harbor.Requests()), failures)
	if failures < count/20 {
		t.Errorf("only %d requests failed", failures)
	}
}
