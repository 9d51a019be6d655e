package harbortest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
)

// An exchange is one request and Harbor's answer, as lines without their
// markers.
type exchange struct {
	name           string
	sent, answered []string
}

func readExchanges(t *testing.T) (all []exchange) {
	t.Helper()
	b, err := os.ReadFile("testdata/exchanges.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, section := range strings.Split(string(b), "\n## ")[1:] {
		name, rest, _ := strings.Cut(section, "\n")
		e := exchange{name: name}
		for _, line := range strings.Split(rest, "\n") {
			if sent, ok := strings.CutPrefix(line, "> "); ok {
				e.sent = append(e.sent, sent)
			}
			if answered, ok := strings.CutPrefix(line, "< "); ok {
				e.answered = append(e.answered, answered)
			}
		}
		all = append(all, e)
	}
	return all
}

// A replay keeps what one exchange leaves for the next.
type replay struct {
	*client
	location string
}

// before says what has happened on the real Harbor before an exchange, apart
// from the exchanges themselves.
func (r *replay) before(name string) {
	switch name {
	case "PATCH a chunk":
		r.location = r.startUpload("mig/app")
	case "PUT a manifest by tag":
		r.upload("mig/app", layerBytes, "")
	case "PUT a referrer by digest":
		r.upload("mig/app", "{}", "")
	case "Mount from another project, both scopes in the token":
		r.s.CreateProject("mig2", harbortest.Project{})
	case "A project robot asks for a token":
		r.s.AddRobot("robot$mig+pr", "pw", harbortest.Robot{Projects: []string{"mig"}})
	case "Over the quota: the closing PUT":
		r.s.CreateProject("migq", harbortest.Project{StorageLimit: 100})
		r.location = r.do("PATCH", r.startUpload("migq/app"), strings.Repeat("x", 5000)).header.Get("Location")
	case "PUT to an immutable tag, the same manifest":
		r.s.SetImmutable("mig", true)
	case "Read-only: start an upload":
		r.s.SetReadOnly(true)
	}
}

// authorization stands for what an exchange has in angle brackets.
func (r *replay) authorization(what, path string) string {
	repo, _, _ := strings.Cut(strings.TrimPrefix(path, "/v2/"), "/blobs")
	repo, _, _ = strings.Cut(repo, "/manifests")
	if !strings.Contains(repo, "/") {
		repo = "mig/app"
	}
	switch what {
	case "<admin>":
		return r.auth
	case "<wrong password>":
		return basic(r.t, r.s, "admin", "wrong").auth
	case "<robot>":
		return basic(r.t, r.s, "robot$mig+pr", "pw").auth
	case "<token>":
		return r.bearer(push(repo), pull("mig/app")).auth
	case "<target token>":
		return r.bearer(push(repo)).auth
	}
	return "Bearer nonsense"
}

var headerLine = regexp.MustCompile(`^([A-Z][A-Za-z-]+): ?(.*)$`)

// splitLines takes the headers off the lines below a first one; what is left
// is the body.
func splitLines(lines []string) (header map[string]string, body string) {
	header = map[string]string{}
	for _, line := range lines[1:] {
		if m := headerLine.FindStringSubmatch(line); m != nil {
			header[m[1]] = m[2]
		} else {
			body = line
		}
	}
	return header, body
}

func (r *replay) send(e exchange) *response {
	method, target, _ := strings.Cut(e.sent[0], " ")
	if _, rest, ok := strings.Cut(target, "<uuid>?_state=<state>"); ok {
		target = r.location + rest
	}
	header, body := splitLines(e.sent)
	c := &client{t: r.t, s: r.s}
	if what, ok := header["Authorization"]; ok {
		u, _ := url.Parse(target)
		c.auth = r.authorization(what, u.Path)
	}
	delete(header, "Authorization")
	var headers []string
	for name, value := range header {
		headers = append(headers, name, value)
	}
	resp := c.do(method, target, body, headers...)
	if location := resp.header.Get("Location"); location != "" {
		r.location = location
	}
	return resp
}

var variable = []struct {
	pattern *regexp.Regexp
	name    string
}{
	{regexp.MustCompile(`20\d\d-\d\d-\d\dT[\d:.]+Z`), "<time>"},
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "<uuid>"},
	{regexp.MustCompile(`_state=[^&]*`), "_state=<state>"},
	{regexp.MustCompile(`token":"[^"]+"`), `token":"<JWT>"`},
}

func (r *replay) normal(s string) string {
	s = strings.ReplaceAll(s, r.s.URL(), "<url>")
	s = strings.ReplaceAll(s, r.s.Host(), "<host>")
	for _, v := range variable {
		s = v.pattern.ReplaceAllString(s, v.name)
	}
	return s
}

// received puts an answer into the form of the file.
func (r *replay) received(resp *response, wanted map[string]string) (string, map[string]string, string) {
	header := map[string]string{}
	for name, values := range resp.header {
		switch name {
		case "Date", "Set-Cookie", "Etag", "X-Content-Type-Options":
			continue
		case "Content-Length":
			if _, ok := wanted[name]; !ok {
				continue
			}
		}
		header[name] = r.normal(values[0])
	}
	return fmt.Sprint(resp.status, " ", http.StatusText(resp.status)), header, r.normal(strings.TrimSuffix(resp.body, "\n"))
}

func TestExchanges(t *testing.T) {
	s, err := harbortest.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.CreateProject("graftb", harbortest.Project{})
	s.CreateProject("graftl", harbortest.Project{})
	for r, all := (&replay{client: admin(t, s)}), readExchanges(t); len(all) > 0; all = all[1:] {
		e := all[0]
		t.Run(e.name, func(t *testing.T) {
			r.before(e.name)
			wantHeader, wantBody := splitLines(e.answered)
			status, header, body := r.received(r.send(e), wantHeader)
			if start, ok := strings.CutSuffix(wantBody, "…"); ok && strings.HasPrefix(body, start) {
				body = wantBody
			}
			if status != e.answered[0] {
				t.Errorf("status %s, want %s", status, e.answered[0])
			}
			if diff := cmp.Diff(wantHeader, header); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(wantBody, body); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}
