package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// registryUnderTest is a registry that tests push to.
type registryUnderTest struct {
	url                string
	username, password string
	referrers          bool // it has the referrers API
	unread             bool // skopeo need not read it
	harbor             *harbortest.Server
	storage            string // the registry's root directory; empty where it keeps nothing on disk
}

// target is a kind of registry, and what it takes from nobody.
type targetKind struct {
	name    string
	start   func(*testing.T) *registryUnderTest
	refuses func(mediaType string, indexOfLayers bool) bool
}

var targets = []targetKind{
	{"harbor", startHarbor, func(_ string, indexOfLayers bool) bool { return indexOfLayers }},
	{"distribution-3", startDistribution, func(mediaType string, indexOfLayers bool) bool {
		return indexOfLayers || storage.IsSchema1(mediaType)
	}},
	{"distribution-2.8", startDebianRegistry, func(string, bool) bool { return false }},
}

func startHarbor(t *testing.T) *registryUnderTest { return startHarborIn(t, "") }

// startHarborIn starts a Harbor that keeps what is pushed in a directory.
func startHarborIn(t *testing.T, dir string) *registryUnderTest {
	server, err := harbortest.New(&harbortest.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return &registryUnderTest{
		url: server.URL(), username: "admin", password: "Harbor12345", referrers: true, harbor: server, storage: dir,
	}
}

// startDistribution runs distribution v3 in this process.
func startDistribution(t *testing.T) *registryUnderTest {
	dir := t.TempDir()
	server, err := harbortest.NewRegistry(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return &registryUnderTest{url: server.URL, storage: dir}
}

// startDebianRegistry runs Debian's docker-registry 2.8 as a process.
func startDebianRegistry(t *testing.T) *registryUnderTest {
	return debianRegistry(t, filepath.Join(t.TempDir(), "storage"))
}

// debianRegistry does so over a storage.
func debianRegistry(t *testing.T, storage string) *registryUnderTest {
	program, err := exec.LookPath("docker-registry")
	if err != nil {
		t.Skip("docker-registry is not installed")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	if err := os.MkdirAll(storage, 0o755); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "config.yml")
	text := fmt.Sprintf(`version: 0.1
log: {level: error}
storage:
  filesystem: {rootdirectory: %s}
http: {addr: %s}
compatibility: {schema1: {enabled: true}}
validation: {manifests: {urls: {allow: ["^https?://"]}}}
`, storage, address)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "serve", config)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for range 100 {
		if resp, err := http.Get("http://" + address + "/v2/"); err == nil {
			resp.Body.Close()
			return &registryUnderTest{url: "http://" + address, storage: storage}
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("docker-registry did not start")
	return nil
}
