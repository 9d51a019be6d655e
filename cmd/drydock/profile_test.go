package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestProfiles holds that a run writes the profiles it is asked for, also where
// it fails, and that nobody else is told of them.
func TestProfiles(t *testing.T) {
	gzip, trace := "\x1f\x8b", "go 1." // what the files begin with
	for _, test := range []struct {
		source string
		status int
	}{{"../../testdata/distribution-3", exitDone}, {"no/such/directory", exitFailed}} {
		dir := t.TempDir()
		at := func(name string) string { return filepath.Join(dir, name) }
		var out, errs bytes.Buffer
		status := run(t.Context(), func(string) string { return "" }, nil, &out, &errs, []string{
			"list", test.source, "--cpuprofile", at("cpu"), "--memprofile", at("mem"), "--trace", at("trace"),
		})
		if status != test.status {
			t.Errorf("%s: exit status %d, not %d: %s", test.source, status, test.status, errs.String())
		}
		for name, magic := range map[string]string{"cpu": gzip, "mem": gzip, "trace": trace} {
			content, err := os.ReadFile(at(name))
			if err != nil || !strings.HasPrefix(string(content), magic) {
				t.Errorf("%s: %s has %d bytes, and not those of a profile: %v", test.source, name, len(content), err)
			}
		}
	}
	var out, errs bytes.Buffer
	if status := run(t.Context(), func(string) string { return "" }, nil, &out, &errs, []string{"list", "--help"}); status != exitDone || strings.Contains(out.String()+errs.String(), "profile") {
		t.Errorf("exit status %d, and the help is\n%s", status, out.String())
	}
}

// TestProfileNowhere holds that a profile that cannot be written is an error
// before anything is done.
func TestProfileNowhere(t *testing.T) {
	for _, name := range []string{"--cpuprofile", "--memprofile", "--trace"} {
		var out, errs bytes.Buffer
		status := run(t.Context(), func(string) string { return "" }, nil, &out, &errs, []string{"list", "../../testdata/distribution-3", name, "no/such/directory/file"})
		if status != exitFailed || !strings.Contains(errs.String(), "writing profile") || out.Len() > 0 {
			t.Errorf("%s: exit status %d, %q on stdout, %q on stderr", name, status, out.String(), errs.String())
		}
	}
}
