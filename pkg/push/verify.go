package push

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
)

// Has tells whether the target has the image under the same digest, and every
// manifest below it.
func (r *Registry) Has(ctx context.Context, img plan.Image) (bool, error) {
	if img.Target.Tag != "" {
		if may, err := r.tags.mayHave(ctx, img.Target.Repository, img.Target.Tag); err != nil || !may {
			return false, err
		}
	}
	d, err := r.Resolve(ctx, img.Target)
	if err == nil && d == img.Manifest.Digest {
		err = r.verifyBelow(ctx, img)
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return false, nil
	case err != nil || d != img.Manifest.Digest:
		return false, err
	}
	r.know(img)
	return true, nil
}

// know remembers what an image that is there brought along.
func (r *Registry) know(img plan.Image) {
	r.blobs.know(img.Target.Repository, blobDigests(img))
	for _, m := range img.Manifests {
		r.manifests.add(manifestKey(img.Target.Repository, m.Digest))
	}
}

// forget is the opposite of know.
func (r *Registry) forget(img plan.Image) {
	r.blobs.forget(img.Target.Repository, blobDigests(img))
	for _, m := range img.Manifests {
		r.manifests.remove(manifestKey(img.Target.Repository, m.Digest))
	}
}

func blobDigests(img plan.Image) []digest.Digest {
	digests := make([]digest.Digest, 0, len(img.Blobs))
	for _, b := range img.Blobs {
		digests = append(digests, b.Digest)
	}
	return digests
}

func manifestKey(repository string, d digest.Digest) string { return repository + "@" + d.String() }

// Verify compares an image with the target: its reference, and every manifest
// below it by digest. The error names the first that is missing or different.
func (r *Registry) Verify(ctx context.Context, img plan.Image) error {
	got, err := r.Resolve(ctx, img.Target)
	switch {
	case errors.Is(err, ErrNotFound):
		return fmt.Errorf("verifying %s: %w in the target", img.Target, err)
	case err != nil:
		return fmt.Errorf("verifying %s: %w", img.Target, err)
	case got != img.Manifest.Digest:
		return fmt.Errorf("verifying %s: the target has %s, the source %s", img.Target, got, img.Manifest.Digest)
	}
	if err := r.verifyBelow(ctx, img); err != nil {
		return fmt.Errorf("verifying %s: %w", img.Target, err)
	}
	return nil
}

// verifyBelow asks for the manifests below an image's own by their digests, each
// once for each repository.
func (r *Registry) verifyBelow(ctx context.Context, img plan.Image) error {
	for _, m := range img.Manifests {
		key := manifestKey(img.Target.Repository, m.Digest)
		if m.Digest == img.Manifest.Digest || r.verified.has(key) {
			continue
		}
		got, err := r.headManifest(ctx, img.Target.Repository, m.Digest.String())
		switch {
		case err != nil:
			return fmt.Errorf("manifest %s: %w", m.Digest, err)
		case got != m.Digest && got.Algorithm() == m.Digest.Algorithm():
			return fmt.Errorf("manifest %s: the target has %s under this digest", m.Digest, got)
		}
		r.verified.add(key)
	}
	return nil
}

// set is a set of strings for use by several goroutines.
type set struct {
	mu      sync.Mutex
	members map[string]bool
}

func newSet() *set { return &set{members: map[string]bool{}} }

func (s *set) has(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.members[key]
}

func (s *set) add(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.members[key] = true
}

func (s *set) remove(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.members, key)
}
