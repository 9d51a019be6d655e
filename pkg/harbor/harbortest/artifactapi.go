package harbortest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// serveRepositories answers what lies below projects/NAME/repositories. parts
// are the path's components from there on.
func (s *Server) serveRepositories(w http.ResponseWriter, r *http.Request, c caller, name string, parts []string) error {
	action := "pull"
	if changes(r) {
		action = "push"
	}
	p, err := s.accessible(c, name, action)
	if err != nil {
		return err
	}
	if len(parts) == 0 {
		return s.listRepositories(w, r, p)
	}
	repo, err := url.PathUnescape(parts[0])
	if err != nil {
		return noRoute(r)
	}
	repo = name + "/" + repo
	switch route := r.Method + " " + strings.Join(parts[1:], "/"); {
	case route == "GET artifacts":
		return s.listArtifacts(w, r, p, repo)
	case len(parts) == 3 && strings.HasPrefix(route, "GET artifacts/"):
		return s.getArtifact(w, p, repo, parts[2])
	case len(parts) == 4 && route == "GET artifacts/"+parts[2]+"/tags":
		return s.listTags(w, r, p, repo, parts[2])
	case len(parts) == 4 && route == "POST artifacts/"+parts[2]+"/tags":
		return s.postTag(w, r, repo, parts[2])
	}
	return noRoute(r)
}

// accessible returns a project in which c may do something.
func (s *Server) accessible(c caller, name, action string) (*project, error) {
	p := s.db.project(name)
	switch {
	case p != nil && slices.Contains(c.actions(name, p), action):
		return p, nil
	case !c.known():
		return nil, unauthenticated()
	case p == nil && c.robot == nil:
		return nil, notFound("project %s not found", name)
	}
	return nil, forbidden("%s", c.name)
}

func (s *Server) listRepositories(w http.ResponseWriter, r *http.Request, p *project) error {
	names, err := page(w, r, s.db.repositoriesOf(p.name))
	if err != nil {
		return err
	}
	list := []repositoryJSON{}
	s.db.locked(func() {
		for _, name := range names {
			repo := s.db.repositories[name]
			created := apiTime(repo.created)
			list = append(list, repositoryJSON{
				Artifacts: len(repo.listed()), Created: created, ID: repo.id, Name: name, Project: p.id, Updated: created,
			})
		}
	})
	return writeJSON(w, list)
}

func (s *Server) listArtifacts(w http.ResponseWriter, r *http.Request, p *project, repo string) error {
	var all []artifactJSON
	s.db.locked(func() {
		if known := s.db.repositories[repo]; known != nil {
			for _, a := range known.listed() {
				all = append(all, known.artifactJSON(p, a))
			}
		}
	})
	list, err := page(w, r, all)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	for i := range list {
		if query.Get("with_accessory") != "true" {
			list[i].Accessories = nil
		}
		if query.Get("with_tag") == "false" {
			list[i].Tags = nil
		}
	}
	return writeJSON(w, list)
}

func (s *Server) getArtifact(w http.ResponseWriter, p *project, repo, reference string) error {
	a, err := s.db.find(repo, reference)
	if err != nil {
		return err
	}
	var j artifactJSON
	s.db.locked(func() { j = s.db.repositories[repo].artifactJSON(p, a) })
	return writeJSON(w, j)
}

func (s *Server) listTags(w http.ResponseWriter, r *http.Request, p *project, repo, reference string) error {
	a, err := s.db.find(repo, reference)
	if err != nil {
		return err
	}
	var all []tagJSON
	s.db.locked(func() { all = s.db.repositories[repo].tagJSON(p, a) })
	list, err := page(w, r, all)
	if err != nil {
		return err
	}
	return writeJSON(w, list)
}

// postTag gives an artifact a further tag, which must not be another's.
func (s *Server) postTag(w http.ResponseWriter, r *http.Request, repo, reference string) error {
	var req struct {
		Name string `json:"name"`
	}
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil || !tagPattern.MatchString(req.Name) {
		return badRequest("invalid tag name: %s", req.Name)
	}
	a, err := s.db.find(repo, reference)
	if err != nil {
		return err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	known := s.db.repositories[repo]
	if t, ok := known.tags[req.Name]; ok {
		return conflict("tag %s already exists on artifact %s", req.Name, t.digest)
	}
	s.db.setTag(known, req.Name, a.digest)
	w.Header().Set("Location", r.URL.EscapedPath()+"/"+req.Name)
	return writeEmpty(w, http.StatusCreated)
}
