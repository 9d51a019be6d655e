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

func (a *app) prepare(dest string, src *sourceFlags, sel *selectFlags, mapping *mapFlags, reach *targetFlags, run *runFlags) (*request, error) {
	to, err := plan.ParseDestination(dest)
	if err != nil {
		return nil, usageError{err}
	}
	rules, err := sel.rules(src)
	if err != nil {
		return nil, err
	}
	if rules.Target, err = mapping.target(to); err != nil {
		return nil, err
	}
	if err := rules.Check(); err != nil {
		return nil, usageError{err}
	}
	if err := run.check(); err != nil {
		return nil, err
	}
	options, err := reach.options(a, run.jobs)
	if err != nil {
		return nil, err
	}
	return &request{to: to, rules: rules, options: options, jobs: run.jobs}, nil
}
