package main

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// TestRoomFor holds that what cannot fit is said before it is written, wherever it
// goes: beside other files, or into a directory that is there.
func TestRoomFor(t *testing.T) {
	dir := t.TempDir()
	for _, out := range []string{dir, dir + "/", filepath.Join(dir, "app.tar"), filepath.Join(dir, "app")} {
		err := roomFor(out, math.MaxInt64)
		if err == nil || !strings.Contains(err.Error(), "free in "+dir) || report.Advice(err) == "" {
			t.Errorf("%s: %v, hint %q", out, err, report.Advice(err))
		}
		if err := roomFor(out, 1); err != nil {
			t.Errorf("%s: %v", out, err)
		}
	}
}
