package push

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// scope is what a token has to allow.
type scope struct {
	repository string
	actions    string // "pull", "pull,push"
}

func (s scope) String() string { return "repository:" + s.repository + ":" + s.actions }

// authorizer puts into requests what the registry asks for: nothing, basic
// authentication, or a token that is kept and renewed.
type authorizer struct {
	r                  *Registry
	username, password string

	mu        sync.Mutex
	challenge challenge
	tokens    map[string]*token
}

// token is a bearer token under its scopes. Its lock is held while it is fetched.
type token struct {
	mu      sync.Mutex
	value   string
	fetched time.Time
	renew   time.Time // by this machine's clock alone: the server's may be wrong
}

const (
	maxToken        = 1 << 20          // bytes read of a token server's answer
	defaultLifetime = 60 * time.Second // what the token spec says where nothing is stated
	renewAhead      = 30 * time.Second // before the end, or a quarter of a short life
)

func newAuthorizer(r *Registry, username, password string) *authorizer {
	return &authorizer{r: r, username: username, password: password, tokens: map[string]*token{}}
}

// learn takes the challenge of an answer to a ping, and tests the credentials.
func (a *authorizer) learn(ctx context.Context, resp *http.Response) error {
	a.mu.Lock()
	a.challenge = parseChallenge(resp.Header.Values("Www-Authenticate"))
	scheme := a.challenge.scheme
	a.mu.Unlock()
	if resp.StatusCode != http.StatusUnauthorized || a.username == "" {
		return nil
	}
	if scheme == "bearer" {
		// Without a scope: asked with one, Harbor answers a wrong password with
		// a token that allows nothing.
		_, err := a.token(ctx, nil, true)
		return a.refused(err)
	}
	again, err := a.r.send(ctx, &request{method: http.MethodGet, path: "/v2/"})
	if err != nil {
		return a.refused(err)
	}
	drain(again)
	return nil
}

// refused tells a wrong password from other trouble.
func (a *authorizer) refused(err error) error {
	status, ok := err.(*StatusError)
	if !ok || (status.Status != http.StatusUnauthorized && status.Status != http.StatusForbidden) {
		return err
	}
	return report.WithHint(fmt.Errorf("the registry refuses the user name %q with this password: %w", a.username, err),
		"check user name and password (a Harbor robot's name starts with robot$); nothing was sent")
}

// authorize puts credentials into a request. With fresh, kept ones are not used.
func (a *authorizer) authorize(ctx context.Context, req *http.Request, scopes []scope, fresh bool) error {
	a.mu.Lock()
	scheme := a.challenge.scheme
	a.mu.Unlock()
	if scheme != "bearer" {
		if a.username != "" {
			req.SetBasicAuth(a.username, a.password)
		}
		return nil
	}
	value, err := a.token(ctx, scopes, fresh)
	if err != nil {
		return fmt.Errorf("fetching token: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+value)
	return nil
}

// canRenew tells whether a request that was refused is worth a second try: with
// a new token, or as an answer to a challenge that is new.
func (a *authorizer) canRenew(resp *http.Response) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.challenge.scheme == "bearer" {
		return true
	}
	c := parseChallenge(resp.Header.Values("Www-Authenticate"))
	if c.scheme == a.challenge.scheme || c.scheme == "" {
		return false
	}
	a.challenge = c
	return true
}

// token gives a kept token for the scopes, or fetches one: one worker at a time
// for the same scopes.
func (a *authorizer) token(ctx context.Context, scopes []scope, fresh bool) (string, error) {
	key := fmt.Sprint(scopes)
	a.mu.Lock()
	t := a.tokens[key]
	if t == nil {
		t = &token{}
		a.tokens[key] = t
	}
	c := a.challenge
	a.mu.Unlock()

	asked := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.value != "" && time.Now().Before(t.renew) && (!fresh || t.fetched.After(asked)) {
		return t.value, nil
	}
	value, lifetime, err := a.fetch(ctx, c, scopes)
	if err != nil {
		return "", err
	}
	now := time.Now()
	t.value, t.fetched, t.renew = value, now, now.Add(lifetime-min(renewAhead, lifetime/4))
	return value, nil
}

// fetch asks the token server (distribution, docs/content/spec/auth/token.md).
func (a *authorizer) fetch(ctx context.Context, c challenge, scopes []scope) (string, time.Duration, error) {
	realm, err := url.Parse(c.params["realm"])
	if err != nil || (realm.Scheme != "http" && realm.Scheme != "https") {
		return "", 0, fmt.Errorf("the registry names the token server %q", clean(c.params["realm"], 200))
	}
	if realm.Scheme == "http" && a.r.base.Scheme == "https" && a.username != "" {
		return "", 0, report.WithHint(fmt.Errorf("the registry sends passwords to %s, without TLS", realm.Host),
			"in Harbor, set external_url to https")
	}
	query := realm.Query()
	if service := c.params["service"]; service != "" {
		query.Set("service", service)
	}
	for _, s := range scopes {
		query.Add("scope", s.String())
	}
	realm.RawQuery = query.Encode()
	var body []byte
	err = a.r.retry(ctx, func() error {
		body, err = a.ask(ctx, realm)
		return err
	})
	if err != nil {
		return "", 0, err
	}
	return parseToken(body)
}

func (a *authorizer) ask(ctx context.Context, realm *url.URL) ([]byte, error) {
	req, err := a.r.newRequest(ctx, &request{method: http.MethodGet, url: realm})
	if err != nil {
		return nil, err
	}
	if a.username != "" {
		req.SetBasicAuth(a.username, a.password)
	}
	resp, err := a.r.roundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, newStatusError(req, resp)
	}
	defer resp.Body.Close()
	return io.ReadAll(io.LimitReader(resp.Body, maxToken))
}

func parseToken(body []byte) (string, time.Duration, error) {
	var answer struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"` // seconds
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", 0, fmt.Errorf("reading the token server's answer: %w", err)
	}
	if answer.Token == "" {
		answer.Token = answer.AccessToken
	}
	if answer.Token == "" || strings.ContainsAny(answer.Token, "\r\n") {
		return "", 0, fmt.Errorf("reading the token server's answer: no token in it")
	}
	lifetime := defaultLifetime
	if answer.ExpiresIn > 0 {
		lifetime = time.Duration(min(answer.ExpiresIn, 365*24*3600)) * time.Second
	}
	return answer.Token, lifetime, nil
}

// pushScopes are what sending to a repository takes and, where from is given,
// mounting from another.
func (r *Registry) pushScopes(repository, from string) []scope {
	scopes := []scope{{r.scopeName(repository), "pull,push"}}
	if from != "" && r.scopeName(from) != scopes[0].repository {
		scopes = append(scopes, scope{r.scopeName(from), "pull"})
	}
	return scopes
}

// scopeName is the repository a token is asked for. Where tokens go by project,
// any repository of it will do: one that is the same for all.
func (r *Registry) scopeName(repository string) string {
	project, _, nested := strings.Cut(repository, "/")
	if r.opts.ProjectTokens && nested {
		return project + "/drydock"
	}
	return repository
}

// challenge is what a registry asks for in Www-Authenticate (RFC 9110, 11.6.1).
type challenge struct {
	scheme string // lower case; empty for none
	params map[string]string
}

// parseChallenge takes the first challenge that can be met: a token before a password.
func parseChallenge(headers []string) challenge {
	var found []challenge
	for _, h := range headers {
		scheme, rest, _ := strings.Cut(strings.TrimSpace(h), " ")
		if scheme = strings.ToLower(scheme); scheme == "bearer" || scheme == "basic" {
			found = append(found, challenge{scheme: scheme, params: parseParams(rest)})
		}
	}
	if i := slices.IndexFunc(found, func(c challenge) bool { return c.scheme == "bearer" }); i > 0 {
		return found[i]
	}
	if len(found) == 0 {
		return challenge{}
	}
	return found[0]
}

// parseParams reads name="value", name=value, …
func parseParams(s string) map[string]string {
	params := map[string]string{}
	for s != "" {
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			break
		}
		var value string
		if strings.HasPrefix(rest, `"`) {
			value, rest = unquote(rest[1:])
		} else if end := strings.IndexByte(rest, ','); end >= 0 {
			value, rest = rest[:end], rest[end:]
		} else {
			value, rest = rest, ""
		}
		params[strings.ToLower(strings.Trim(name, " ,"))] = strings.TrimSpace(value)
		s = rest
	}
	return params
}

func unquote(s string) (value, rest string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == '"':
			return b.String(), s[i+1:]
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), ""
}

// cutLink takes a Link header apart: <target>; name=value.
func cutLink(s string) (target string, params map[string]string, ok bool) {
	target, rest, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(s), "<"), ">")
	return target, parseParams(strings.TrimLeft(rest, "; ")), ok
}
