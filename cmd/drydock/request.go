package main

import (
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/push"
)

// request is what the commands with a DEST are asked to do, once the command
// line is understood.
type request struct {
	to      plan.Destination
	rules   plan.Rules
	options *push.Options
	jobs    int
}

func (a *app) prepare(dest string, f *moveFlags) (*request, error) {
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
	options, err := f.targetFlags.options(a, f.jobs)
	if err != nil {
		return nil, err
	}
	return &request{to: to, rules: rules, options: options, jobs: f.jobs}, nil
}
