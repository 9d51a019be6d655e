package harbor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// pullPolicies are the settings under which Harbor shows an image only to those
// whom it lets pull it: it answers 412 to a HEAD as well, until the image has
// been scanned or signed (src/server/registry/route.go and, in
// src/server/middleware, vulnerable and contenttrust).
func pullPolicies(metadata map[string]string) (policies []string) {
	if isTrue(metadata["prevent_vul"]) {
		policies = append(policies, "images that have not been scanned, or have vulnerabilities, cannot be pulled")
	}
	if isTrue(metadata["enable_content_trust_cosign"]) {
		policies = append(policies, "images without a signature of cosign cannot be pulled")
	}
	if isTrue(metadata["enable_content_trust"]) {
		policies = append(policies, "images without a signature of notation cannot be pulled")
	}
	return policies
}

func (p *preflight) judgePolicies(own *Project) {
	for _, policy := range own.policies {
		p.problem(PullPolicy, Note,
			"switch the policy off in the project's configuration until the migration has been verified: Harbor answers 412 for such images, to verify and to a second run as well",
			policy, own.Name)
	}
}

// retentionPolicy deletes tags, by rules (api/v2.0/swagger.yaml,
// RetentionPolicy).
type retentionPolicy struct {
	Rules []struct {
		Disabled bool `json:"disabled"`
	} `json:"rules"`
	Trigger struct {
		Settings struct {
			Cron string `json:"cron"`
		} `json:"settings"`
	} `json:"trigger"`
}

// askRetention looks at the retention policies of projects that have one.
func (p *preflight) askRetention(ctx context.Context) {
	open := p.those(func(own *Project) bool { return own.retention != "" && own.takes() })
	p.forEach(ctx, "whether its retention policy deletes tags", open, p.askRetentionOf)
}

var errRetentionID = errors.New("the id of the policy is no number")

func (p *preflight) askRetentionOf(ctx context.Context, own *Project) error {
	id, err := strconv.ParseInt(own.retention, 10, 64)
	if err != nil || id <= 0 {
		return errRetentionID
	}
	var policy retentionPolicy
	if _, err := p.Harbor.ask(ctx, fmt.Sprintf("/api/v2.0/retentions/%d", id), nil, &policy); err != nil {
		return err
	}
	active := slices.ContainsFunc(policy.Rules, func(r struct {
		Disabled bool `json:"disabled"`
	}) bool {
		return !r.Disabled
	})
	if !active {
		return nil
	}
	when := "when somebody starts it"
	if policy.Trigger.Settings.Cron != "" {
		when = fmt.Sprintf("on schedule, %.40q", policy.Trigger.Settings.Cron)
	}
	p.problem(RetentionPolicy, Note, "what is pushed counts as new: look at the rules in the project's policies before they run",
		"a retention policy deletes tags "+when, own.Name)
	return nil
}
