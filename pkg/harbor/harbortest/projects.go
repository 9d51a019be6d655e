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

var projectName = regexp.MustCompile(`^[a-z0-9]+(?:[._-][a-z0-9]+)*$`)

// Project is how CreateProject makes a project.
type Project struct {
	Public bool
	// StorageLimit is in bytes; 0 and -1 mean none.
	StorageLimit int64
	// Immutable sets a rule that no tag may be pushed again.
	Immutable bool
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
	immutable  bool
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
			p.immutable = immutable
		}
	})
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
	p := &project{id: db.lastProject, name: name, owner: owner, created: time.Now(), blobs: map[digest.Digest]bool{}}
	p.set(settings)
	db.projects[name] = p
	return p
}

func (p *project) set(settings Project) {
	p.public, p.immutable, p.proxyCache = settings.Public, settings.Immutable, settings.ProxyCache
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
	row.blobs = nil
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
	Name         string            `json:"project_name"`
	Public       *bool             `json:"public"`
	Metadata     map[string]string `json:"metadata"`
	StorageLimit int64             `json:"storage_limit"`
	RegistryID   *int64            `json:"registry_id"`
}

func (req *projectRequest) public() bool {
	if v, ok := req.Metadata["public"]; ok {
		return v == "true"
	}
	return req.Public != nil && *req.Public
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
	settings := Project{Public: req.public(), ProxyCache: req.RegistryID != nil}
	if administers {
		settings.StorageLimit = req.StorageLimit
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
		return badRequest("invalid storage limit: %d", req.StorageLimit)
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
	if !c.known() {
		return unauthenticated()
	}
	p := s.db.lookup(nameOrID, r.Header.Get("X-Is-Resource-Name") == "true")
	switch {
	case c.robot != nil:
		return forbidden("%s", c.name)
	case p == nil:
		return notFound("project %s not found", nameOrID)
	case !c.admin && p.owner != c.name && !p.public:
		return forbidden("%s", c.name)
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
