package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/seed-5b48bd9d/drydock/pkg/dirlayout"
	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// openLayouts prepares the directory for layouts. It must not lie in the tree
// that the registry reads.
func openLayouts(dir string, src source.Source, x *storage.Index, method link.Method) (*dirlayout.Layouts, error) {
	if err := outside(src, dir, "the layouts"); err != nil {
		return nil, err
	}
	return dirlayout.Open(dir, src, &dirlayout.Options{Link: method, Path: x.Path})
}

// outside refuses to write into the tree that a registry reads.
func outside(src source.Source, path, what string) error {
	d, ok := src.(source.Dir)
	if !ok {
		return nil
	}
	tree, err := realPath(d.Root())
	if err != nil {
		return err
	}
	target, err := realPath(path)
	if err != nil {
		return err
	}
	home, err := realPath(d.Home())
	if err != nil {
		return err
	}
	if target == home || within(target, tree) || within(target, filepath.Join(home, "docker")) {
		return report.WithHint(usageError{fmt.Errorf("%s cannot be in %s: that is the registry's own", what, target)}, "name a place beside it")
	}
	return nil
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
func defaultLayouts(src source.Source, location string) string {
	d, ok := src.(source.Dir)
	if !ok {
		return besideArchive(location)
	}
	home := d.Home()
	beside := filepath.Dir(home)
	if link.SameMount(home, beside) {
		return filepath.Join(beside, "drydock-layouts")
	}
	return filepath.Join(home, "drydock-layouts")
}

// use takes over what placing files took.
func (s *session) use(u link.Usage) {
	s.summary.LinkedFiles, s.summary.CopiedBytes = u.Linked, u.Copied
}
