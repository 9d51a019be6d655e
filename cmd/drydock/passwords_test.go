package main

import (
	"encoding/base64"
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
)

const (
	someName     = "jane"
	somePassword = `Pä%ss "wo<rd>&+/\9`
)

// TestPasswordsAreNotTold looks for the password, in all forms that it may take,
// and for tokens, in whatever runs say and write that log all they do: a sound
// one, some that fail, and some against a registry that says back what it is told.
func TestPasswordsAreNotTold(t *testing.T) {
	tests := map[string]func(*world){
		"sound":     func(*world) {},
		"wrong":     func(w *world) { w.h.AddUser(someName, "another") },
		"read-only": func(w *world) { w.h.SetReadOnly(true) },
		"full":      func(w *world) { w.h.SetDefaultQuota(10) },
		"in passing": func(w *world) {
			seen := map[string]bool{}
			w.h.SetFaults(func(q *http.Request) harbortest.Fault {
				if kind := kindOf(q); !seen[kind] {
					seen[kind] = true
					return harbortest.Unavailable
				}
				return harbortest.NoFault
			})
		},
	}
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusConflict, http.StatusInternalServerError} {
		for _, kind := range requestKinds {
			tests[fmt.Sprint(status, " at ", kind)] = func(w *world) { w.h.Intercept(sayBack(kind, status)) }
		}
	}
	forms := []string{"json", "html", "xml"}
	for name, setUp := range tests {
		form := forms[len(name)%len(forms)]
		t.Run(name+"/"+form, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "")
			w.h.AddUser(someName, somePassword)
			setUp(w)
			to := *w.to
			to.username, to.password = someName, somePassword
			r := drydock(t, &to, "migrate", w.root, to.url, "--force", "--log-level", "debug", "--report", filepath.Join(w.dir, "report."+form),
				"--layouts", filepath.Join(w.dir, "layouts"), "--retry-times", "2", "--retry-delay", "1ms")
			if good := name == "sound" || name == "in passing"; good && r.code != exitDone || name == "wrong" && r.code != exitFailed {
				t.Errorf("exit status %d\n%s%s", r.code, r.stdout, r.stderr)
			}
			tellsNoSecret(t, "standard output", r.stdout)
			tellsNoSecret(t, "standard error", r.stderr)
			w.filesTellNoSecret(t)
		})
	}
}

// sayBack refuses requests of a kind with what they bring to identify themselves.
func sayBack(kind string, status int) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if kindOf(r) != kind {
			return false
		}
		_, password, _ := r.BasicAuth()
		said := strconv.Quote(password + " " + r.Header.Get("Authorization") + " " + password)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Www-Authenticate", r.Header.Get("Authorization"))
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"errors":[{"code":"DENIED","message":%s,"detail":%s}]}`, said, said)
		return true
	}
}

func (w *world) filesTellNoSecret(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(w.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		tellsNoSecret(t, e.Name(), string(content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if reports, _ := filepath.Glob(filepath.Join(w.dir, "report.*")); len(reports) != 1 {
		t.Errorf("the reports are %q", reports)
	}
}

var jsonWebToken = regexp.MustCompile(`eyJ[\w-]{10,}\.[\w-]{10,}`)

func tellsNoSecret(t *testing.T, where, text string) {
	t.Helper()
	quoted := strconv.Quote(somePassword)
	for form, secret := range map[string]string{
		"plain": somePassword, "quoted": quoted[1 : len(quoted)-1], "in HTML": html.EscapeString(somePassword),
		"in a query": url.QueryEscape(somePassword), "in a path": url.PathEscape(somePassword), "its beginning": somePassword[:6],
		"base64":                               base64.StdEncoding.EncodeToString([]byte(somePassword)),
		"as basic authentication":              base64.StdEncoding.EncodeToString([]byte(someName + ":" + somePassword)),
		"as basic authentication, for a query": base64.URLEncoding.EncodeToString([]byte(someName + ":" + somePassword)),
	} {
		if at := strings.Index(text, secret); at >= 0 {
			t.Errorf("the password is in %s, %s: %q", where, form, text[max(0, at-200):min(len(text), at+100)])
		}
	}
	if token := jsonWebToken.FindString(text); token != "" {
		t.Errorf("a token is in %s: %s", where, token)
	}
}
