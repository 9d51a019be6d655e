package main

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/tree"
)

// formFlags say what images are converted into.
type formFlags struct {
	as string
	mapFlags
	trust bool
}

// The forms.
const (
	asLayouts = "layouts"
	asStorage = "storage"
)

// storageFlags are those that mean something for a registry's storage alone.
var storageFlags = []string{"project", "rewrite", "project-map", "trust-source"}

func (f *formFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.as, "as", asLayouts, "what to make: layouts, or storage: a registry's own tree, docker/registry/v2, made or added to")
	f.mapFlags.register(flags)
	project := flags.Lookup("project")
	project.DefValue, f.project = "", ""
	project.Usage = "with --as storage, the `project` for repositories of one component; else they stay as they are"
	flags.BoolVar(&f.trust, "trust-source", false, "with --as storage, do not hash blobs before they go in, after a check --read-data of the same source")
}

// check refuses flags that do not go together.
func (f *formFlags) check(flags *pflag.FlagSet) error {
	switch f.as {
	case asStorage:
		return nil
	case asLayouts:
	default:
		return usageError{fmt.Errorf("bad value %q for --as: want layouts or storage", f.as)}
	}
	for _, name := range storageFlags {
		if flags.Changed(name) {
			return report.WithHint(usageError{fmt.Errorf("--%s goes with --as storage", name)}, "layouts keep the names of the source; drydock push maps them")
		}
	}
	return nil
}

// treeOptions are how a registry's storage is written. With --read-data, all is
// hashed while the source is read.
func (o *convertOptions) treeOptions() (tree.Options, error) {
	method, err := o.method()
	if err == nil && method == link.Symlink {
		err = report.WithHint(usageError{errors.New("--link=symlink: a registry's storage holds files")}, "use --link=auto")
	}
	return tree.Options{Link: method, Trust: o.trust || o.readData}, err
}
