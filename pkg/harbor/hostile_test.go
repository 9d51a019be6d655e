package harbor_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor"
	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
)

func say(status int, contentType, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// oddAnswers are what may come in the place of an answer.
var oddAnswers = map[string]func(http.ResponseWriter){
	"a page":              say(200, "text/html", "<html>please log in</html>"),
	"a page, not found":   say(404, "text/html", "<html>no such site</html>"),
	"a proxy's error":     say(502, "text/html", "<html>bad gateway</html>"),
	"an error of its own": say(500, "application/json", `{"errors":[{"code":"UNKNOWN","message":"internal server error"}]}`),
	"forbidden":           say(403, "application/json", `{"errors":[{"code":"FORBIDDEN","message":"forbidden"}]}`),
	"forbidden, oddly":    say(403, "application/json", `{"errors":[{"code":"\u001b[2J","message":"\u001b]0;x\u0007"}]}`),
	"cut JSON":            say(200, "application/json", `[{"project_id":1,"name":"mi`),
	"no JSON":             say(200, "application/json", `<html>`),
	"nothing":             say(200, "application/json", ""),
	"other JSON":          say(200, "application/json", `"a text"`),
	"too much":            say(200, "application/json", "["+strings.Repeat(" ", 5<<20)+"]"),
	"deep":                say(200, "application/json", strings.Repeat("[", 20_000)+strings.Repeat("]", 20_000)),
	"a lie about its length": func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte("{"))
	},
	"a broken connection": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
}

// oddQuestions are what may be answered oddly, and what must be unknown then.
var oddQuestions = []struct {
	name, account, method, path string
	unknown                     func(*harbor.Report) bool
}{
	{"who am I", "admin", "GET", "/users/current", func(r *harbor.Report) bool { return r.Account.Kind == "" }},
	{"health", "admin", "GET", "/health", func(r *harbor.Report) bool { return r.Healthy == harbor.Unknown }},
	{"listing", "admin", "GET", "/projects", func(r *harbor.Report) bool { return of(r, "mig").Public == harbor.Unknown }},
	{"look-up", "admin", "HEAD", "/projects", func(r *harbor.Report) bool { return of(r, "new").Exists == harbor.Unknown }},
	{"configuration", "admin", "GET", "/configurations", func(r *harbor.Report) bool { return of(r, "new").Quota == harbor.Unknown }},
	{"quotas", "robot$asker", "GET", "/quotas /summary", func(r *harbor.Report) bool { return of(r, "mig").Quota == harbor.Unknown }},
	{"quota", "dev", "GET", "/summary", func(r *harbor.Report) bool { return of(r, "mig").Quota == harbor.Unknown }},
	{"token", "dev", "GET", "/service/token", func(r *harbor.Report) bool { return of(r, "mig").MayPush == harbor.Unknown }},
	{"rules", "admin", "GET", "/immutabletagrules", func(r *harbor.Report) bool { return of(r, "mig").ImmutableChecked == harbor.Unknown }},
	{"retention", "admin", "GET", "/retentions/4", func(r *harbor.Report) bool { return of(r, "kept").Exists == harbor.Yes }},
	{"rights", "boss", "GET", "/permissions", func(r *harbor.Report) bool { return r.MayCreate == harbor.Unknown }},
}

func of(r *harbor.Report, name string) harbor.Project {
	i := slices.IndexFunc(r.Projects, func(p harbor.Project) bool { return p.Name == name })
	return r.Projects[i]
}

var oddAsk = harbor.Ask{Create: true, Projects: []harbor.Need{
	{Name: "mig", Bytes: 1, Replaced: []harbor.Tag{{Repository: "mig/app", Name: "v1"}}}, {Name: "kept"}, {Name: "new", Bytes: 1},
}}

// Whatever Harbor, or what stands before it, answers to one question: what it
// was about is unknown, that is said, and everything else is asked and found.
func TestPreflightOddAnswers(t *testing.T) {
	for _, question := range oddQuestions {
		for answer, give := range oddAnswers {
			t.Run(question.name+", "+answer, func(t *testing.T) {
				s := startFull(t)
				s.SetProjectCreationRestriction(harbortest.AdminOnly)
				h := detectBriefly(t, s, question.account)
				s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
					odd := r.Method == question.method && slices.ContainsFunc(strings.Fields(question.path), func(path string) bool { return strings.HasSuffix(r.URL.Path, path) })
					if odd {
						give(w)
					}
					return odd
				})
				ask := oddAsk
				ask.Username = question.account
				r, err := h.Preflight(t.Context(), ask)
				if err != nil {
					t.Fatal(err)
				}
				if question.method == "HEAD" && strings.HasPrefix(answer, "no") || question.method == "HEAD" && slices.Contains(
					[]string{"cut JSON", "other JSON", "too much", "deep", "a lie about its length"}, answer) {
					return // a HEAD has no body that could be odd
				}
				if !question.unknown(r) || !slices.ContainsFunc(r.Problems, func(p harbor.Problem) bool { return p.Code == harbor.NotAsked }) {
					t.Errorf("taken for an answer: %+v, %+v", lines(r), r.Projects)
				}
				if r.Stopped() || of(r, "kept").Exists != harbor.Yes {
					t.Errorf("more than the question was lost: %v", lines(r))
				}
				for _, p := range r.Problems {
					if strings.ContainsAny(p.String(), "\x1b\x07") || len(p.Detail) > 1000 {
						t.Errorf("%q", p)
					}
				}
			})
		}
	}
}

// A permission that does not say what it should is none.
func TestPreflightOddRights(t *testing.T) {
	s := startFull(t)
	h := detectBriefly(t, s, "dev")
	for _, token := range []string{
		"", "x", "a.b.c", "..", "a.e30.c", "a.eyJhY2Nlc3MiOiJ4In0.c", // {} and {"access":"x"}
		"a.eyJhY2Nlc3MiOlt7InR5cGUiOiJyZWdpc3RyeSIsIm5hbWUiOiJtaWcvZHJ5ZG9jayIsImFjdGlvbnMiOlsicHVzaCIsInB1bGwiXX1dfQ.c", // of another type
	} {
		s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/service/token" {
				return false
			}
			answerJSON(w, 200, fmt.Sprintf(`{"token":%q}`, token))
			return true
		})
		r, err := h.Preflight(t.Context(), harbor.Ask{Username: "dev", Projects: []harbor.Need{{Name: "mig"}}})
		if err != nil || of(r, "mig").MayPush != harbor.Unknown {
			t.Errorf("%q: %+v, %v", token, r, err)
		}
		diff(t, []string{"note unknown: mig (whether this account may push)"}, lines(r))
	}
}

// Amounts that cannot be are not believed.
func TestPreflightOddQuotas(t *testing.T) {
	for _, amounts := range []string{
		`{"hard":{"storage":-2},"used":{"storage":0}}`, `{"hard":{"storage":10},"used":{"storage":-1}}`, `{"hard":{},"used":{}}`, `{}`,
		`{"hard":{"storage":1e30},"used":{"storage":0}}`, `{"hard":{"storage":"10"},"used":{"storage":0}}`, `{"hard":null,"used":null}`,
	} {
		s := startFull(t)
		h := detectBriefly(t, s, "admin")
		s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			switch {
			case strings.HasSuffix(r.URL.Path, "/quotas"):
				answerJSON(w, 200, "["+strings.Replace(amounts, "{", `{"ref":{"name":"mig"},`, 1)+"]")
			case strings.HasSuffix(r.URL.Path, "/summary"):
				answerJSON(w, 200, `{"quota":`+amounts+"}")
			default:
				return false
			}
			return true
		})
		r, err := h.Preflight(t.Context(), harbor.Ask{Username: "admin", Projects: []harbor.Need{{Name: "mig", Bytes: 1 << 62}, {Name: "mig", Bytes: 1 << 62}}})
		if amounts == `{}` {
			amounts = "(nothing)"
		}
		if err != nil || of(r, "mig").Quota != harbor.Unknown || len(r.Problems) != 1 || r.Problems[0].Code != harbor.NotAsked {
			t.Errorf("%s: %+v, %v", amounts, r, err)
		}
	}
}

// A listing without an end comes to one.
func TestPreflightEndlessListings(t *testing.T) {
	s := startFull(t)
	h := detectBriefly(t, s, "admin")
	rows := "[" + strings.Repeat(`{"name":"x","ref":{"name":"x"},"hard":{"storage":1},"used":{"storage":0}},`, 99) + `{"name":"x"}]`
	var n atomic.Int64
	s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/quotas") && !strings.HasSuffix(r.URL.Path, "rules") {
			return false
		}
		n.Add(1)
		w.Header().Set("X-Total-Count", "1000000000")
		w.Header().Set("Link", `</api/v2.0/quotas?page=1>; rel="next"`)
		answerJSON(w, 200, rows)
		return true
	})
	r, err := h.Preflight(t.Context(), oddAsk)
	if err != nil || of(r, "mig").ImmutableChecked != harbor.Unknown {
		t.Errorf("%+v, %v", r, err)
	}
	if n.Load() > 102 {
		t.Errorf("%d requests", n.Load())
	}
}

// Where nothing answers any more, nobody waits for every question to find out.
func TestPreflightOutage(t *testing.T) {
	s := startFull(t)
	h := detectBriefly(t, s, "admin")
	ask := harbor.Ask{Username: "admin"}
	for n := range 500 {
		ask.Projects = append(ask.Projects, harbor.Need{Name: fmt.Sprintf("new-%d", n), Bytes: 1})
	}
	var n atomic.Int64
	fail := func(fails func(*http.Request) bool) {
		n.Store(0)
		s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if !fails(r) {
				return false
			}
			n.Add(1)
			w.WriteHeader(http.StatusBadGateway)
			return true
		})
	}
	fail(func(*http.Request) bool { return true })
	if r, err := h.Preflight(t.Context(), ask); err == nil || !strings.Contains(err.Error(), "asking Harbor what it would refuse: ") || n.Load() != 3 {
		t.Errorf("%+v, %v after %d requests", r, err, n.Load())
	}
	fail(func(r *http.Request) bool { return r.Method == http.MethodHead })
	r, err := h.Preflight(t.Context(), ask)
	if err != nil || n.Load() > 8 {
		t.Errorf("%v after %d requests", err, n.Load())
	}
	for _, p := range r.Projects {
		if p.Exists != harbor.Unknown {
			t.Errorf("%s exists: %s", p.Name, p.Exists)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	fail(func(*http.Request) bool { cancel(); return false })
	if r, err := h.Preflight(ctx, ask); !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", r, err)
	}
}

// One body in answer to everything: it is believed as far as it can be true.
func FuzzPreflight(f *testing.F) {
	for _, body := range []string{
		`{"auth_mode":"db_auth","read_only":false,"project_creation_restriction":"everyone","username":"admin","sysadmin_flag":true,"status":"healthy"}`,
		`{"auth_mode":"x","username":"u","status":"sick","components":[{"name":"redis"}],"quota":{"hard":{"storage":-5},"used":{"storage":5}},"token":"a.e30.c"}`,
		`[{"project_id":1,"name":"mig","registry_id":1,"metadata":{"public":"1"},"ref":{"name":"mig"},"hard":{"storage":1},"used":{"storage":2},"tag_selectors":[{"kind":"doublestar","decoration":"matches","pattern":"{"}],"scope_selectors":{"repository":[{}]}}]`,
		`[{"name":"mig","metadata":{"retention_id":"-1"}}]`, `{`, `null`, `[null]`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		h, err := harbor.Detect(t.Context(), fixed(`{"auth_mode":"db_auth"}`))
		if err != nil {
			t.Fatal(err)
		}
		*h = h.Over(fixed(body))
		r, err := h.Preflight(t.Context(), oddAsk)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range r.Projects {
			if p.Quota == harbor.Yes && (p.Limit < 0 || p.Used < 0) || p.Exists == harbor.No {
				t.Errorf("%+v", p)
			}
		}
	})
}
