package harbortest

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// The fields stand in the order in which Harbor sends them.
type projectJSON struct {
	Created    string            `json:"creation_time"`
	Role       int               `json:"current_user_role_id,omitempty"`
	Roles      []int             `json:"current_user_role_ids"`
	Allowlist  allowlistJSON     `json:"cve_allowlist"`
	Metadata   map[string]string `json:"metadata"`
	Name       string            `json:"name"`
	OwnerID    int               `json:"owner_id"`
	Owner      string            `json:"owner_name"`
	ID         int64             `json:"project_id"`
	RegistryID int64             `json:"registry_id,omitempty"`
	Count      int               `json:"repo_count"`
	Updated    string            `json:"update_time"`
}

type allowlistJSON struct {
	Created string   `json:"creation_time"`
	ID      int64    `json:"id"`
	Items   []string `json:"items"`
	Project int64    `json:"project_id"`
	Updated string   `json:"update_time"`
}

func (s *Server) projectJSON(p *project, c caller) projectJSON {
	never := apiTime(time.Time{})
	j := projectJSON{
		Created: apiTime(p.created), Roles: []int{}, Metadata: map[string]string{"public": "false"},
		Allowlist: allowlistJSON{Created: never, ID: p.id, Items: []string{}, Project: p.id, Updated: never},
		Name:      p.name, OwnerID: s.userID(p.owner), Owner: p.owner, ID: p.id,
		Count: len(s.db.repositoriesOf(p.name)), Updated: apiTime(p.created),
	}
	if p.public {
		j.Metadata["public"] = "true"
	}
	if p.proxyCache {
		j.RegistryID = 1
	}
	if c.admin || p.owner == c.name {
		j.Role, j.Roles = 1, []int{1}
	}
	return j
}

func (s *Server) listProjects(w http.ResponseWriter, r *http.Request, c caller) error {
	visible := slices.DeleteFunc(s.db.projectsByName(), func(p *project) bool {
		return !s.lists(c, p, r.URL.Query().Get("name"))
	})
	rows, err := page(w, r, visible)
	if err != nil {
		return err
	}
	list := []projectJSON{}
	for _, p := range rows {
		list = append(list, s.projectJSON(p, c))
	}
	return writeJSON(w, list)
}

// lists reports whether c sees p in a listing; name, if not empty, is a part
// of the name that is looked for.
func (s *Server) lists(c caller, p *project, name string) bool {
	return strings.Contains(p.name, name) && len(c.actions(p.name, p)) > 0
}

// listQuotas is for administrators.
func (s *Server) listQuotas(w http.ResponseWriter, r *http.Request, c caller) error {
	switch {
	case !c.known():
		return unauthenticated()
	case !c.admin:
		return forbidden("%s", c.name)
	}
	newest := s.db.projectsByName()
	slices.SortFunc(newest, func(a, b *project) int { return int(b.id - a.id) })
	if id := int64(intOr(r.URL.Query().Get("reference_id"), 0)); id != 0 {
		newest = slices.DeleteFunc(newest, func(p *project) bool { return p.id != id })
	}
	rows, err := page(w, r, newest)
	if err != nil {
		return err
	}
	list := []quotaJSON{}
	for _, p := range rows {
		list = append(list, newQuotaJSON(p))
	}
	return writeJSON(w, list)
}

type quotaJSON struct {
	Created string        `json:"creation_time"`
	Hard    storageJSON   `json:"hard"`
	ID      int64         `json:"id"`
	Ref     referenceJSON `json:"ref"`
	Updated string        `json:"update_time"`
	Used    storageJSON   `json:"used"`
}

type storageJSON struct {
	Storage int64 `json:"storage"`
}

type referenceJSON struct {
	ID    int64  `json:"id"`
	Name  string `json:"name"`
	Owner string `json:"owner_name"`
}

func newQuotaJSON(p *project) quotaJSON {
	return quotaJSON{
		Created: apiTime(p.created), Hard: storageJSON{p.limit}, ID: p.id,
		Ref: referenceJSON{ID: p.id, Name: p.name}, Updated: apiTime(p.created), Used: storageJSON{p.used},
	}
}

type immutableRuleJSON struct {
	ID     int64                     `json:"id"`
	Scopes map[string][]selectorJSON `json:"scope_selectors"`
	Tags   []selectorJSON            `json:"tag_selectors"`
}

type selectorJSON struct {
	Decoration string `json:"decoration"`
	Kind       string `json:"kind"`
	Pattern    string `json:"pattern"`
}

func (s *Server) listImmutableRules(w http.ResponseWriter, r *http.Request, c caller, nameOrID string) error {
	p, err := s.administered(r, c, nameOrID)
	if err != nil {
		return err
	}
	var rules []immutableRuleJSON
	if p.immutable {
		rules = append(rules, immutableRuleJSON{
			ID:     1,
			Scopes: map[string][]selectorJSON{"repository": {{"repoMatches", "doublestar", "**"}}},
			Tags:   []selectorJSON{{"matches", "doublestar", "**"}},
		})
	}
	rows, err := page(w, r, rules)
	if err != nil {
		return err
	}
	return writeJSON(w, rows)
}

// administered returns a project to those who may see its settings.
func (s *Server) administered(r *http.Request, c caller, nameOrID string) (*project, error) {
	p := s.db.lookup(nameOrID, r.Header.Get("X-Is-Resource-Name") == "true")
	switch {
	case !c.known():
		return nil, unauthenticated()
	case c.robot != nil:
		return nil, forbidden("%s", c.name)
	case p == nil:
		return nil, notFound("project %s not found", nameOrID)
	case !slices.Contains(c.actions(p.name, p), "delete"):
		return nil, forbidden("%s", c.name)
	}
	return p, nil
}
