package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/seed-5b48bd9d/drydock/pkg/dirlayout"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// openLayouts prepares the directory for layouts. It must not lie in the tree
// that the registry reads.
func openLayouts(dir string, src source.Source, x *storage.Index, method dirlayout.Method) (*dirlayout.Layouts, error) {
	if d, ok := src.(source.Dir); ok {
		tree, err := realPath(d.Root())
		if err != nil {
			return nil, err
		}
		target, err := realPath(dir)
		if err != nil {
			return nil, err
		}
		home, err := realPath(d.Home())
		if err != nil {
			return nil, err
		}
		if target == home || within(target, tree) || within(target, filepath.Join(home, "docker")) {
			return nil, report.WithHint(usageError{fmt.Errorf("the layouts cannot be in %s: that is the registry's own", target)},
				"name a directory beside it with --layouts")
		}
	}
	return dirlayout.Open(dir, src, &dirlayout.Options{Link: method, Path: x.Path})
}

func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, dir+string(filepath.Separator))
}

// realPath resolves symbolic links as far as the path exists.
func realPath(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	rest := ""
	for at := absolute; ; at = filepath.Dir(at) {
		if real, err := filepath.EvalSymlinks(at); err == nil {
			return filepath.Join(real, rest), nil
		}
		if at == filepath.Dir(at) {
			return absolute, nil
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
}

// defaultLayouts is where layouts go if nobody says: beside the registry's root,
// or, where that is another mount, across which there are no hard links, inside
// the root next to docker.
func defaultLayouts(src source.Source) (string, error) {
	d, ok := src.(source.Dir)
	if !ok {
		return "", report.WithHint(usageError{fmt.Errorf("no directory for the layouts")}, "name one with --layouts")
	}
	home := d.Home()
	beside := filepath.Dir(home)
	if sameMount(home, beside) {
		return filepath.Join(beside, "drydock-layouts"), nil
	}
	return filepath.Join(home, "drydock-layouts"), nil
}

// use takes over what placing files took.
func (s *session) use(u dirlayout.Usage) {
	s.summary.LinkedFiles, s.summary.CopiedBytes = u.Linked, u.Copied
}
