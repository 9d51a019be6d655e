package main

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// servingRecipes are run like recipes, but for a block that serves: that one runs
// until the end of its recipe, at a port that is free.
var servingRecipes = []recipe{
	{
		heading: "Any client, from a backup",
		after:   `test -f app/index.json; test -f synced/app:v1/manifest.json; test -f synced/app:multi/manifest.json`,
	},
	{heading: "Podman, by the old names", after: `cmp pulled/manifest.json layouts/library/app:v1/manifest.json`},
	{heading: "Harbor, pulling from a backup", before: map[int]string{3: "replicate"}},
	{
		heading: "One image, from a backup",
		after: `cmp loaded.tar app.tar; skopeo inspect --raw docker-archive:app.tar; skopeo copy --all oci-archive:app.oci.tar dir:archive
skopeo copy --all oci:app dir:layout; cmp archive/manifest.json layouts/library/app:v1/manifest.json; cmp layout/manifest.json archive/manifest.json`,
	},
}

// Programs that a test cannot have, and what stands in for them: podman pulls with
// skopeo, which finds mirrors the same way; docker takes an archive, and htpasswd
// has a user with the password secret.
var standIns = map[string]string{
	"podman":   "#!/bin/sh\nexec skopeo --insecure-policy --registries-conf ROOT/etc/containers/registries.conf.d/backup.conf copy --all docker://$2 dir:pulled\n",
	"docker":   "#!/bin/sh\ntest $1 = load\nexec cat > loaded.tar\n",
	"htpasswd": "#!/bin/sh\necho \"$4:\"'$2a$04$KKWFcSpkbtvHJb4yGB62vuuEHTLW8XExDbuA.XkkmW31NR.nofwbW' > $3\n",
}

// TestServingRecipes runs the README's recipes that serve a backup or take from it.
func TestServingRecipes(t *testing.T) {
	for _, r := range servingRecipes {
		t.Run(r.heading, func(t *testing.T) {
			t.Parallel()
			for _, tool := range []string{"skopeo", "openssl", "curl"} {
				if _, err := exec.LookPath(tool); err != nil {
					t.Skipf("there is no %s", tool)
				}
			}
			m := &servingMachine{machine: newMachine(t)}
			m.prepare(t)
			blocks := readmeBlocks(t, r.heading)
			if len(blocks) == 0 {
				t.Fatal("no commands in the README")
			}
			for n, block := range blocks {
				if r.before[n] == "replicate" {
					m.replicate(t)
				}
				if strings.HasPrefix(block, "drydock serve ") {
					m.serve(t, block)
				} else {
					m.run(t, block)
				}
			}
			m.run(t, r.after)
		})
	}
}

// servingMachine is a machine that serves a backup.
type servingMachine struct {
	*machine
	scheme, host string
	log          bytes.Buffer
}

func (m *servingMachine) prepare(t *testing.T) {
	t.Helper()
	for _, dir := range []string{"backup", "etc/containers/registries.conf.d"} {
		if err := os.MkdirAll(filepath.Join(m.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, script := range standIns {
		script = strings.ReplaceAll(script, "ROOT", m.root)
		if err := os.WriteFile(filepath.Join(m.root, "bin", name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.run(t, "tar cf /backup/registry.tar -C /var/lib/registry .\ncp registry-backup.tar.gz backup.tar.gz\ndrydock convert /var/lib/registry layouts")
}

// replaced puts this machine's places into commands.
func (m *servingMachine) replaced(commands string) string {
	return strings.NewReplacer(
		" /backup", " "+m.root+"/backup", " /etc/containers", " "+m.root+"/etc/containers",
		"--listen 127.0.0.1:5000", "--listen 127.0.0.1:0", "--listen 0.0.0.0:5000", "--listen 127.0.0.1:0 --log-requests",
		"127.0.0.1:5000", m.host, "backup.example.com:5000", m.host, "harbor:…", "harbor:secret",
		"DNS:backup.example.com", "DNS:backup.example.com,IP:127.0.0.1",
	).Replace(commands)
}

// run runs shell commands in the machine's root.
func (m *servingMachine) run(t *testing.T, commands string) {
	t.Helper()
	m.machine.run(t, m.replaced(commands))
}

// serve runs a command that serves until the test ends, when it is to end well.
func (m *servingMachine) serve(t *testing.T, command string) {
	t.Helper()
	cmd := exec.Command("sh", "-e", "-c", "exec "+m.replaced(command))
	cmd.Dir, cmd.Stderr = m.root, &m.log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v: %s", command, err, m.log.String())
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	at := regexp.MustCompile(`^serving .* at (https?)://(\S+)\n$`).FindStringSubmatch(line)
	if err != nil || at == nil {
		t.Fatalf("%s: %q, %v", command, line, err)
	}
	m.scheme, m.host = at[1], at[2]
}
