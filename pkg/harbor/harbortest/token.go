package harbortest

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"
)

const (
	tokenService = "harbor-registry"
	tokenIssuer  = "harbor-token-issuer"
	tokenHeader  = `{"alg":"HS256","kid":"TEST:ONLY:TEST:ONLY:TEST:ONLY:TEST:ONLY:TEST:ONLY:TEST:ONLY","typ":"JWT"}`
)

// claims are those of a token. Times are in seconds; they have a fraction only
// where the lifetime has one.
type claims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub,omitempty"`
	Audience string   `json:"aud"`
	Expires  float64  `json:"exp"`
	NotFrom  float64  `json:"nbf"`
	Issued   float64  `json:"iat"`
	ID       string   `json:"jti"`
	Access   []access `json:"access"`
}

type access struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// grants gathers a token's actions by project: Harbor does not look at the
// repositories in it.
func (c *claims) grants() map[string][]string {
	grants := map[string][]string{}
	for _, a := range c.Access {
		project, _, _ := strings.Cut(a.Name, "/")
		grants[project] = append(grants[project], a.Actions...)
	}
	return grants
}

// serveToken gives a token to anyone who asks for a scope: wrong credentials
// lead to a token that allows nothing. Without a scope they are refused.
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return writeEmpty(w, http.StatusMethodNotAllowed)
	}
	scopes := scopesOf(r)
	c := s.caller(r)
	if !c.known() && len(scopes) == 0 {
		return writeEmpty(w, http.StatusUnauthorized)
	}
	access, ok := s.grant(c, scopes)
	if !ok {
		return writeEmpty(w, http.StatusInternalServerError)
	}
	issued := s.now()
	token := s.sign(c.name, issued, access)
	writeAs(w, http.StatusOK, errorType, struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
		IssuedAt    string `json:"issued_at"`
	}{token, token, int(s.lifetime.Seconds()), issued.UTC().Format(time.RFC3339)})
	return nil
}

func scopesOf(r *http.Request) []string {
	var scopes []string
	for _, s := range r.URL.Query()["scope"] {
		scopes = append(scopes, strings.Fields(s)...)
	}
	return scopes
}

// grant turns scopes into what the caller may do there, which can be more or
// less than was asked for. It reports false for a repository without a
// project.
func (s *Server) grant(c caller, scopes []string) ([]access, bool) {
	granted := []access{}
	for _, scope := range scopes {
		kind, rest, _ := strings.Cut(scope, ":")
		name, _ := cutLast(rest, ":")
		if kind != "repository" {
			granted = append(granted, access{kind, name, catalogActions(c)})
			continue
		}
		project, _, ok := strings.Cut(name, "/")
		if !ok {
			return nil, false
		}
		granted = append(granted, access{kind, name, s.actions(c, project)})
	}
	return granted, true
}

func catalogActions(c caller) []string {
	if c.admin {
		return []string{"*"}
	}
	return []string{}
}

func (s *Server) actions(c caller, name string) []string {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	return c.actions(name, s.db.projects[name])
}

func cutLast(s, sep string) (before, after string) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i+len(sep):]
}

// now is the time to the second, unless tokens live shorter than makes sense
// in seconds.
func (s *Server) now() time.Time {
	if s.lifetime%time.Second != 0 {
		return time.Now()
	}
	return time.Now().Truncate(time.Second)
}

func (s *Server) sign(subject string, issued time.Time, granted []access) string {
	payload, err := json.Marshal(claims{
		Issuer: tokenIssuer, Subject: subject, Audience: tokenService,
		Expires: seconds(issued.Add(s.lifetime)), NotFrom: seconds(issued), Issued: seconds(issued),
		ID: rand.Text()[:16], Access: granted,
	})
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	signed := encode([]byte(tokenHeader)) + "." + encode(payload)
	return signed + "." + encode(s.mac(signed))
}

var errBadToken = errors.New("token is not valid")

// verify returns the claims of a token that was made here and has not expired.
func (s *Server) verify(token string) (*claims, error) {
	signed, signature := cutLast(token, ".")
	_, payload, _ := strings.Cut(signed, ".")
	if !hmac.Equal([]byte(encode(s.mac(signed))), []byte(signature)) {
		return nil, errBadToken
	}
	raw, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return nil, errBadToken
	}
	c := &claims{}
	if err := json.NewDecoder(bytes.NewReader(raw)).Decode(c); err != nil {
		return nil, errBadToken
	}
	if seconds(time.Now()) > c.Expires+s.leeway.Seconds() {
		return nil, errBadToken
	}
	return c, nil
}

func (s *Server) mac(signed string) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte(signed))
	return h.Sum(nil)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
