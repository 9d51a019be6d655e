package main

import (
	"context"
	"errors"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/push"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// request is what the commands with a DEST are asked to do, once the command
// line is understood.
type request struct {
	to      plan.Destination
	rules   plan.Rules
	options *push.Options
	jobs    int
	target  *targetFlags
}

func (a *app) prepare(ctx context.Context, location, dest string, f *moveFlags) (*request, error) {
	if location == "-" && f.passwordStdin {
		return nil, report.WithHint(usageError{errors.New("standard input cannot be both the archive and the password")},
			"set HARBOR_PASSWORD, or log in with docker or podman first")
	}
	to, err := plan.ParseDestination(dest)
	if err != nil {
		return nil, usageError{err}
	}
	rules, err := f.rules(&f.sourceFlags)
	if err != nil {
		return nil, err
	}
	if rules.Target, err = f.target(to); err != nil {
		return nil, err
	}
	if err := rules.Check(); err != nil {
		return nil, usageError{err}
	}
	if err := f.runFlags.check(); err != nil {
		return nil, err
	}
	if err := f.targetFlags.readSettings(); err != nil {
		return nil, err
	}
	options, err := f.targetFlags.options(ctx, a, f.jobs)
	if err != nil {
		return nil, err
	}
	return &request{to: to, rules: rules, options: options, jobs: f.jobs, target: &f.targetFlags}, nil
}
