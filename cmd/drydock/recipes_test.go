package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

// recipe is a section of the README whose commands are run as they are written,
// but for places: the root of the machine, Harbor's address and password.
type recipe struct {
	heading string
	before  map[int]string // shell commands for what happens meanwhile, before the nth block
	after   string         // shell commands that hold what came of it
}

var recipes = []recipe{
	{heading: "On the registry's host", after: `test -f migration.html`},
	{
		heading: "The old registry's disk attached to the Harbor host",
		before:  map[int]string{0: `cp -a /var/lib/registry /mnt/old`},
		after:   `test -s harbor.sql; test -f migration.html; for b in $(find /mnt/old/docker/registry/v2/blobs -size +1M -name data); do test $(stat -c %h $b) = 2; done`,
	},
	{heading: "From a tarball backup", after: `test ! -e drydock-layouts/.drydock; test -d drydock-layouts/library/app:v1`},
	{heading: "Through ssh, from the registry's host", after: `test -d drydock-layouts/library/app:v1`},
	{
		heading: "Across an air gap, with a disk",
		before:  map[int]string{3: `rm -r /srv/layouts/alpine:3`}, // which needs the project behind the host
		after:   `cd /srv/layouts && sha256sum --quiet --ignore-missing -c SHA256SUMS`,
	},
	{
		heading: "Across an air gap, with media of 4 GB",
		before:  map[int]string{1: `cp /srv/bundle/* /srv/arrived/`, 2: `rm /srv/bundle/registry.tar.002`},
		after:   `cmp /srv/bundle/registry.tar.002 /srv/arrived/registry.tar.002`,
	},
	{
		heading: "Across an air gap, every month",
		before:  map[int]string{1: `cp -a /var/lib/next/docker /var/lib/registry/`},
		after:   `test $(wc -c < /media/disk/december.tar) -lt 100000`,
	},
	{heading: "As files, into another registry's storage", after: `drydock migrate /srv/new harbor.example.com`},
}

// TestRecipes runs the README's recipes, each on a machine of its own as far as
// a directory can be one.
func TestRecipes(t *testing.T) {
	for _, r := range recipes {
		t.Run(r.heading, func(t *testing.T) {
			t.Parallel()
			for _, tool := range []string{"tar", "gzip", "skopeo"} {
				if _, err := exec.LookPath(tool); err != nil {
					t.Skipf("there is no %s", tool)
				}
			}
			m := newMachine(t)
			blocks := readmeBlocks(t, r.heading)
			if len(blocks) == 0 {
				t.Fatal("no commands in the README")
			}
			for n, block := range blocks {
				m.run(t, r.before[n])
				m.run(t, block)
			}
			m.run(t, r.after)
			m.run(t, "drydock verify /var/lib/registry harbor.example.com")
		})
	}
}

// readmeBlocks gives the indented blocks of a section.
func readmeBlocks(t *testing.T, heading string) (blocks []string) {
	t.Helper()
	content, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(content), "\n### "+heading+"\n")
	if !ok {
		t.Fatalf("the README has no section %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n### ")
	block := ""
	for line := range strings.Lines(section + "\n") {
		if strings.HasPrefix(line, "    ") {
			block += strings.TrimSpace(line) + "\n"
		} else if block != "" {
			blocks, block = append(blocks, block), ""
		}
	}
	return blocks
}

// machine is a root directory with a registry's storage and a backup of it, and
// a Harbor.
type machine struct {
	root   string
	harbor *registryUnderTest
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{root: t.TempDir()}
	for _, dir := range []string{"var/lib", "media/disk", "mnt", "data/registry", "srv/layouts", "srv/bundle", "srv/arrived", "bin"} {
		if err := os.MkdirAll(filepath.Join(m.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.harbor = startHarborIn(t, filepath.Join(m.root, "data/registry"))
	text := "random big 3000000\nimage app amd64 big\nimage arm arm64 l-arm\nindex multi app arm\n" +
		"tag library/app v1 app\ntag library/app multi multi\ntag team/tools/cli v1 arm\ntag alpine 3 arm\n"
	m.tree(t, "var/lib/registry", text)
	m.tree(t, "var/lib/next", text+"image new amd64 big l-new\ntag library/app v2 new\n")
	for name, script := range map[string]string{
		"ssh":    "#!/bin/sh\nshift\nexec \"$@\"\n",
		"docker": "#!/bin/sh\ntest $1 = exec && echo a database\n",
	} {
		if err := os.WriteFile(filepath.Join(m.root, "bin", name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.run(t, "tar czf registry-backup.tar.gz -C /var/lib/registry .")
	return m
}

func (m *machine) tree(t *testing.T, dir, text string) {
	t.Helper()
	b, err := storagetest.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.WriteTo(filepath.Join(m.root, dir)); err != nil {
		t.Fatal(err)
	}
}

// run runs shell commands in the machine's root.
func (m *machine) run(t *testing.T, commands string) {
	t.Helper()
	script := commands
	for _, dir := range []string{"/var/lib", "/media/disk", "/mnt", "/data", "/srv"} {
		script = strings.ReplaceAll(script, " "+dir, " "+m.root+dir)
	}
	script = strings.NewReplacer(
		"HARBOR_PASSWORD=…", "HARBOR_PASSWORD="+m.harbor.password,
		"--volume-size 4G", "--volume-size 1MiB",
		"--scoped "+m.root+"/srv/layouts harbor.example.com", fmt.Sprintf("--dest-tls-verify=false --dest-creds %s:%s --scoped %s/srv/layouts %s",
			m.harbor.username, m.harbor.password, m.root, strings.TrimPrefix(m.harbor.url, "http://")),
		"harbor.example.com", m.harbor.url,
	).Replace(script)
	cmd := exec.Command("sh", "-e", "-c", script)
	cmd.Dir = m.root
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(m.root, "bin")+":"+os.Getenv("PATH"),
		"HARBOR_USERNAME="+m.harbor.username, "HARBOR_PASSWORD="+m.harbor.password)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s\n%v\n%s", script, err, out)
	}
}
