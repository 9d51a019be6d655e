package harbortest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// A Role is what a user is in a project. The numbers are Harbor's
// (src/common/const.go).
type Role int

// The roles of a project's members.
const (
	ProjectAdmin Role = iota + 1
	Developer
	Guest
	Maintainer
	LimitedGuest
)

// AddMember gives a user a role in a project. It does nothing where there is no
// such project.
func (s *Server) AddMember(project, user string, role Role) {
	s.db.locked(func() {
		if p := s.db.projects[project]; p != nil {
			p.members[user] = role
		}
	})
}

// roleActions is what a role may do with a project's repositories
// (src/common/rbac/project/rbac_role.go).
var roleActions = map[Role][]string{
	ProjectAdmin: {"pull", "push", "delete"},
	Maintainer:   {"pull", "push", "delete"},
	Developer:    {"pull", "push"},
	Guest:        {"pull"},
	LimitedGuest: {"pull"},
}

// What may be asked of a project, as resource:action.
const (
	readProject        = "project:read"
	readQuota          = "quota:read"
	readRetention      = "tag-retention:read"
	listImmutableRules = "immutable-tag:list"
)

// roleRights is what a role may ask beside that (same source).
var roleRights = map[Role][]string{
	ProjectAdmin: {readProject, readQuota, readRetention, listImmutableRules},
	Maintainer:   {readProject, readQuota, readRetention, listImmutableRules},
	Developer:    {readProject, readQuota, readRetention},
	Guest:        {readProject, readQuota},
	LimitedGuest: {readProject, readQuota},
}

// role is the caller's in a project, 0 for none. Robots have none, ever.
func (c caller) role(p *project) Role {
	switch {
	case c.robot != nil || !c.known() || p == nil:
		return 0
	case p.owner == c.name:
		return ProjectAdmin
	}
	return p.members[c.name]
}

// covers tells whether a robot works in a project at all.
func (r *Robot) covers(project string) bool {
	return r.AllProjects || slices.Contains(r.Projects, project)
}

// may tells whether the caller has a right in a project, which may be nil for
// one that does not exist.
func (c caller) may(right string, p *project) bool {
	switch {
	case c.admin:
		return true
	case p == nil:
		return false
	case right == readProject && p.public:
		return true
	case c.robot != nil:
		return c.robot.covers(p.name) && slices.Contains(c.robot.Rights, right)
	}
	return slices.Contains(roleRights[c.role(p)], right)
}

// maySystem tells whether the caller has a right in the system as a whole:
// administrators all of them, system robots those that they were given.
func (c caller) maySystem(right string) bool {
	return c.admin || c.robot != nil && c.robot.System && slices.Contains(c.robot.Rights, right)
}

// requireProject gives a project to those who have a right in it. Rights come
// first: who has none is not told whether there is such a project
// (src/server/v2.0/handler/base.go, RequireProjectAccess).
func (s *Server) requireProject(r *http.Request, c caller, nameOrID, right string) (*project, error) {
	p := s.db.lookup(nameOrID, r.Header.Get("X-Is-Resource-Name") == "true")
	switch {
	case !c.known():
		return nil, unauthenticated()
	case !c.may(right, p):
		return nil, forbidden("forbidden")
	case p == nil:
		return nil, notFound("project %s not found", nameOrID)
	}
	return p, nil
}

// requireSystem is the same for the system (RequireSystemAccess, there).
func requireSystem(c caller, right string) error {
	switch {
	case !c.known():
		return unauthenticated()
	case !c.maySystem(right):
		return forbidden("%s", c.name)
	}
	return nil
}

type permissionJSON struct {
	Action   string `json:"action"`
	Resource string `json:"resource"`
}

// listPermissions tells what the caller may do in a scope. For the system it
// knows administrators alone: Harbor compares the rights of a robot, which stand
// below /system, with names that do not, and finds none
// (src/server/v2.0/handler/user.go, GetCurrentUserPermissions).
func (s *Server) listPermissions(w http.ResponseWriter, r *http.Request, c caller) error {
	if !c.known() {
		return unauthenticated()
	}
	scope := r.URL.Query().Get("scope")
	list := []permissionJSON{}
	if strings.HasPrefix(scope, "/system") && c.admin {
		list = append(list, permissionJSON{"create", "project"}, permissionJSON{"read", "configuration"})
	}
	if id, ok := strings.CutPrefix(scope, "/project/"); ok {
		prefix := scope + "/"
		if r.URL.Query().Get("relative") == "true" {
			prefix = ""
		}
		list = append(list, s.permissionsIn(c, id, prefix)...)
	}
	return writeJSON(w, list)
}

func (s *Server) permissionsIn(c caller, id, prefix string) (list []permissionJSON) {
	if _, err := strconv.ParseInt(id, 10, 64); err != nil {
		return nil
	}
	p := s.db.lookup(id, false)
	if p == nil {
		return nil
	}
	for _, action := range c.actions(p.name, p) {
		list = append(list, permissionJSON{action, prefix + "repository"})
	}
	for _, right := range []string{readQuota, readRetention, listImmutableRules} {
		if resource, action := cutLast(right, ":"); c.may(right, p) {
			list = append(list, permissionJSON{action, prefix + resource})
		}
	}
	return list
}
