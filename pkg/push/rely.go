package push

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/opencontainers/go-digest"
)

// RelyOn asks whether a repository has a blob that will not be sent, since it is
// said to be in the target already. Where it is, it will be mounted from there;
// ErrNotFound says that it is not.
func (r *Registry) RelyOn(ctx context.Context, repository string, d digest.Digest) error {
	if r.blobs.knows(repository, d) {
		return nil
	}
	size, err := r.blobSize(ctx, repository, d)
	var status *StatusError
	switch {
	case errors.As(err, &status) && (status.Status == http.StatusUnauthorized || status.Status == http.StatusForbidden):
		return ErrNotFound // Harbor's answer where the project is not there
	case err != nil:
		return fmt.Errorf("asking for blob %s in %s: %w", d, repository, err)
	case size == missing:
		return ErrNotFound
	}
	r.blobs.know(repository, []digest.Digest{d})
	return nil
}
