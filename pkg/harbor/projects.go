package harbor

import (
	"context"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// lookUps is how many projects are looked up side by side.
const lookUps = 4

// Missing gives those of the named projects that do not exist, sorted.
func (h *Harbor) Missing(ctx context.Context, names []string) ([]string, error) {
	missing := map[string]bool{}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(lookUps)
	for _, name := range names {
		g.Go(func() error {
			exists, err := h.ProjectExists(ctx, name)
			if err == nil && !exists {
				mu.Lock()
				missing[name] = true
				mu.Unlock()
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(missing)), nil
}

// Create creates projects side by side. It tries all of them, and gives the
// errors of those that failed, by name.
func (h *Harbor) Create(ctx context.Context, names []string, public bool) map[string]error {
	failed := map[string]error{}
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(lookUps)
	for _, name := range names {
		g.Go(func() error {
			if err := h.CreateProject(ctx, name, public); err != nil {
				mu.Lock()
				failed[name] = err
				mu.Unlock()
			}
			return nil
		})
	}
	g.Wait()
	return failed
}
