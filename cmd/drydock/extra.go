package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// findExtra names the tags that the target has in the plan's repositories and
// that nothing in the source would have put there.
func (s *session) findExtra(ctx context.Context, t *target, x *storage.Index, p *plan.Plan, r *request, missing []string) error {
	known := map[string]map[string]bool{} // tags by target repository
	for _, i := range p.Images {
		if known[i.Target.Repository] == nil {
			known[i.Target.Repository] = map[string]bool{}
		}
		known[i.Target.Repository][i.Target.Tag] = true
	}
	for repository := range x.Repositories() {
		if tags := known[r.rules.Target.Repository(repository.Name)]; tags != nil {
			for _, tag := range repository.Tags {
				tags[tag.Name] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if project, _, _ := strings.Cut(name, "/"); slices.Contains(missing, project) {
			continue
		}
		tags, err := t.registry.Tags(ctx, name)
		if err != nil {
			return fmt.Errorf("listing tags: %w", err)
		}
		for _, tag := range tags {
			if known[name][tag] {
				continue
			}
			f := report.TargetExtra.New("")
			f.Repository, f.Tag = name, tag
			if err := s.find(f); err != nil {
				return err
			}
		}
	}
	return nil
}
