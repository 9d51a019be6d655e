package harbortest

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
)

// database is what Harbor keeps in PostgreSQL and Redis: all that the registry
// tree does not say. Everything in it is guarded by mu.
type database struct {
	mu sync.Mutex

	accounts       map[string]account
	projects       map[string]*project
	repositories   map[string]*repository
	blobs          map[digest.Digest]int64 // blobs that Harbor has heard of, with their sizes
	uploads        map[string]int64        // bytes received, by upload session
	lastProject    int64
	lastRepository int64
	lastArtifact   int64
	lastTag        int64

	readOnly     bool
	restriction  string
	unhealthy    map[string]string // what components suffer from
	quotasOff    bool
	defaultQuota int64 // bytes
	deadlocks    int
	storage      string // the driver that blobs are said to be kept with
}

// A repository exists in Harbor once it holds an artifact.
type repository struct {
	id        int64
	name      string
	created   time.Time
	artifacts map[digest.Digest]*artifact
	tags      map[string]tag
}

type tag struct {
	id     int64
	digest digest.Digest
	pushed time.Time
}

func newDatabase() *database {
	db := &database{
		accounts:     map[string]account{},
		projects:     map[string]*project{},
		repositories: map[string]*repository{},
		blobs:        map[digest.Digest]int64{},
		uploads:      map[string]int64{},
		restriction:  Everyone,
		unhealthy:    map[string]string{},
		defaultQuota: unlimited,
		storage:      "filesystem",
	}
	db.addProject("library", adminName, Project{Public: true})
	return db
}

// locked runs f while nobody else uses the database.
func (db *database) locked(f func()) {
	db.mu.Lock()
	defer db.mu.Unlock()
	f()
}

// record puts an artifact, and a tag of it where tagName is not empty, into
// its repository, which is made if need be.
func (db *database) record(repo string, a *artifact, tagName string) {
	db.mu.Lock()
	defer db.mu.Unlock()
	r := db.repositories[repo]
	if r == nil {
		db.lastRepository++
		r = &repository{
			id: db.lastRepository, name: repo, created: time.Now(),
			artifacts: map[digest.Digest]*artifact{}, tags: map[string]tag{},
		}
		db.repositories[repo] = r
	}
	if known := r.artifacts[a.digest]; known == nil {
		db.lastArtifact++
		a.id, a.pushed = db.lastArtifact, time.Now()
		r.artifacts[a.digest] = a
	}
	if tagName != "" {
		db.setTag(r, tagName, a.digest)
	}
}

func (db *database) setTag(r *repository, name string, d digest.Digest) {
	t, ok := r.tags[name]
	if !ok {
		db.lastTag++
		t.id = db.lastTag
	}
	t.digest, t.pushed = d, time.Now()
	r.tags[name] = t
}

// find returns the artifact that a tag or digest stands for, or Harbor's words
// for its absence.
func (db *database) find(repo, reference string) (*artifact, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	d, isDigest := asDigest(reference)
	r := db.repositories[repo]
	if r == nil && !isDigest {
		return nil, notFound("repository %s not found", repo)
	}
	separator := "@"
	if !isDigest {
		separator, d = ":", r.tags[reference].digest
	}
	if r == nil || r.artifacts[d] == nil {
		return nil, notFound("artifact %s%s%s not found", repo, separator, reference)
	}
	return r.artifacts[d], nil
}

// tagNames returns a repository's tags in order, and whether it is known.
func (db *database) tagNames(repo string) ([]string, bool) {
	db.mu.Lock()
	defer db.mu.Unlock()
	r := db.repositories[repo]
	if r == nil {
		return nil, false
	}
	return slices.Sorted(maps.Keys(r.tags)), true
}

// inOrder returns a repository's artifacts, the newest first as Harbor lists
// them.
func (r *repository) inOrder() []*artifact {
	all := slices.Collect(maps.Values(r.artifacts))
	slices.SortFunc(all, func(a, b *artifact) int { return int(b.id - a.id) })
	return all
}

func asDigest(reference string) (digest.Digest, bool) {
	d, err := digest.Parse(reference)
	return d, err == nil
}
