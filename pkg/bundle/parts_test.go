package bundle_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/bundle"
)

// TestCheckParts holds parts against what lies beside them.
func TestCheckParts(t *testing.T) {
	dir := t.TempDir()
	part := func(name, content, beside string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if beside != "" {
			if err := os.WriteFile(path+".sha256", []byte(beside), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return path
	}
	line := func(content string) string { return fmt.Sprintf("%x  name\n", sha256.Sum256([]byte(content))) }
	for _, tt := range []struct {
		name  string
		parts []string
		all   bool
		found string // part of what is found; "" for nothing
	}{
		{"sound", []string{part("a.001", "one", line("one")), part("a.002", "two", line("two"))}, true, ""},
		{"an odd name", []string{part("b.001", "one", `\`+line("one"))}, true, ""},
		{"capital digits", []string{part("c.001", "one", strings.ToUpper(line("one")))}, true, ""},
		{"changed", []string{part("d.001", "one", line("one")), part("d.002", "twp", line("two"))}, false, "part 2 is not"},
		{"no checksum", []string{part("e.001", "one", "")}, false, ""},
		{"no checksum in it", []string{part("f.001", "one", "hello")}, false, "holds no checksum"},
		{"gone", []string{filepath.Join(dir, "g.001")}, false, ""},
		{"none", nil, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found, all, err := bundle.CheckParts(t.Context(), tt.parts, nil)
			if err != nil || all != tt.all || (len(found) > 0) != (tt.found != "") {
				t.Fatalf("found %v, all %v, error %v", found, all, err)
			}
			if tt.found != "" && !strings.Contains(found[0].Detail, tt.found) {
				t.Errorf("found %v", found)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := bundle.CheckParts(ctx, []string{part("h.001", "one", line("one"))}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
