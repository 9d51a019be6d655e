package harbortest

import (
	"fmt"
	"net/http"

	"github.com/opencontainers/go-digest"
)

// contents are blobs and manifests with their sizes in bytes.
type contents map[digest.Digest]int64

// A claim holds storage for a request under way, so that two of them cannot
// both use what is left.
type claim struct {
	db       *database
	project  string
	contents contents
	size     int64
}

// claim reserves the storage that the contents need on top of what the project
// has. The error is Harbor's refusal.
func (db *database) claim(project string, c contents) (*claim, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	p := db.projects[project]
	size := p.missing(c)
	used := p.used + p.reserved
	if size > 0 && p.limit != unlimited && !db.quotasOff && used+size > p.limit {
		return nil, refuse(http.StatusForbidden, "DENIED",
			"adding %s of storage resource, which when updated to current usage of %s will exceed the configured upper limit of %s.",
			formatSize(size), formatSize(used), formatSize(p.limit))
	}
	p.reserved += size
	return &claim{db, project, c, size}, nil
}

func (db *database) quotasEnabled() bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	return !db.quotasOff
}

func (p *project) missing(c contents) (size int64) {
	for d, n := range c {
		if !p.blobs[d] {
			size += n
		}
	}
	return size
}

// release ends the claim, unless it was kept.
func (c *claim) release() {
	c.db.locked(func() { c.db.projects[c.project].reserved -= c.size })
}

// keep ends the claim and makes the contents the project's own.
func (c *claim) keep() {
	c.db.mu.Lock()
	defer c.db.mu.Unlock()
	p := c.db.projects[c.project]
	p.reserved -= c.size
	c.size = 0
	for d, size := range c.contents {
		if p.blobs[d] {
			continue
		}
		if _, ok := c.db.blobs[d]; !ok {
			c.db.blobs[d] = size
		}
		p.blobs[d] = true
		p.used += c.db.blobs[d]
	}
}

func formatSize(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/1024, 0
	for value >= 1024 {
		value, unit = value/1024, unit+1
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTPE"[unit])
}
