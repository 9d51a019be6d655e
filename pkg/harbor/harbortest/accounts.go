package harbortest

import (
	"net/http"
	"strings"
)

// A Robot is what a robot account may do. It may push to and pull from its
// projects, unless Actions says otherwise; what it may ask beside that, such as
// GET /api/v2.0/projects/NAME, is in Rights.
type Robot struct {
	// System makes it a system-level robot (robot$name), which may work in
	// several projects. Otherwise it is a robot of one project
	// (robot$project+name).
	System bool
	// Projects are the names of the projects it may work in.
	Projects []string
	// AllProjects lets it work in every project.
	AllProjects bool
	// CanCreateProjects gives a system robot the permission project:create. It
	// needs that only where project creation is restricted to administrators;
	// with it, it may also set a storage limit.
	CanCreateProjects bool
	// Actions are what it may do with repositories; nil means pull and push.
	Actions []string
	// Rights are further permissions, as resource:action: quota:list for the
	// system; project:read, quota:read, tag-retention:read and immutable-tag:list
	// for its projects.
	Rights []string
}

// AddUser adds a user who is no administrator. Such a user may create projects
// while that is allowed to everyone, and is project admin of those.
func (s *Server) AddUser(name, password string) {
	s.db.locked(func() { s.db.accounts[name] = account{id: len(s.db.accounts) + 3, password: password} })
}

// AddGroupAdmin adds a user whom a group of the directory makes an
// administrator: Harbor's flag for that is not set on the user.
func (s *Server) AddGroupAdmin(name, password string) {
	s.db.locked(func() {
		s.db.accounts[name] = account{id: len(s.db.accounts) + 3, password: password, groupAdmin: true}
	})
}

// AddRobot adds a robot account. name is given in full, as in robot$mig+pr.
func (s *Server) AddRobot(name, password string, r Robot) {
	s.db.locked(func() { s.db.accounts[name] = account{password: password, robot: &r} })
}

type account struct {
	id         int
	password   string
	robot      *Robot
	groupAdmin bool
}

// A caller is whoever sent a request. The zero value is nobody.
type caller struct {
	name    string
	admin   bool
	byGroup bool // an administrator by a group
	robot   *Robot
	// grants, of a caller with a bearer token, are the actions that the token
	// allows, by project.
	grants map[string][]string
}

func (c caller) known() bool { return c.name != "" }

// caller returns who sent r by basic authentication. Wrong credentials make
// nobody, not an error: Harbor answers such a request as it does without any.
func (s *Server) caller(r *http.Request) caller {
	name, password, ok := r.BasicAuth()
	if !ok {
		return caller{}
	}
	if name == adminName && password == s.adminPassword {
		return caller{name: name, admin: true}
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	if a, ok := s.db.accounts[name]; ok && a.password == password {
		return caller{name: name, robot: a.robot, admin: a.groupAdmin, byGroup: a.groupAdmin}
	}
	return caller{}
}

// v2Caller also takes bearer tokens, which Harbor does only below /v2/.
func (s *Server) v2Caller(r *http.Request) caller {
	raw, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return s.caller(r)
	}
	claims, err := s.verify(raw)
	if err != nil {
		return caller{}
	}
	return caller{name: claims.Subject, grants: claims.grants()}
}

// actions returns what c may do in a project, in the order in which tokens
// list it.
func (c caller) actions(name string, p *project) []string {
	switch {
	case c.grants != nil:
		return c.grants[name]
	case p == nil:
		return []string{}
	case c.admin:
		return []string{"pull", "push", "delete"}
	case c.role(p) != 0:
		return roleActions[c.role(p)]
	case c.robot != nil && c.robot.covers(name):
		if c.robot.Actions != nil {
			return c.robot.Actions
		}
		return []string{"pull", "push"}
	case p.public:
		return []string{"pull"}
	}
	return []string{}
}
