package report_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// writeRun writes a run as a file of the form that its name says, by the way
// that every command goes.
func writeRun(t testing.TB, name string, run report.Run) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	f, err := report.NewFile(path, report.Run{
		Verb: run.Verb, Source: run.Source, Target: run.Target, Asked: run.Asked, Started: run.Started, Version: run.Version,
	})
	if err != nil {
		t.Fatal(err)
	}
	var errs []error
	for _, i := range run.Images {
		errs = append(errs, f.Image(i))
	}
	for _, x := range run.Findings {
		errs = append(errs, f.Finding(x))
	}
	for _, o := range run.Outcomes {
		errs = append(errs, f.Outcome(o))
	}
	if err := errors.Join(append(errs, f.Close(run.Summary))...); err != nil {
		t.Fatal(err)
	}
	return path
}

func readRun(t testing.TB, run report.Run) string {
	t.Helper()
	text, err := os.ReadFile(writeRun(t, "run.html", run))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// numbered makes a digest of a number.
func numbered(n int) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(fmt.Append(nil, n))) }

var began = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// goodRun is a migration of n images in which all went well.
func goodRun(n int) report.Run {
	run := report.Run{
		Verb: "migrate", Source: "/srv/registry", Target: "harbor.example.com/old", Started: began, Version: "v1.2.3",
		Asked: []string{"--include=**", "--rewrite=legacy=archive"},
	}
	teams := []string{"library", "payments", "platform/build", "data-science/notebooks", "web"}
	for i := range n {
		image := report.Image{
			Repository: fmt.Sprintf("%s/service-%d", teams[i%len(teams)], i/40), Tag: fmt.Sprintf("v1.%d.%d", i%40, i%7), Digest: numbered(i),
			MediaType: "application/vnd.oci.image.index.v1+json", Platforms: []string{"linux/amd64", "linux/arm64"},
			Size: int64(i*7919%1000+1) * 1234567, Complete: true, Updated: began.Add(-time.Duration(i*i%100000) * time.Hour),
		}
		image.Target = "old/" + image.Repository + ":" + image.Tag
		outcome := report.Outcome{Source: image.Name(), Target: "harbor.example.com/" + image.Target, Digest: image.Digest, Status: report.Done, Uploaded: 2, Mounted: 3, Bytes: image.Size / 6}
		if i%10 == 3 {
			outcome = report.Outcome{Source: image.Name(), Target: outcome.Target, Digest: image.Digest, Status: report.Skipped}
		}
		run.Images = append(run.Images, image)
		run.Outcomes = append(run.Outcomes, outcome)
		run.Summary.Add(outcome)
		run.Summary.UniqueBytes += image.Size / 4
	}
	run.Summary.Images, run.Summary.Seconds = n, 4523.4
	return run
}

// mixedRun has, among n images, some of every fate, and findings.
func mixedRun(n int) report.Run {
	run := goodRun(n)
	run.Outcomes, run.Summary = nil, report.Summary{Images: n, UniqueBytes: run.Summary.UniqueBytes, Seconds: 4523.4}
	for i := range run.Images {
		image := &run.Images[i]
		o := report.Outcome{Source: image.Name(), Target: "harbor.example.com/" + image.Target, Digest: image.Digest, Status: report.Done, Uploaded: 2, Mounted: 3, Bytes: image.Size / 6}
		switch i % 50 {
		case 1:
			image.Complete, image.Missing = false, []string{numbered(-i)}
			f := report.BlobMissing.New("layer 3 of linux/arm64")
			f.Repository, f.Tag, f.Digest, f.Path = image.Repository, image.Tag, numbered(-i), "blobs/sha256/ab/abcd/data"
			run.Findings = append(run.Findings, f)
			image.Reason = "a blob that the image needs is not there: " + numbered(-i)
			run.Summary.Incomplete++
			continue
		case 2:
			o.Status, o.Error, o.Uploaded, o.Mounted, o.Bytes = report.Failed, "putting manifest: 412 Precondition Failed: tag matches an immutable rule (lift the rule, or choose another project)", 0, 0, 0
		case 3, 4, 5:
			o.Status, o.Uploaded, o.Mounted, o.Bytes = report.Skipped, 0, 0, 0
		case 6:
			image.Trimmed, o.Digest = numbered(-i), numbered(-i)
			f := report.IndexTrimmed.New("its digest is now " + numbered(-i))
			f.Repository, f.Tag, f.Digest = image.Repository, image.Tag, image.Digest
			run.Findings = append(run.Findings, f)
		case 7:
			image.Platforms, image.ArtifactType, image.Subject = nil, "application/vnd.example.signature.v1+json", numbered(i-1)
		}
		run.Outcomes = append(run.Outcomes, o)
		run.Summary.Add(o)
	}
	unreadable := report.Unreadable.New("permission denied")
	unreadable.Repository, unreadable.Path = "team/x", "repositories/team/x"
	untagged := report.RepositoryUntagged.New("")
	untagged.Repository = "team/nightly"
	for i := range 40 {
		f := report.BlobUnreferenced.New("12 MiB")
		f.Digest, f.Path = numbered(i), "blobs/sha256/…"
		run.Findings = append(run.Findings, f)
	}
	run.Findings = append(run.Findings, unreadable, untagged)
	run.Summary.Findings, run.Summary.Unasked = len(run.Findings), 12
	return run
}

// everyRun is one run of each kind that reads differently.
func everyRun() map[string]report.Run {
	plan, check, empty, ended := mixedRun(60), mixedRun(60), goodRun(0), mixedRun(60)
	plan.Verb, plan.Outcomes, plan.Summary = "plan", nil, report.Summary{UniqueBytes: plan.Summary.UniqueBytes}
	full := report.HarborQuota.New("5 GiB are left")
	full.Repository = "old"
	plan.Findings = append(plan.Findings, full)
	check.Verb, check.Target, check.Asked, check.Outcomes, check.Summary = "check", "", nil, nil, report.Summary{}
	for i := range check.Images {
		check.Images[i].Target = ""
	}
	empty.Summary.Error = "asking harbor.example.com: connection refused"
	ended.Outcomes, ended.Summary.Error = ended.Outcomes[:20], "interrupted"
	return map[string]report.Run{
		"good": goodRun(60), "mixed": mixedRun(160), "plan": plan, "check": check, "empty": empty, "ended": ended, "hostile": hostileRun("migrate"),
	}
}
