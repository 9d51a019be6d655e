package serve_test

import (
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/serve"
)

func hashed(t testing.TB, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

func TestUsers(t *testing.T) {
	u, err := serve.ParseUsers(strings.NewReader("# who may\n\nann:" + hashed(t, "a:b") + "\r\nbob:" + strings.Replace(hashed(t, ""), "$2a$", "$2y$", 1) + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, password string
		right          bool
	}{{"ann", "a:b", true}, {"ann", "a", false}, {"ann", "", false}, {"bob", "", true}, {"bob", "a:b", false}, {"", "", false}, {"eve", "a:b", false}, {"ann", strings.Repeat("x", 100), false}} {
		if u.Right(test.name, test.password) != test.right {
			t.Errorf("%q %q: want %v", test.name, test.password, test.right)
		}
	}
	secret := "$apr1$zz$secretsecretsecret"
	for _, text := range []string{"", "# nobody", "ann", ":" + hashed(t, "x"), "ann:plain", "ann:" + secret, "ann:" + strings.Replace(hashed(t, "x"), "$04$", "$31$", 1), "ann:" + strings.Repeat("x", 5000)} {
		_, err := serve.ParseUsers(strings.NewReader(text))
		if err == nil {
			t.Errorf("%.50q: no error", text)
			continue
		}
		if strings.Contains(err.Error()+report.Advice(err), secret) {
			t.Errorf("it tells a hash: %v", err)
		}
	}
}

func FuzzParseUsers(f *testing.F) {
	for _, s := range []string{"", "a:b", "#", "ann:" + hashed(f, "x"), "ann:$2y$99$", ":", "\x00:\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := serve.ParseUsers(strings.NewReader(s))
		if (u == nil) == (err == nil) {
			t.Errorf("%q: %v, %v", s, u, err)
		}
	})
}
