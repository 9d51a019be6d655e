package harbortest_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
)

// writeLayout writes the plain image as a dir: directory.
func writeLayout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{
		"version":                                "Directory Transport Version: 1.1\n",
		"manifest.json":                          image(nil),
		digest.FromString(imageConfig).Encoded(): imageConfig,
		digest.FromString(layerBytes).Encoded():  layerBytes,
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func httpsHead(t *testing.T, s *harbortest.Server, path string) http.Header {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.CertPEM())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequest("HEAD", s.URL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("admin", "Harbor12345")
	r.Header.Set("Accept", ocispec.MediaTypeImageManifest)
	resp, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.Header
}

func TestSkopeo(t *testing.T) {
	if _, err := exec.LookPath("skopeo"); err != nil {
		t.Skip("skopeo is not installed")
	}
	s := start(t, &harbortest.Options{TLS: true})
	certs := t.TempDir()
	if err := os.WriteFile(filepath.Join(certs, "ca.crt"), s.CertPEM(), 0o644); err != nil {
		t.Fatal(err)
	}
	copyTo := func(creds, repo string) (string, error) {
		out, err := exec.Command("skopeo", "copy", "--dest-cert-dir", certs, "--dest-creds", creds,
			"dir:"+writeLayout(t), "docker://"+s.Host()+"/"+repo).CombinedOutput()
		return string(out), err
	}
	if out, err := copyTo("admin:Harbor12345", "mig/app:v1"); err != nil {
		t.Fatalf("pushing: %v\n%s", err, out)
	}
	for _, refused := range [][2]string{{"admin:wrong", "mig/app:v2"}, {"admin:Harbor12345", "nope/app:v1"}} {
		if out, err := copyTo(refused[0], refused[1]); err == nil || !strings.Contains(out, "unauthorized") {
			t.Errorf("pushing %s as %s: %v\n%s", refused[1], refused[0], err, out)
		}
	}
	out, err := exec.Command("skopeo", "inspect", "--cert-dir", certs, "--creds", "admin:Harbor12345",
		"--format", "{{.Digest}}", "docker://"+s.Host()+"/mig/app:v1").Output()
	if err != nil {
		t.Fatal(err)
	}
	want := httpsHead(t, s, "/v2/mig/app/manifests/v1").Get("Docker-Content-Digest") // skopeo compresses the layer
	if got := strings.TrimSpace(string(out)); got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
}
