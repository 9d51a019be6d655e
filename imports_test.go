package drydock_test

import (
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/seed-5b48bd9d/drydock/"

// allowed is which of its own packages each may import: data flows one way, and
// imports go with it. What is not listed has its rule elsewhere.
var allowed = map[string][]string{
	"pkg/report":    {},
	"pkg/source":    {"pkg/report"},
	"pkg/storage":   {"pkg/source", "pkg/report"},
	"pkg/plan":      {"pkg/storage", "pkg/report"},
	"pkg/link":      {},
	"pkg/dirlayout": {"pkg/link", "pkg/plan", "pkg/storage", "pkg/source", "pkg/report"},
	"pkg/bundle":    {"pkg/dirlayout", "pkg/plan", "pkg/storage", "pkg/source", "pkg/report"},
	"pkg/push":      {"pkg/plan", "pkg/storage", "pkg/report"},
	"pkg/tree":      {"pkg/link", "pkg/storage", "pkg/source", "pkg/report"},
	"pkg/graft":     {"pkg/tree", "pkg/push", "pkg/link", "pkg/storage", "pkg/source", "pkg/report"},
	"pkg/harbor":    {"pkg/report"},
	"pkg/serve":     {"pkg/plan", "pkg/storage", "pkg/source", "pkg/report"},
	"pkg/extract":   {"pkg/plan", "pkg/storage", "pkg/source", "pkg/report"},
}

// imports gives the imports of a package's files, those of tests left out.
func imports(t *testing.T, dir string) (paths []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range file.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			paths = append(paths, path)
		}
	}
	return paths
}

func TestImports(t *testing.T) {
	for dir, may := range allowed {
		paths := imports(t, dir)
		if len(paths) == 0 {
			t.Errorf("%s has no imports: is it there?", dir)
		}
		for _, path := range paths {
			own, ok := strings.CutPrefix(path, module)
			if ok && !slices.Contains(may, own) {
				t.Errorf("%s imports %s", dir, own)
			}
		}
	}
}

// TestImportsEverywhere holds what is true of all packages.
func TestImportsEverywhere(t *testing.T) {
	dirs, err := filepath.Glob("pkg/*")
	if err != nil {
		t.Fatal(err)
	}
	below, err := filepath.Glob("pkg/*/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range slices.Concat(dirs, below, []string{"cmd/drydock"}) {
		for _, path := range imports(t, dir) {
			switch {
			case strings.HasPrefix(path, module+"cmd/"):
				t.Errorf("%s imports the command %s", dir, path)
			case strings.HasPrefix(path, "github.com/containers/image/") && dir != "pkg/push":
				t.Errorf("%s imports %s, which is pkg/push's alone", dir, path)
			}
		}
	}
}

// TestNoSignatures looks at all that the program is built of: these two
// packages make a plain build fail where gpgme is not installed.
func TestNoSignatures(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "./cmd/drydock").Output()
	if err != nil {
		t.Fatal(err)
	}
	for path := range strings.Lines(string(out)) {
		switch strings.TrimSpace(path) {
		case "github.com/containers/image/v5/copy", "github.com/containers/image/v5/signature":
			t.Errorf("the program is built with %s", path)
		}
	}
}
