package dirlayout_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/dirlayout"
	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// TestExistingInOneRun: what a run made itself is looked at like all else, though
// it does not look before it writes where nothing was.
func TestExistingInOneRun(t *testing.T) {
	tr := write(t, t.TempDir(), sample, plan.Rules{})
	layouts := filepath.Join(t.TempDir(), "new")
	l := tr.open(t, layouts, link.Auto)
	deep := tr.image(t, "library/app:deep")
	dir := filepath.Join(layouts, "library/app:deep")
	write := func(want bool) {
		t.Helper()
		if made, err := l.Write(t.Context(), deep); err != nil || made != want {
			t.Fatalf("made %v, error %v", made, err)
		}
	}
	write(true)
	whole := snapshot(t, dir)
	write(false)
	diff(t, whole, snapshot(t, dir))
	if err := os.Remove(filepath.Join(dir, tr.Digest("base").Encoded())); err != nil {
		t.Fatal(err)
	}
	write(true)
	diff(t, whole, snapshot(t, dir))
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Write(t.Context(), deep); err == nil || report.Advice(err) == "" {
		t.Errorf("over somebody's file: error %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	diff(t, []string{"library/", "library/app:deep"}, list(t, layouts))
}

// TestOneVersion: layouts share the file version, until somebody replaces it.
func TestOneVersion(t *testing.T) {
	tr := write(t, t.TempDir(), sample, plan.Rules{})
	layouts := layoutsOf(t, tr)
	version := func(name string) string { return filepath.Join(layouts, name, "version") }
	if !sameFile(t, version("library/app:v1"), version("single:latest")) || sameFile(t, version("library/app:v1"), version("library/big:v1")) {
		t.Error("each of the two versions is to be one file")
	}
	for name, want := range map[string]string{"library/app:v1": dirlayout.Version1_1, "library/big:v1": dirlayout.Version1_2} {
		if content, err := os.ReadFile(version(name)); err != nil || string(content) != want {
			t.Errorf("%s: %q, error %v", name, content, err)
		}
	}
	if err := replace(version("single:latest"), []byte("another\n")); err != nil {
		t.Fatal(err)
	}
	tr.convert(t, layouts, link.Auto)
	for _, name := range []string{"library/app:v1", "single:latest"} {
		if content, err := os.ReadFile(version(name)); err != nil || string(content) != dirlayout.Version1_1 {
			t.Errorf("%s: %q, error %v", name, content, err)
		}
	}
}
