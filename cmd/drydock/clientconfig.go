package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// clientFlags ask for the configuration of clients that know an old registry.
type clientFlags struct{ dir, old string }

func (f *clientFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.dir, "client-config", "", "write into this `directory` what sends podman, CRI-O and containerd from the old registry's names to the new ones")
	flags.StringVar(&f.old, "old", "", "the old registry's `HOST[:PORT]`, as it stands in the names of images, for --client-config")
}

func (f *clientFlags) check() error {
	if (f.dir == "") != (f.old == "") {
		return usageError{errors.New("--client-config and --old go together")}
	}
	return nil
}

// write writes the configuration for a plan, if that was asked for, and says what
// it cannot do. Without flags, it does nothing.
func (f *clientFlags) write(s *session, p *plan.Plan, x *storage.Index, to plan.Destination) error {
	if f == nil || f.dir == "" {
		return nil
	}
	names := func(yield func(string) bool) {
		for r := range x.Repositories() {
			if !yield(r.Name) {
				return
			}
		}
	}
	c, err := plan.NewClientConfig(p, names, f.old, to)
	if err != nil {
		return usageError{err}
	}
	files := map[string]string{filepath.Join("registries.conf.d", strings.ReplaceAll(f.old, ":", "_")+".conf"): c.Registries}
	if c.Hosts != "" {
		files[filepath.Join("certs.d", f.old, "hosts.toml")] = c.Hosts
	}
	for name, content := range files {
		if err := writeConfig(filepath.Join(f.dir, name), content); err != nil {
			return fmt.Errorf("writing configuration for clients: %w", err)
		}
	}
	s.note("configuration for clients of %s is in %s: registries.conf.d goes into /etc/containers, certs.d into containerd's config_path", f.old, f.dir)
	for _, n := range c.Notes {
		s.note("%s", n)
	}
	return nil
}

// ours is how each of these files begins: no other is replaced.
const ours = "# Sends "

func writeConfig(path, content string) error {
	old, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !bytes.HasPrefix(old, []byte(ours)):
		return report.WithHint(fmt.Errorf("%s is somebody else's", path), "name another directory with --client-config")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	partial, err := os.CreateTemp(filepath.Dir(path), ".partial-")
	if err != nil {
		return err
	}
	defer os.Remove(partial.Name())
	_, err = partial.WriteString(content)
	if err = errors.Join(err, partial.Chmod(0o644), partial.Close()); err != nil {
		return err
	}
	return os.Rename(partial.Name(), path)
}
