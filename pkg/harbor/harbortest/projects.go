package harbortest

import (
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/opencontainers/go-digest"
)

// Who may create projects, for Server.SetProjectCreationRestriction.
const (
	Everyone  = "everyone"
	AdminOnly = "adminonly"
)

// unlimited is the storage limit of a project without one.
const unlimited = -1

const maxProjectName = 255

// maxStorageLimit is the highest that can be set, in bytes
// (src/lib/quota_storage_limit.go).
const maxStorageLimit = 1 << 50

var projectName = regexp.MustCompile(`^[a-z0-9]+(?:[._-][a-z0-9]+)*$`)

// Project is how CreateProject makes a project.
type Project struct {
	Public bool
	// StorageLimit is in bytes; 0 and -1 mean none.
	StorageLimit int64
	// Immutable sets a rule that no tag may be pushed again, beside Rules.
	Immutable bool
	Rules     []ImmutableRule
	// Retention is its policy of deleting tags; nil means none.
	Retention *Retention
	// Metadata are further settings, such as prevent_vul.
	Metadata map[string]string
	// ProxyCache makes it a cache of another registry, which nothing can be
	// pushed to.
	ProxyCache bool
}

type project struct {
	id         int64
	name       string
	owner      string
	public     bool
	limit      int64
	rules      []ImmutableRule
	retention  *Retention
	metadata   map[string]string // but for public
	members    map[string]Role
	proxyCache bool
	created    time.Time

	blobs    map[digest.Digest]bool // manifests too
	used     int64                  // bytes of blobs
	reserved int64                  // bytes of requests under way
}

// CreateProject adds a project owned by admin. One that exists keeps its
// content and gets these settings.
func (s *Server) CreateProject(name string, p Project) {
	s.db.locked(func() {
		if existing := s.db.projects[name]; existing != nil {
			existing.set(p)
			return
		}
		s.db.addProject(name, adminName, p)
	})
}

// SetImmutable sets or clears the rule that no tag of a project may be pushed
// again. It does nothing where there is no such project.
func (s *Server) SetImmutable(project string, immutable bool) {
	s.db.locked(func() {
		if p := s.db.projects[project]; p != nil {
			p.setImmutable(immutable)
		}
	})
}

func (p *project) setImmutable(immutable bool) {
	p.rules = slices.DeleteFunc(slices.Clone(p.rules), func(r ImmutableRule) bool { return r == everyTag })
	if immutable {
		p.rules = append(p.rules, everyTag)
	}
}

// SetQuota limits a project's storage to so many bytes; -1 means no limit. It
// does nothing where there is no such project.
func (s *Server) SetQuota(project string, bytes int64) {
	s.db.locked(func() {
		if p := s.db.projects[project]; p != nil {
			p.limit = bytes
		}
	})
}

// SetProjectCreationRestriction says who may create projects: Everyone, which
// it starts with, or AdminOnly.
func (s *Server) SetProjectCreationRestriction(who string) {
	s.db.locked(func() { s.db.restriction = who })
}

// addProject adds a project. The caller holds the lock.
func (db *database) addProject(name, owner string, settings Project) *project {
	db.lastProject++
	p := &project{id: db.lastProject, name: name, owner: owner, created: time.Now(),
		blobs: map[digest.Digest]bool{}, members: map[string]Role{}}
	p.set(settings)
	db.projects[name] = p
	return p
}

func (p *project) set(settings Project) {
	p.public, p.proxyCache = settings.Public, settings.ProxyCache
	p.rules, p.retention, p.metadata = slices.Clone(settings.Rules), settings.Retention, maps.Clone(settings.Metadata)
	if settings.Immutable {
		p.setImmutable(true)
	}
	p.limit = settings.StorageLimit
	if p.limit == 0 {
		p.limit = unlimited
	}
}

// project returns a copy of a project's row, or nil.
func (db *database) project(name string) *project {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.projects[name].row()
}

// projectsByName returns copies of all projects' rows in the order of their
// listing.
func (db *database) projectsByName() []*project {
	db.mu.Lock()
	defer db.mu.Unlock()
	var rows []*project
	for _, name := range slices.Sorted(maps.Keys(db.projects)) {
		rows = append(rows, db.projects[name].row())
	}
	return rows
}

// row is what may be read without the lock.
func (p *project) row() *project {
	if p == nil {
		return nil
	}
	row := *p
	row.blobs, row.members = nil, maps.Clone(p.members)
	return &row
}

// headProject tells anyone who is logged in whether a project exists.
func (s *Server) headProject(w http.ResponseWriter, r *http.Request, c caller) error {
	name := r.URL.Query().Get("project_name")
	if !c.known() {
		return unauthenticated()
	}
	if s.db.project(name) == nil {
		return notFound("project %s not found", name)
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// projectRequest is the body of a project's creation.
type projectRequest struct {
	Name         string                     `json:"project_name"`
	Public       *bool                      `json:"public"`
	Metadata     map[string]json.RawMessage `json:"metadata"`
	StorageLimit int64                      `json:"storage_limit"`
	RegistryID   *int64                     `json:"registry_id"`
}

// settings are the project's to be, as far as whoever asks has a say in them.
func (req *projectRequest) settings(administers bool, defaultQuota int64) (Project, error) {
	metadata, err := checkMetadata(req.Metadata)
	if err != nil {
		return Project{}, err
	}
	settings := Project{Public: req.Public != nil && *req.Public, ProxyCache: req.RegistryID != nil, StorageLimit: defaultQuota}
	if public := metadata["public"]; public != "" {
		settings.Public = public == "true"
	}
	delete(metadata, "public")
	settings.Metadata = metadata
	if administers && req.StorageLimit != 0 {
		settings.StorageLimit = req.StorageLimit
	}
	return settings, nil
}

func (s *Server) postProject(w http.ResponseWriter, r *http.Request, c caller) error {
	var req projectRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		return badRequest("parsing body body from \"\" failed, because %v", err)
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	administers := c.admin || c.robot != nil && c.robot.CanCreateProjects
	if err := s.checkCreation(c, administers); err != nil {
		return err
	}
	if err := req.check(); err != nil {
		return err
	}
	if s.db.projects[req.Name] != nil {
		return conflict("The project named %s already exists", req.Name)
	}
	settings, err := req.settings(administers, s.db.defaultQuota)
	if err != nil {
		return err
	}
	p := s.db.addProject(req.Name, ownerFor(c), settings)
	w.Header().Set("Location", "/api/v2.0/projects/"+strconv.FormatInt(p.id, 10))
	return writeEmpty(w, http.StatusCreated)
}

func (s *Server) checkCreation(c caller, administers bool) error {
	switch {
	case !c.known():
		return unauthenticated()
	case c.robot != nil && !c.robot.System:
		return forbidden("Only system level robot can create project")
	case s.db.restriction == AdminOnly && !administers:
		return forbidden("Only system admin can create project")
	}
	return nil
}

func (req *projectRequest) check() error {
	switch {
	case len(req.Name) > maxProjectName:
		return invalid("project_name in body should be at most 255 chars long")
	case !projectName.MatchString(req.Name):
		return badRequest("project name is not in lower case or contains illegal characters")
	case req.StorageLimit < unlimited:
		return badRequest("bad request: invalid non-positive value for quota limit, value=%d", req.StorageLimit)
	case req.StorageLimit > maxStorageLimit:
		return badRequest("bad request: exceeded 1024TB, which is %d Bytes, value=%d", maxStorageLimit, req.StorageLimit)
	}
	return nil
}

// ownerFor names the owner of a project that c creates: a robot owns nothing.
func ownerFor(c caller) string {
	if c.robot != nil {
		return adminName
	}
	return c.name
}

func (s *Server) getProject(w http.ResponseWriter, r *http.Request, c caller, nameOrID string) error {
	p, err := s.requireProject(r, c, nameOrID, readProject)
	if err != nil {
		return err
	}
	return writeJSON(w, s.projectJSON(p, c))
}

// lookup takes what consists of digits for an id, unless told otherwise.
func (db *database) lookup(nameOrID string, isName bool) *project {
	id, err := strconv.ParseInt(nameOrID, 10, 64)
	if isName || err != nil {
		return db.project(nameOrID)
	}
	for _, p := range db.projectsByName() {
		if p.id == id {
			return p
		}
	}
	return nil
}
