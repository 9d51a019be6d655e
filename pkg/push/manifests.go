package push

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

const (
	maxManifest = 32 << 20 // bytes
	maxTagList  = 16 << 20 // bytes of one page
)

// headManifest gives the digest of a manifest by tag or digest, or ErrNotFound.
// Every type is named in Accept: Harbor has no manifest of a type that is not.
func (r *Registry) headManifest(ctx context.Context, repository, name string) (digest.Digest, error) {
	q := &request{
		method:    http.MethodHead,
		path:      "/v2/" + repository + "/manifests/" + name,
		header:    http.Header{"Accept": storage.ManifestMediaTypes},
		scopes:    r.pushScopes(repository, ""),
		accept404: true,
	}
	resp, err := r.send(ctx, q)
	if err != nil {
		return "", err
	}
	drain(resp)
	if resp.StatusCode == http.StatusNotFound {
		return "", ErrNotFound
	}
	if d := digest.Digest(resp.Header.Get("Docker-Content-Digest")); d.Validate() == nil {
		return d, nil
	}
	return r.getManifestDigest(ctx, q)
}

// getManifestDigest hashes a manifest, for registries that do not say its digest.
func (r *Registry) getManifestDigest(ctx context.Context, q *request) (digest.Digest, error) {
	q.method = http.MethodGet
	resp, err := r.send(ctx, q)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return "", ErrNotFound
	}
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxManifest+1))
	if err != nil {
		return "", err
	}
	if len(content) > maxManifest {
		return "", fmt.Errorf("reading manifest %s: over %d bytes", q.path, maxManifest)
	}
	return contentDigest(content, q.path), nil
}

// contentDigest hashes a manifest as what it was asked for by, and one of docker's
// first schema without the signatures that the registry put on.
func contentDigest(content []byte, path string) digest.Digest {
	name := digest.Digest(path[strings.LastIndexByte(path, '/')+1:])
	if name.Validate() == nil && storage.HasDigest(content, name) {
		return name
	}
	if payload, err := storage.SignedPayload(content); err == nil {
		content = payload
	}
	return digest.FromBytes(content)
}

// putManifest sends a manifest under a tag or its digest. The registry has to
// say the same digest, if it says one.
func (r *Registry) putManifest(ctx context.Context, repository, name, mediaType string, content []byte, want digest.Digest) error {
	resp, err := r.send(ctx, &request{
		method: http.MethodPut,
		path:   "/v2/" + repository + "/manifests/" + name,
		header: http.Header{"Content-Type": {mediaType}},
		scopes: r.pushScopes(repository, ""),
		size:   int64(len(content)),
		body:   bodyOf(content),

		patience: r.stall, // Harbor checks every blob of it, and counts quotas
	})
	var status *StatusError
	if errors.As(err, &status) && status.Status == http.StatusPreconditionFailed && r.isThere(ctx, repository, name, want) {
		return nil // immutable, and what it should be: an answer before this one was lost
	}
	if err != nil {
		return err
	}
	drain(resp)
	if resp.StatusCode != http.StatusCreated && (resp.StatusCode > 299 || !r.isThere(ctx, repository, name, want)) {
		return errUnexpected(resp)
	}
	return sameDigest(resp, want)
}

// isThere tells whether a tag has the digest that it should have.
func (r *Registry) isThere(ctx context.Context, repository, tag string, want digest.Digest) bool {
	got, err := r.headManifest(ctx, repository, tag)
	return err == nil && got == want
}

// sameDigest holds what the registry says that it has against what was meant. It
// may say nothing, or another algorithm's digest of the same content.
func sameDigest(resp *http.Response, want digest.Digest) error {
	got := digest.Digest(resp.Header.Get("Docker-Content-Digest"))
	if got.Validate() == nil && got.Algorithm() == want.Algorithm() && got != want {
		return fmt.Errorf("the registry took it as %s", got)
	}
	return nil
}

// tagLists knows which tags the target's repositories had when they were first
// asked for, one request a repository, so that no tag that is new has to be
// asked for on its own.
type tagLists struct {
	r     *Registry
	locks *locks // by repository, while it is asked
	mu    sync.Mutex
	lists map[string]*tagList
}

type tagList struct {
	tags  map[string]bool
	known bool // false where the registry would not say
}

func newTagLists(r *Registry) *tagLists {
	return &tagLists{r: r, locks: newLocks(), lists: map[string]*tagList{}}
}

// mayHave is false only where the registry said that there is no such tag. It
// returns no error but that of ctx.
func (l *tagLists) mayHave(ctx context.Context, repository, tag string) (bool, error) {
	unlock, err := l.locks.lock(ctx, repository)
	if err != nil {
		return false, err
	}
	defer unlock()
	l.mu.Lock()
	list := l.lists[repository]
	l.mu.Unlock()
	if list == nil {
		tags, err := l.r.listTags(ctx, repository)
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		list = &tagList{tags, err == nil}
		l.mu.Lock()
		l.lists[repository] = list
		l.mu.Unlock()
	}
	return !list.known || list.tags[tag], nil
}

// listTags gives a repository's tags, page by page; none for one that is absent.
func (r *Registry) listTags(ctx context.Context, repository string) (map[string]bool, error) {
	tags := map[string]bool{}
	q := &request{
		method:    http.MethodGet,
		path:      "/v2/" + repository + "/tags/list",
		scopes:    r.pushScopes(repository, ""),
		accept404: true,
	}
	for pages := 0; pages < 10000; pages++ {
		resp, err := r.send(ctx, q)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode == http.StatusNotFound {
			drain(resp)
			return tags, nil
		}
		var page struct {
			Tags []string `json:"tags"`
		}
		err = json.NewDecoder(io.LimitReader(resp.Body, maxTagList)).Decode(&page)
		drain(resp)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = errUnexpected(resp)
		}
		if err != nil {
			return nil, fmt.Errorf("reading tags of %s: %w", repository, err)
		}
		for _, t := range page.Tags {
			tags[t] = true
		}
		next := nextPage(resp)
		if next == nil {
			return tags, nil
		}
		if !sameServer(r.base, next) {
			return nil, fmt.Errorf("reading tags of %s: the next page is on another host, %s", repository, next.Host)
		}
		q.url = next
	}
	return nil, errors.New("reading tags: too many pages")
}

// nextPage reads the Link header of a page (RFC 5988, as the OCI distribution
// spec's "Listing Tags" uses it).
func nextPage(resp *http.Response) *url.URL {
	for _, header := range resp.Header.Values("Link") {
		for _, l := range links(header) {
			u, err := resp.Request.URL.Parse(l.target)
			if l.params["rel"] == "next" && err == nil {
				u.Scheme = resp.Request.URL.Scheme
				return u
			}
		}
	}
	return nil
}
