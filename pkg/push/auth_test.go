package push_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/push"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

const secret = "sEcReT-pass-word"

func TestTokenIsReused(t *testing.T) {
	s := startHarbor(t, nil, "mig")
	r := dialHarbor(t, s, asAdmin())
	for n := range 20 {
		mustPush(t, r, image(fmt.Sprintf("mig/app-%d:1", n), "layer"))
	}
	if n := tally(s.Requests())["token"]; n != 2 { // one tests the password
		t.Errorf("%d tokens for one project, want 2", n)
	}
}

func TestTokenIsRenewed(t *testing.T) {
	refused := func(s *harbortest.Server) int {
		n := 0
		for _, q := range s.Requests() {
			if q.Status == http.StatusUnauthorized && q.Path != "/v2/" {
				n++
			}
		}
		return n
	}
	t.Run("before it ends", func(t *testing.T) {
		t.Parallel()
		s := startHarbor(t, &harbortest.Options{TokenLifetime: 4 * time.Second, Leeway: -1}, "mig")
		r := dialHarbor(t, s, asAdmin())
		mustPush(t, r, image("mig/app:1", "one"))
		time.Sleep(3100 * time.Millisecond)
		mustPush(t, r, image("mig/app:2", "two"))
		if n := tally(s.Requests())["token"]; n != 3 || refused(s) > 0 {
			t.Errorf("%d tokens, %d requests refused; want 3 and none", n, refused(s))
		}
	})
	t.Run("after a 401, once", func(t *testing.T) {
		t.Parallel()
		// Less than a second: the token server says nothing of its life.
		s := startHarbor(t, &harbortest.Options{TokenLifetime: 300 * time.Millisecond, Leeway: -1}, "mig")
		r := dialHarbor(t, s, asAdmin())
		mustPush(t, r, image("mig/app:1", "one"))
		time.Sleep(400 * time.Millisecond)
		before, tokens := refused(s), tally(s.Requests())["token"]
		if _, err := r.Resolve(t.Context(), image("mig/app:1", "one").Target); err != nil {
			t.Fatal(err)
		}
		if n := tally(s.Requests())["token"] - tokens; n != 1 || refused(s)-before != 1 {
			t.Errorf("%d tokens, %d requests refused; want 1 and 1", n, refused(s)-before)
		}
	})
}

func TestWrongPassword(t *testing.T) {
	h := newDistribution(t)
	basic := serve(t, withBasic(h, "user", "right"))
	for _, test := range []struct{ name, host, user string }{
		{"Harbor", startHarbor(t, nil, "mig").Host(), "admin"},
		{"basic authentication", hostOf(basic), "user"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := push.Dial(t.Context(), plainHTTP(test.host), &push.Options{Username: test.user, Password: secret, RetryDelay: time.Millisecond})
			if err == nil {
				t.Fatal("the registry took a wrong password")
			}
			if !strings.Contains(err.Error(), "refuses the user name") || !strings.Contains(report.Advice(err), "check user name and password") {
				t.Errorf("error %v, hint %q", err, report.Advice(err))
			}
			if strings.Contains(err.Error()+report.Advice(err), secret) {
				t.Errorf("the password is in %v", err)
			}
		})
	}
}

// withBasic wants a user name and a password before anything.
func withBasic(h http.Handler, user, password string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if u, p, _ := q.BasicAuth(); u != user || p != password {
			w.Header().Set("Www-Authenticate", `Basic realm="a registry"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}`, http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, q)
	})
}

func TestBasicAuthentication(t *testing.T) {
	s := serve(t, withBasic(newDistribution(t), "user", "right"))
	r := dial(t, hostOf(s), &push.Options{Username: "user", Password: "right"})
	mustPush(t, r, image("app:1", "layer"))
	if r.Username() != "user" {
		t.Errorf("user name %q", r.Username())
	}
	// Nobody is no wrong password: some registries let anyone read.
	r = dial(t, hostOf(s), nil)
	if o, err := image("app:2", "layer").pushTo(t.Context(), t, r); err == nil {
		t.Errorf("nobody could push: %+v", o)
	}
}

func TestAnonymous(t *testing.T) {
	s := startHarbor(t, nil, "mig")
	o, err := image("mig/app:1", "layer").pushTo(t.Context(), t, dialHarbor(t, s, nil))
	if err == nil || !strings.Contains(o.Error, "401 Unauthorized") || report.Advice(err) == "" {
		t.Errorf("outcome %+v, hint %q", o, report.Advice(err))
	}
}

// A tokenServer stands before a registry and gives the tokens that answer says.
func tokenServer(t *testing.T, answer func(w http.ResponseWriter, n int64)) (host string, asked *atomic.Int64) {
	t.Helper()
	h := newDistribution(t)
	asked = new(atomic.Int64)
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch {
		case q.URL.Path == "/token":
			answer(w, asked.Add(1))
		case q.Header.Get("Authorization") != "Bearer good":
			w.Header().Set("Www-Authenticate", `Bearer realm="http://`+q.Host+`/token",service="it"`)
			w.WriteHeader(http.StatusUnauthorized)
		default:
			h.ServeHTTP(w, q)
		}
	}))
	return hostOf(s), asked
}

// The token server is another machine, by a name that nobody here knows.
func TestTokenServerOutOfReach(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	s := startHarbor(t, &harbortest.Options{ExternalURL: gone.URL}, "mig")
	_, err := push.Dial(t.Context(), plainHTTP(s.Host()), asAdmin())
	if advice := report.Advice(err); err == nil || !strings.Contains(advice, hostOf(gone)) || !strings.Contains(advice, "external_url") {
		t.Errorf("error %v, hint %q", err, advice)
	}
}

func TestTokenServer(t *testing.T) {
	say := func(body string) func(http.ResponseWriter, int64) {
		return func(w http.ResponseWriter, _ int64) { io.WriteString(w, body) }
	}
	hourAgo := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	inAnHour := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	for _, test := range []struct {
		name   string
		answer func(w http.ResponseWriter, n int64)
		want   string // in the error; empty for none
		asked  int64
	}{
		{"token", say(`{"token":"good"}`), "", 1},
		{"access_token", say(`{"access_token":"good","expires_in":3600}`), "", 1},
		{"its clock is slow", say(`{"token":"good","expires_in":300,"issued_at":"` + hourAgo + `"}`), "", 1},
		{"its clock is fast", say(`{"token":"good","expires_in":300,"issued_at":"` + inAnHour + `"}`), "", 1},
		{"an endless life", say(`{"token":"good","expires_in":9223372036854775807}`), "", 1},
		{"no token", say(`{"expires_in":300}`), "no token in it", 1},
		{"a token of two lines", say(`{"token":"go\nod"}`), "no token in it", 1},
		{"junk", say(`junk`), "invalid character", 1},
		{"a page", say(`<html>`), "a page for people", 4},
		{"huge", say(`{"token":"` + strings.Repeat("x", 2<<20) + `"}`), "unexpected end", 1},
		{"down for good", func(w http.ResponseWriter, _ int64) { w.WriteHeader(503) }, "503 Service Unavailable", 4},
		{"down at first", func(w http.ResponseWriter, n int64) {
			if n < 3 {
				w.WriteHeader(502)
				return
			}
			io.WriteString(w, `{"token":"good"}`)
		}, "", 3},
		{"another token is good", func(w http.ResponseWriter, n int64) {
			json.NewEncoder(w).Encode(map[string]string{"token": []string{"", "bad", "good"}[n]})
		}, "", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			host, asked := tokenServer(t, test.answer)
			r := dial(t, host, &push.Options{RetryDelay: time.Millisecond, RetryTimes: 3})
			f := image("app:1", "layer")
			_, err := r.Resolve(t.Context(), f.Target)
			if test.want == "" && err != push.ErrNotFound {
				t.Errorf("error %v", err)
			}
			if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || strings.Count(err.Error(), "fetching token") != 1) {
				t.Errorf("error %v, want %q in it", err, test.want)
			}
			if asked.Load() != test.asked {
				t.Errorf("the token server was asked %d times, want %d", asked.Load(), test.asked)
			}
		})
	}
}

// Harbor takes a cookie for a browser's; see harbortest.
func TestNoCookies(t *testing.T) {
	s := startHarbor(t, nil, "mig")
	var cookies atomic.Int64
	s.Intercept(func(_ http.ResponseWriter, q *http.Request) bool {
		cookies.Add(int64(len(q.Cookies())))
		return false
	})
	mustPush(t, dialHarbor(t, s, asAdmin()), image("mig/app:1", "layer"))
	if n := cookies.Load(); n > 0 {
		t.Errorf("%d cookies came back", n)
	}
}

// A mount across projects takes both rights in one token.
func TestMountAcrossProjects(t *testing.T) {
	s := startHarbor(t, nil, "a", "b", "c")
	s.AddRobot("robot$both", secret, harbortest.Robot{System: true, Projects: []string{"a", "b"}})
	r := dialHarbor(t, s, &push.Options{Username: "robot$both", Password: secret, RetryDelay: time.Millisecond})
	one := image("a/one:1", "layer")
	mustPush(t, r, one)
	o, err := one.rename("b/one:1").pushTo(t.Context(), t, r)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([3]int64{2, 0, 0}, [3]int64{int64(o.Mounted), int64(o.Uploaded), o.Bytes}); diff != "" {
		t.Errorf("mounted, uploaded, bytes (-want +got):\n%s", diff)
	}
	if o, err := one.rename("c/one:1").pushTo(t.Context(), t, r); err == nil || strings.Contains(o.Error, secret) {
		t.Errorf("a project that the robot has no right to: %+v", o)
	}
}

// Where the account may no longer read what it would mount from, it uploads.
func TestMountRefused(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 405} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			s := startHarbor(t, nil, "a", "b")
			s.Intercept(func(w http.ResponseWriter, q *http.Request) bool {
				if q.URL.Query().Get("mount") == "" {
					return false
				}
				http.Error(w, `{"errors":[{"code":"DENIED","message":"no mounts"}]}`, status)
				return true
			})
			r := dialHarbor(t, s, asAdmin())
			one := image("a/one:1", "layer")
			mustPush(t, r, one)
			two := one.rename("b/one:1")
			mustPush(t, r, two)
			back := harborReader(t, s, "a", "b")
			back.check(t, one.Image)
			back.check(t, two.Image)

			// What is there is found by HEAD, and not sent again.
			s.ResetRequests()
			mustPush(t, dialHarbor(t, s, asAdmin()), one.rename("a/one:2"))
			if got := tally(s.Requests()); got["upload"] != 0 || got["other blob"] != 2 {
				t.Errorf("requests %v", got)
			}
		})
	}
}
