package harbor

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
)

// How many projects one token is asked for; see maxListed. A scope has forty
// characters more than the name in it.
const (
	maxScopes     = 40
	maxScopeBytes = 2000
)

// askRights asks what the account may do with the repositories of projects, by
// way of a token for all of them: Harbor writes into it what this account may,
// whatever was asked for (src/core/service/token/creator.go), and looks at
// projects alone. It saves a request for each project, and robots have no other
// way. Administrators may everything.
func (p *preflight) askRights(ctx context.Context) {
	there := p.those(func(own *Project) bool { return own.Exists == Yes })
	if p.report.Account.Kind == Administrator {
		for _, own := range there {
			own.MayPush = Yes
		}
		return
	}
	for _, batch := range batches(there, maxScopes, maxScopeBytes) {
		err := p.askToken(ctx, batch)
		p.answered(err)
		if err != nil {
			p.unknown("whether this account may push", err, namesOf(batch)...)
		}
		if isUnreached(err) {
			return
		}
	}
}

// anyRepository stands for all of a project's.
const anyRepository = "/drydock"

func (p *preflight) askToken(ctx context.Context, batch []*Project) error {
	query := url.Values{"service": {"harbor-registry"}}
	for _, own := range batch {
		query.Add("scope", "repository:"+own.Name+anyRepository+":pull,push")
	}
	var token struct {
		Token string `json:"token"`
	}
	if _, err := p.Harbor.ask(ctx, "/service/token", query, &token); err != nil {
		return err
	}
	granted, err := grants(token.Token)
	if err != nil {
		return err
	}
	var missing []string
	for _, own := range batch {
		actions, ok := granted[own.Name+anyRepository]
		if !ok {
			missing = append(missing, own.Name)
			continue
		}
		own.MayPush = known(slices.Contains(actions, "push") && slices.Contains(actions, "pull"))
	}
	if len(missing) > 0 {
		p.unknown("whether this account may push", errNotInToken, missing...)
	}
	return nil
}

var (
	errNotInToken = errors.New("the token says nothing of it")
	errNoToken    = errors.New("the answer holds no token that can be read")
)

// grants reads what a token allows, by repository: the claim "access" of a JWT
// (distribution, docs/content/spec/auth/jwt.md). Nobody's word is taken for it
// but that of the server that was asked, so the signature is not looked at.
func grants(token string) (map[string][]string, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, errNoToken
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return nil, errNoToken
	}
	var claims struct {
		Access []struct {
			Type    string   `json:"type"`
			Name    string   `json:"name"`
			Actions []string `json:"actions"`
		} `json:"access"`
	}
	if json.Unmarshal(payload, &claims) != nil {
		return nil, errNoToken
	}
	granted := map[string][]string{}
	for _, a := range claims.Access {
		if a.Type == "repository" {
			granted[a.Name] = a.Actions
		}
	}
	return granted, nil
}
