// Package pull takes images out of registries, and drops what it gets: a client
// that costs as little as can be, so that those who serve it can be compared.
package pull

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// Counts are what was asked for, and what came.
type Counts struct {
	Requests int64
	Bytes    int64 // of bodies
}

// All takes every tag of some repositories, several of these side by side: each
// manifest and each blob of a repository once.
func All(ctx context.Context, url string, repositories []string, jobs int) (Counts, error) {
	p := &puller{url: url, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: jobs, DisableCompression: true}}}
	defer p.client.CloseIdleConnections()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(jobs)
	for _, name := range repositories {
		g.Go(func() error {
			if err := p.repository(ctx, name); err != nil {
				return fmt.Errorf("pulling %s: %w", name, err)
			}
			return nil
		})
	}
	err := g.Wait()
	return Counts{p.requests.Load(), p.bytes.Load()}, err
}

type puller struct {
	url             string
	client          *http.Client
	requests, bytes atomic.Int64
}

func (p *puller) repository(ctx context.Context, name string) error {
	var list struct{ Tags []string }
	if err := p.document(ctx, "/v2/"+name+"/tags/list", &list); err != nil {
		return err
	}
	if len(list.Tags) == 0 {
		return errors.New("it has no tags")
	}
	seen := map[string]bool{}
	for _, tag := range list.Tags {
		if err := p.manifest(ctx, name, tag, seen); err != nil {
			return err
		}
	}
	return nil
}

// descriptor is what a manifest says of a part of it.
type descriptor struct {
	Digest string
	Size   int64 // bytes
}

func (p *puller) manifest(ctx context.Context, name, reference string, seen map[string]bool) error {
	if seen[reference] {
		return nil
	}
	seen[reference] = true
	var m struct {
		Config            *descriptor
		Layers, Manifests []descriptor
	}
	if err := p.document(ctx, "/v2/"+name+"/manifests/"+reference, &m); err != nil {
		return err
	}
	for _, child := range m.Manifests {
		if err := p.manifest(ctx, name, child.Digest, seen); err != nil {
			return err
		}
	}
	if m.Config != nil {
		m.Layers = append(m.Layers, *m.Config)
	}
	for _, b := range m.Layers {
		if seen[b.Digest] {
			continue
		}
		seen[b.Digest] = true
		n, err := p.get(ctx, "/v2/"+name+"/blobs/"+b.Digest, io.Discard)
		if err == nil && n != b.Size {
			err = fmt.Errorf("blob %s: %d bytes of %d", b.Digest, n, b.Size)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *puller) document(ctx context.Context, path string, into any) error {
	r, w := io.Pipe()
	go func() {
		_, err := p.get(ctx, path, w)
		w.CloseWithError(err)
	}()
	err := json.NewDecoder(r).Decode(into)
	_, rest := io.Copy(io.Discard, r)
	return errors.Join(err, rest)
}

func (p *puller) get(ctx context.Context, path string, to io.Writer) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path, nil)
	if err != nil {
		return 0, err
	}
	req.Header["Accept"] = storage.ManifestMediaTypes
	p.requests.Add(1)
	resp, err := p.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: %s", path, resp.Status)
	}
	n, err := io.Copy(to, resp.Body)
	p.bytes.Add(n)
	return n, err
}
