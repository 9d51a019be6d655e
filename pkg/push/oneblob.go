package push

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/opencontainers/go-digest"
)

// SendBlob uploads a small blob on its own, as part of no image, and gives its
// digest. The registry is not asked whether it is there.
func (r *Registry) SendBlob(ctx context.Context, repository string, content []byte) (digest.Digest, error) {
	d := digest.FromBytes(content)
	c := &claim{digest: d, repository: repository, from: repository}
	location, err := r.postUpload(ctx, c, r.pushScopes(repository, ""), nil)
	if err == nil {
		err = r.upload(ctx, c, location, int64(len(content)), bodyOf(content))
	}
	if err != nil {
		return "", withWhy(fmt.Errorf("sending a blob to %s: %w", repository, err))
	}
	return d, nil
}

// FetchBlob gives a blob of so many bytes at most, and the host that it came from:
// a registry before object storage sends those who read there. ErrNotFound says
// that the repository does not have it.
func (r *Registry) FetchBlob(ctx context.Context, repository string, d digest.Digest, most int64) (content []byte, host string, err error) {
	resp, err := r.send(ctx, &request{
		method:    http.MethodGet,
		path:      "/v2/" + repository + "/blobs/" + d.String(),
		scopes:    r.pushScopes(repository, ""),
		accept404: true,
	})
	if err != nil {
		return nil, "", withWhy(fmt.Errorf("reading blob %s of %s: %w", d, repository, err))
	}
	defer resp.Body.Close()
	host = resp.Request.URL.Host
	switch resp.StatusCode {
	case http.StatusOK:
		content, err = io.ReadAll(io.LimitReader(resp.Body, most))
	case http.StatusNotFound:
		drain(resp)
		err = ErrNotFound
	default:
		err = errUnexpected(resp)
	}
	if err != nil {
		return nil, host, fmt.Errorf("reading blob %s of %s: %w", d, repository, err)
	}
	return content, host, nil
}

// RemoveBlob takes a blob out of a repository, where the registry allows it. Its
// bytes stay until the registry collects its garbage.
func (r *Registry) RemoveBlob(ctx context.Context, repository string, d digest.Digest) error {
	resp, err := r.send(ctx, &request{
		method: http.MethodDelete,
		path:   "/v2/" + repository + "/blobs/" + d.String(),
		scopes: []scope{{r.scopeName(repository), "delete"}},
	})
	if err != nil {
		return fmt.Errorf("removing blob %s from %s: %w", d, repository, err)
	}
	drain(resp)
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("removing blob %s from %s: %w", d, repository, errUnexpected(resp))
	}
	return nil
}
