package push

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
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
	fetching           *locks // by scopes

	mu        sync.Mutex
	challenge challenge
	tokens    map[string]token // by scopes
}

// token is a bearer token.
type token struct {
	value string
	renew time.Time // by this machine's clock alone: the server's may be wrong
}

const (
	maxToken        = 1 << 20          // bytes read of a token server's answer
	defaultLifetime = 60 * time.Second // what the token spec says where nothing is stated
	renewAhead      = 30 * time.Second // before the end, or a quarter of a short life
)

func newAuthorizer(r *Registry, username, password string) *authorizer {
	return &authorizer{r: r, username: username, password: password, fetching: newLocks(), tokens: map[string]token{}}
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
		return a.refused(a.r.retry(ctx, func() error {
			_, err := a.token(ctx, nil, "")
			return err
		}))
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
	var status *StatusError
	if !errors.As(err, &status) || (status.Status != http.StatusUnauthorized && status.Status != http.StatusForbidden) {
		return err
	}
	return report.WithHint(fmt.Errorf("the registry refuses the user name %q with this password: %w", a.username, err),
		"check user name and password (a Harbor robot's name starts with robot$); nothing was sent")
}

// authorize puts credentials into a request, other than those that were refused
// before, if any were.
func (a *authorizer) authorize(ctx context.Context, req *http.Request, scopes []scope, refused string) error {
	a.mu.Lock()
	scheme := a.challenge.scheme
	a.mu.Unlock()
	if scheme != "bearer" {
		if a.username != "" {
			req.SetBasicAuth(a.username, a.password)
		}
		return nil
	}
	value, err := a.token(ctx, scopes, strings.TrimPrefix(refused, bearer))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", bearer+value)
	return nil
}

const bearer = "Bearer "

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

// token gives a kept token for the scopes, unless it is the refused one, or
// fetches one: one worker at a time for the same scopes.
func (a *authorizer) token(ctx context.Context, scopes []scope, refused string) (string, error) {
	key := fmt.Sprint(scopes)
	unlock, err := a.fetching.lock(ctx, key)
	if err != nil {
		return "", err
	}
	defer unlock()
	a.mu.Lock()
	kept, c := a.tokens[key], a.challenge
	a.mu.Unlock()
	if kept.value != "" && kept.value != refused && time.Now().Before(kept.renew) {
		return kept.value, nil
	}
	value, lifetime, err := a.fetch(ctx, c, scopes)
	if err != nil {
		return "", fmt.Errorf("fetching token: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tokens[key] = token{value, time.Now().Add(lifetime - min(renewAhead, lifetime/4))}
	return value, nil
}

// fetch asks the token server, once (distribution, docs/content/spec/auth/token.md).
// What fails in passing is repeated with the request that the token is for.
func (a *authorizer) fetch(ctx context.Context, c challenge, scopes []scope) (string, time.Duration, error) {
	realm, err := url.Parse(c.params["realm"])
	if err != nil || (realm.Scheme != "http" && realm.Scheme != "https") {
		return "", 0, fmt.Errorf("the registry names the token server %q", clean(a.secrets().Replace(c.params["realm"]), 200))
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
	body, err := a.ask(ctx, realm)
	if err != nil {
		return "", 0, a.elsewhere(err, realm)
	}
	return parseToken(body)
}

// elsewhere adds to an error what to do where the token server is out of reach, and
// nobody named its host: Harbor names the one that it is said to have.
func (a *authorizer) elsewhere(err error, realm *url.URL) error {
	var status *StatusError
	if errors.As(err, &status) || !isNetwork(err) || strings.EqualFold(realm.Host, a.r.base.Host) {
		return err
	}
	return report.WithHint(err, fmt.Sprintf("the registry sends whoever wants a token to %s: see that it can be reached from here or, in Harbor, set external_url", clean(realm.Host, 200)))
}

// ask takes no slot: whoever needs a token has one.
func (a *authorizer) ask(ctx context.Context, realm *url.URL) ([]byte, error) {
	req, err := a.r.newRequest(ctx, &request{method: http.MethodGet, url: realm})
	if err != nil {
		return nil, err
	}
	if a.username != "" {
		req.SetBasicAuth(a.username, a.password)
	}
	resp, err := a.r.do(req, a.r.quick)
	if err != nil {
		return nil, err
	}
	switch {
	case isPage(resp):
		return nil, newPageError(req, resp)
	case resp.StatusCode != http.StatusOK:
		return nil, a.conceal(newStatusError(req, resp))
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
		return "", 0, fmt.Errorf("reading the answer: %w", err)
	}
	if answer.Token == "" {
		answer.Token = answer.AccessToken
	}
	if answer.Token == "" || strings.ContainsFunc(answer.Token, unfitForHeader) {
		return "", 0, fmt.Errorf("reading the answer: no token in it")
	}
	lifetime := defaultLifetime
	if answer.ExpiresIn > 0 {
		lifetime = time.Duration(min(answer.ExpiresIn, 365*24*3600)) * time.Second
	}
	return answer.Token, lifetime, nil
}

// unfitForHeader tells what no token consists of, and no header may.
func unfitForHeader(c rune) bool { return c <= ' ' || c > '~' }

// conceal takes secrets out of what a registry says, should it say them back.
func (a *authorizer) conceal(e *StatusError) *StatusError {
	hide := a.secrets()
	for i, d := range e.Details {
		d.Code, d.Message = hide.Replace(d.Code), hide.Replace(d.Message)
		if text, ok := d.Detail.(string); ok {
			d.Detail = hide.Replace(text)
		}
		e.Details[i] = d
	}
	return e
}

// secrets replaces the password and the tokens in a text.
func (a *authorizer) secrets() *strings.Replacer {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []string
	for _, t := range a.tokens {
		all = append(all, t.value, "…")
	}
	if a.password != "" {
		basic := base64.StdEncoding.EncodeToString([]byte(a.username + ":" + a.password))
		all = append(all, basic, "…", a.password, "…", url.QueryEscape(a.password), "…", url.PathEscape(a.password), "…")
	}
	return strings.NewReplacer(all...)
}

// pushScopes are what sending to a repository takes and, where from is given,
// mounting from another. What only asks wants no more than the rights to ask, but
// has a token for both where something is sent too: one is fetched then, not two.
func (r *Registry) pushScopes(repository, from string) []scope {
	if r.opts.ReadOnly {
		return []scope{{r.scopeName(repository), "pull"}}
	}
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
