package push

import (
	"context"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
)

// blobMap knows where in the target each blob is, and sees to it that each is
// uploaded by one worker at a time and once.
type blobMap struct {
	mu    sync.Mutex
	blobs map[digest.Digest]*blobPlace
	homes map[digest.Digest]string // where blobs of several repositories go first
}

// blobPlace is what is known of one blob in the target.
type blobPlace struct {
	repositories map[string]bool   // that have it
	home         map[string]string // by project, a repository that has it
	first        string            // the first repository that has it
	busy         map[string]bool   // repositories it is on the way to
	uploading    bool
	damaged      error         // why nobody need send it again: its bytes are wrong
	changed      chan struct{} // closed at the next change
}

func newBlobMap() *blobMap {
	return &blobMap{blobs: map[digest.Digest]*blobPlace{}, homes: map[digest.Digest]string{}}
}

// expect makes the first repository that needs a blob its home, where there are
// several.
func (b *blobMap) expect(images []plan.Image) {
	first, homes := map[digest.Digest]string{}, map[digest.Digest]string{}
	for _, i := range images {
		for _, d := range i.Blobs {
			to := i.Target.Repository
			switch at, ok := first[d.Digest]; {
			case !ok:
				first[d.Digest] = to
			case at != to && mountable(d.Digest):
				homes[d.Digest] = at
			}
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.homes = homes
}

// homeFor is where a blob that is nowhere yet has to go before it goes to a
// repository; empty where it need not.
func (b *blobMap) homeFor(d digest.Digest, repository string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.blobs[d]; (p != nil && p.first != "") || b.homes[d] == repository {
		return ""
	}
	return b.homes[d]
}

func (b *blobMap) dropHome(d digest.Digest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.homes, d)
}

func (b *blobMap) place(d digest.Digest) *blobPlace {
	p := b.blobs[d]
	if p == nil {
		p = &blobPlace{
			repositories: map[string]bool{}, home: map[string]string{}, busy: map[string]bool{},
			changed: make(chan struct{}),
		}
		b.blobs[d] = p
	}
	return p
}

// mountable tells whether a mount of a blob can be relied on. distribution keeps
// every blob under its sha256, and answers a mount under another algorithm with
// 201 and a link to nothing.
func mountable(d digest.Digest) bool { return d.Algorithm() == digest.Canonical }

// claim is the duty of one worker to get one blob into one repository.
type claim struct {
	digest     digest.Digest
	repository string
	from       string // where to mount it from; the repository itself where nothing is known
	known      bool   // from is known to have it
}

// claim waits until nobody else is bringing the blob there, nor uploading it
// for the first time. It gives nil where the repository has the blob by then.
func (b *blobMap) claim(ctx context.Context, d digest.Digest, repository string) (*claim, error) {
	for {
		b.mu.Lock()
		p := b.place(d)
		switch {
		case p.repositories[repository]:
			b.mu.Unlock()
			return nil, nil
		case p.damaged != nil && p.first == "":
			b.mu.Unlock()
			return nil, p.damaged
		case p.first != "" && !p.busy[repository]:
			p.busy[repository] = true
			from := p.home[project(repository)]
			if from == "" {
				from = p.first
			}
			b.mu.Unlock()
			return &claim{d, repository, from, true}, nil
		case p.first == "" && !p.uploading:
			p.uploading, p.busy[repository] = true, true
			b.mu.Unlock()
			return &claim{d, repository, repository, false}, nil
		}
		changed := p.changed
		b.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// settle ends a claim: the repository has the blob now, or not.
func (b *blobMap) settle(c *claim, done bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.place(c.digest)
	delete(p.busy, c.repository)
	if !c.known {
		p.uploading = false
	}
	if done {
		p.add(c.repository)
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

// condemn spares everyone else a blob whose bytes the registry refused: a layer
// of gigabytes may be part of many images.
func (b *blobMap) condemn(d digest.Digest, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.place(d).damaged = err
}

// know tells of a repository that is known to have blobs, so that they can be
// mounted from there.
func (b *blobMap) know(repository string, digests []digest.Digest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range digests {
		b.place(d).add(repository)
	}
}

// knows tells whether a repository is known to have a blob.
func (b *blobMap) knows(repository string, d digest.Digest) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.place(d).repositories[repository]
}

// forget is the opposite of know. Where else a blob is said to be is doubtful too.
func (b *blobMap) forget(repository string, digests []digest.Digest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range digests {
		p := b.place(d)
		delete(p.repositories, repository)
		p.first = ""
		clear(p.home)
	}
}

func (p *blobPlace) add(repository string) {
	p.repositories[repository] = true
	if p.first == "" {
		p.first = repository
	}
	if p.home[project(repository)] == "" {
		p.home[project(repository)] = repository
	}
}

func project(repository string) string {
	name, _, _ := strings.Cut(repository, "/")
	return name
}
