package harbortest

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
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
		Created: apiTime(p.created), Roles: []int{}, Metadata: p.metadataJSON(),
		Allowlist: allowlistJSON{Created: never, ID: p.id, Items: []string{}, Project: p.id, Updated: never},
		Name:      p.name, OwnerID: s.userID(p.owner), Owner: p.owner, ID: p.id,
		Count: len(s.db.repositoriesOf(p.name)), Updated: apiTime(p.created),
	}
	if p.proxyCache {
		j.RegistryID = 1
	}
	if role := c.role(p); role != 0 {
		j.Role, j.Roles = int(role), []int{int(role)}
	}
	return j
}

func (s *Server) listProjects(w http.ResponseWriter, r *http.Request, c caller) error {
	wanted, err := nameFilter(r.URL.Query().Get("q"))
	if err != nil {
		return err
	}
	visible := slices.DeleteFunc(s.db.projectsByName(), func(p *project) bool {
		return !wanted(p.name) || !s.lists(c, p, r.URL.Query().Get("name"))
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

// nameFilter reads what q says about names: name=x, name=~part or name={"x" "y"}
// (src/lib/q/builder.go). A value without quotes that is a number is one to
// Harbor, which then fails to compare it with a name.
func nameFilter(q string) (func(name string) bool, error) {
	if unescaped, err := url.QueryUnescape(q); err == nil {
		q = unescaped
	}
	value, ok := strings.CutPrefix(q, "name=")
	switch {
	case q == "":
		return func(string) bool { return true }, nil
	case !ok || value == "":
		return nil, badRequest(`the query string must contain "=" and the key/value cannot be empty`)
	case value[0] == '~':
		return func(name string) bool { return strings.Contains(name, value[1:]) }, nil
	case value[0] != '{':
		return func(name string) bool { return name == value }, nil
	case value[len(value)-1] != '}':
		return nil, badRequest("invalid query string value: %s", value)
	}
	names := strings.Fields(value[1 : len(value)-1])
	for i, name := range names {
		if _, err := strconv.Atoi(name); err == nil {
			return nil, internalError()
		}
		names[i] = strings.Trim(name, "\"'")
	}
	return func(name string) bool { return slices.Contains(names, name) }, nil
}

// listQuotas is for administrators, and for robots with that right. It shows
// them even where they are switched off.
func (s *Server) listQuotas(w http.ResponseWriter, r *http.Request, c caller) error {
	if err := requireSystem(c, "quota:list"); err != nil {
		return err
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

// getSummary is what one project's page shows; of that, the quota, to those who
// may see it, unless quotas are switched off (src/server/v2.0/handler/project.go,
// GetProjectSummary).
func (s *Server) getSummary(w http.ResponseWriter, r *http.Request, c caller, nameOrID string) error {
	p, err := s.requireProject(r, c, nameOrID, readProject)
	if err != nil {
		return err
	}
	type quota struct {
		Hard storageJSON `json:"hard"`
		Used storageJSON `json:"used"`
	}
	summary := struct {
		Quota *quota `json:"quota,omitempty"`
		Count int    `json:"repo_count"`
	}{Count: len(s.db.repositoriesOf(p.name))}
	if c.may(readQuota, p) && s.db.quotasEnabled() {
		summary.Quota = &quota{storageJSON{p.limit}, storageJSON{p.used}}
	}
	return writeJSON(w, summary)
}
