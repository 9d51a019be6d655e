package harbortest_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
)

const basicChallenge = `Basic realm="harbor"`

func wantChallenge(t *testing.T, resp *response, want string) {
	t.Helper()
	if got := resp.header.Get("Www-Authenticate"); got != want {
		t.Errorf("Www-Authenticate %s, want %s", got, want)
	}
}

func TestExpiredToken(t *testing.T) {
	s := start(t, &harbortest.Options{TokenLifetime: 500 * time.Millisecond, Leeway: -1})
	token := admin(t, s).bearer(push("mig/app"))
	location := token.startUpload("mig/app")
	time.Sleep(700 * time.Millisecond)
	d := digest.FromString("x")
	wantChallenge(t, token.finish(location, d, "x").want(t, 401), basicChallenge)
	admin(t, s).bearer(push("mig/app")).finish(location, d, "x").want(t, 201)
}

func TestLeeway(t *testing.T) {
	s := start(t, &harbortest.Options{TokenLifetime: time.Millisecond})
	token := admin(t, s).bearer(push("mig/app"))
	time.Sleep(10 * time.Millisecond)
	token.startUpload("mig/app")
}

func TestWrongPassword(t *testing.T) {
	s := start(t, nil)
	c := basic(t, s, "admin", "wrong")
	wantChallenge(t, c.do("GET", "/v2/", "").want(t, 401), basicChallenge)
	c.do("GET", "/service/token?service=harbor-registry", "").want(t, 401)
	if claims := claimsOf(t, c.bearer(push("mig/app"))); !strings.Contains(claims, `"actions":[]`) {
		t.Errorf("claims %s allow something", claims)
	}
}

func claimsOf(t *testing.T, c *client) string {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(c.auth, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestActionsComeFromRights(t *testing.T) {
	s := start(t, nil)
	all := accounts(t, s)
	all["jane"].createProject("hers").want(t, 201)
	tests := []struct{ who, scope, actions string }{
		{"admin", pull("mig/app"), `["pull","push","delete"]`},
		{"robot$mig+pr", push("mig/app"), `["pull","push"]`},
		{"robot$mig+pr", push("hers/app"), `[]`},
		{"jane", push("hers/app"), `["pull","push","delete"]`},
		{"jane", push("mig/app"), `[]`},
		{"jane", push("library/app"), `["pull"]`},
		{"anonymous", push("library/app"), `["pull"]`},
		{"admin", push("nope/app"), `[]`},
	}
	for _, tt := range tests {
		if claims := claimsOf(t, all[tt.who].bearer(tt.scope)); !strings.Contains(claims, `"actions":`+tt.actions+`}`) {
			t.Errorf("%s for %s: %s, want %s", tt.who, tt.scope, claims, tt.actions)
		}
	}
}

func TestTokenIsForProject(t *testing.T) {
	s := start(t, nil)
	s.CreateProject("mig2", harbortest.Project{})
	token := admin(t, s).bearer(push("mig/app"))
	token.startUpload("mig/other")
	wantChallenge(t, token.do("POST", "/v2/mig2/app/blobs/uploads/", "").want(t, 401), basicChallenge)
}

func TestTokenOlderThanProject(t *testing.T) {
	s := start(t, nil)
	early := admin(t, s).bearer(push("new/app"))
	admin(t, s).createProject("new").want(t, 201)
	early.do("POST", "/v2/new/app/blobs/uploads/", "").want(t, 401)
	admin(t, s).bearer(push("new/app")).startUpload("new/app")
}

func TestManyScopes(t *testing.T) {
	scopes := func(n int) (all []string) {
		for i := range n {
			all = append(all, pull(fmt.Sprintf("mig/a-repository-%d", i)))
		}
		return all
	}
	s := start(t, nil)
	token := admin(t, s).bearer(scopes(100)...)
	token.do("POST", "/v2/mig/app/blobs/uploads/", "").want(t, 400, "Request Header Or Cookie Too Large")
	admin(t, s).do("GET", "/service/token?scope="+strings.Join(scopes(400), "&scope="), "").want(t, 414)
	admin(t, s).do("POST", "/service/token", "").want(t, 405)
}

func TestSessionCookie(t *testing.T) {
	s := start(t, nil)
	c := admin(t, s)
	cookie := c.do("GET", "/v2/", "").want(t, 200).header.Get("Set-Cookie")
	if !strings.HasPrefix(cookie, "sid=") {
		t.Fatalf("Set-Cookie %q, want a sid", cookie)
	}
	cookie, _, _ = strings.Cut(cookie, ";")
	c.do("POST", "/v2/mig/app/blobs/uploads/", "", "Cookie", cookie).want(t, 403, "CSRF token not found in request")
	c.do("GET", "/v2/", "", "Cookie", cookie).want(t, 200)
}

func TestRobotPushesToItsProject(t *testing.T) {
	s := start(t, nil)
	s.CreateProject("mig2", harbortest.Project{})
	robot := accounts(t, s)["robot$mig+pr"]
	robot.pushImage("mig/app", "v1")
	robot.do("POST", "/v2/mig2/app/blobs/uploads/", "").want(t, 401)
}

func TestTLS(t *testing.T) {
	s := start(t, &harbortest.Options{TLS: true})
	if !strings.HasPrefix(s.URL(), "https://127.0.0.1:") || !strings.Contains(string(s.CertPEM()), "BEGIN CERTIFICATE") {
		t.Errorf("URL %s, certificate %s", s.URL(), s.CertPEM())
	}
}
