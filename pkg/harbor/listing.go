package harbor

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// How many projects one listing asks for: by number, and by the bytes of their
// names. Harbor's nginx takes request lines of 8 KiB.
const (
	maxListed      = 50
	maxListedBytes = 3000
)

// batches splits projects so that each batch keeps to the limits.
func batches(projects []*Project, most, mostBytes int) (all [][]*Project) {
	var batch []*Project
	bytes := 0
	for _, own := range projects {
		if len(batch) > 0 && (len(batch) == most || bytes+len(own.Name) > mostBytes) {
			all, batch, bytes = append(all, batch), nil, 0
		}
		batch, bytes = append(batch, own), bytes+len(own.Name)
	}
	if batch != nil {
		all = append(all, batch)
	}
	return all
}

// lookUpProjects lists the projects by their names, and then looks up one by one
// those that are in no listing: a listing shows no private project to those who
// are not in it, so it says nothing about what is missing.
func (p *preflight) lookUpProjects(ctx context.Context) {
	for _, batch := range batches(p.projects, maxListed, maxListedBytes) {
		err := p.list(ctx, batch)
		p.answered(err)
		if err != nil {
			p.unknown("what settings they have", err, namesOf(batch)...)
		}
		if isUnreached(err) {
			break
		}
	}
	if p.silent >= patience {
		return
	}
	unlisted := p.those(func(own *Project) bool { return own.Exists != Yes })
	p.forEach(ctx, "whether it exists", unlisted, p.lookUp)
}

// projectRow is a project in a listing (api/v2.0/swagger.yaml, Project).
type projectRow struct {
	Name     string            `json:"name"`
	Registry int64             `json:"registry_id"` // what it is a cache of; 0: nothing
	Metadata map[string]string `json:"metadata"`
}

// list asks for projects by name: q=name={"a" "b"}. In quotes, since Harbor
// would take 42 for a number, which no name is equal to (src/lib/q/builder.go).
// A Harbor before 2.5 does not know q and lists others, which are passed over.
func (p *preflight) list(ctx context.Context, batch []*Project) error {
	byName := map[string]*Project{}
	var quoted []string
	for _, own := range batch {
		byName[own.Name] = own
		quoted = append(quoted, `"`+own.Name+`"`)
	}
	query := url.Values{"q": {"name={" + strings.Join(quoted, " ") + "}"}, "page": {"1"}, "page_size": {"100"}}
	var rows []projectRow
	if _, err := p.Harbor.ask(ctx, "/api/v2.0/projects", query, &rows); err != nil {
		return err
	}
	for _, row := range rows {
		if own := byName[row.Name]; own != nil {
			own.describe(row)
			delete(byName, row.Name)
		}
	}
	for _, own := range byName {
		own.unlisted = true
	}
	return nil
}

func (own *Project) describe(row projectRow) {
	own.Exists = Yes
	own.Public = known(isTrue(row.Metadata["public"]))
	own.ProxyCache = known(row.Registry > 0)
	own.retention = row.Metadata["retention_id"]
	own.policies = pullPolicies(row.Metadata)
}

// isTrue is how Harbor reads settings (src/pkg/project/models/project.go).
func isTrue(value string) bool { return strings.EqualFold(value, "true") || value == "1" }

func (p *preflight) lookUp(ctx context.Context, own *Project) error {
	exists, err := p.exists(ctx, own.Name)
	if err == nil {
		own.Exists = known(exists)
	}
	return err
}

// ProjectExists tells whether there is a project of this name. A HEAD, which
// every account may send; the answers to a push would not tell a project that
// is missing from a wrong password.
func (h *Harbor) ProjectExists(ctx context.Context, name string) (bool, error) {
	exists, err := h.exists(ctx, name)
	if err != nil {
		return false, fmt.Errorf("looking up project %s: %w", name, err)
	}
	return exists, nil
}

// exists takes no page for people for an answer of Harbor's: a proxy in between
// says 404, too.
func (h *Harbor) exists(ctx context.Context, name string) (bool, error) {
	resp, err := h.do.Do(ctx, http.MethodHead, "/api/v2.0/projects", url.Values{"project_name": {name}}, nil, nil)
	if err != nil {
		return false, &unreached{err}
	}
	defer resp.Body.Close()
	switch kind := resp.Header.Get("Content-Type"); {
	case strings.HasPrefix(kind, "text/html"):
		return false, fmt.Errorf("%s, from something that is not Harbor: its type is %.80q", resp.Status, kind)
	case resp.StatusCode == http.StatusOK:
		return true, nil
	case resp.StatusCode == http.StatusNotFound:
		return false, nil
	}
	return false, answer(resp)
}
