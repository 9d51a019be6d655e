package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// TestReadmeFindings holds the README's table of findings equal to the one in
// the source.
func TestReadmeFindings(t *testing.T) {
	content, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(content), "<!-- findings:")
	_, rest, _ = strings.Cut(rest, "-->\n")
	got, _, ok := strings.Cut(rest, "<!-- /findings -->")
	if !ok {
		t.Fatal("the README has no table of findings between its marks")
	}
	want := "\n| code | level | what it means | what to do |\n|---|---|---|---|\n"
	for _, k := range report.Kinds {
		want += fmt.Sprintf("| `%s` | %s | %s | %s |\n", k.Code, k.Level, k.Means, k.Advice)
	}
	if diff := cmp.Diff(want+"\n", got); diff != "" {
		t.Errorf("README.md (-want +got):\n%s", diff)
	}
}
