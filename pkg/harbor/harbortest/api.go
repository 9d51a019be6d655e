package harbortest

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const apiPrefix = "/api/v2.0/"

const (
	defaultPageSize = 10
	maxPageSize     = 100
)

// harborVersion is the version whose answers these are.
const harborVersion = "v2.15.2-080b0220"

// serveAPI answers Harbor's own API. Repository names are encoded twice in its
// paths, so that a slash in them is still %2F after the first decoding; one
// that was encoded once falls apart and matches nothing.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) error {
	if err := s.checkReadOnly(r); err != nil {
		return err
	}
	c := s.caller(r)
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, apiPrefix), "/")
	if parts[0] == "projects" && len(parts) > 1 {
		return s.serveProject(w, r, c, parts[1:])
	}
	if parts[0] == "retentions" && len(parts) == 2 && r.Method == http.MethodGet {
		return s.getRetention(w, r, c, parts[1])
	}
	switch r.Method + " " + strings.Join(parts, "/") {
	case "GET ping":
		writeBody(w, http.StatusOK, "text/plain; charset=utf-8", []byte("Pong"))
		return nil
	case "GET systeminfo":
		return writeJSON(w, s.systemInfo(c))
	case "GET health":
		return writeJSON(w, s.health())
	case "GET users/current":
		return s.getCurrentUser(w, c)
	case "GET users/current/permissions":
		return s.listPermissions(w, r, c)
	case "GET configurations":
		return s.getConfigurations(w, c)
	case "GET quotas":
		return s.listQuotas(w, r, c)
	case "HEAD projects":
		return s.headProject(w, r, c)
	case "POST projects":
		return s.postProject(w, r, c)
	case "GET projects":
		return s.listProjects(w, r, c)
	}
	return noRoute(r)
}

// serveProject answers what lies below one project.
func (s *Server) serveProject(w http.ResponseWriter, r *http.Request, c caller, parts []string) error {
	if len(parts) == 1 && r.Method == http.MethodGet {
		return s.getProject(w, r, c, parts[0])
	}
	if len(parts) == 2 && parts[1] == "immutabletagrules" && r.Method == http.MethodGet {
		return s.listRules(w, r, c, parts[0])
	}
	if len(parts) == 2 && parts[1] == "summary" && r.Method == http.MethodGet {
		return s.getSummary(w, r, c, parts[0])
	}
	if len(parts) >= 2 && parts[1] == "repositories" {
		return s.serveRepositories(w, r, c, parts[0], parts[2:])
	}
	return noRoute(r)
}

func noRoute(r *http.Request) error {
	return notFound("path %s was not found", r.URL.Path)
}

// invalid is the answer to what the API's description already rules out.
func invalid(what string) error {
	return refuse(http.StatusUnprocessableEntity, "UNPROCESSABLE_ENTITY", "validation failure list:\n%s", what)
}

// SetReadOnly puts the system into read-only mode or back.
func (s *Server) SetReadOnly(readOnly bool) {
	s.db.locked(func() { s.db.readOnly = readOnly })
}

func (s *Server) checkReadOnly(r *http.Request) error {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	if !s.db.readOnly || !changes(r) {
		return nil
	}
	return refuse(http.StatusForbidden, "DENIED", "The system is in read only mode. Any modification is prohibited.")
}

// started stands in for all times before the first request.
var started = time.Now()

func (s *Server) userID(name string) int {
	if name == adminName {
		return 1
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	return s.db.accounts[name].id
}

func apiTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// page cuts the page that r asks for out of all, and sets the headers that go
// with it.
func page[T any](w http.ResponseWriter, r *http.Request, all []T) ([]T, error) {
	query := r.URL.Query()
	number := intOr(query.Get("page"), 1)
	size := intOr(query.Get("page_size"), defaultPageSize)
	switch {
	case number < 1:
		return nil, invalid("page in query should be greater than or equal to 1")
	case size < 1:
		return nil, invalid("page_size in query should be greater than or equal to 1")
	case size > maxPageSize:
		return nil, invalid("page_size in query should be less than or equal to 100")
	}
	w.Header().Set("X-Total-Count", strconv.Itoa(len(all)))
	setLinks(w, r.URL, number, size, len(all))
	start := min((number-1)*size, len(all))
	return append([]T{}, all[start:min(start+size, len(all))]...), nil
}

func setLinks(w http.ResponseWriter, u *url.URL, number, size, total int) {
	var links []string
	link := func(number int, rel string) {
		query := u.Query()
		query.Set("page", strconv.Itoa(number))
		query.Set("page_size", strconv.Itoa(size))
		links = append(links, fmt.Sprintf(`<%s?%s>; rel="%s"`, u.EscapedPath(), query.Encode(), rel))
	}
	if number > 1 && (number-1)*size < total {
		link(number-1, "prev")
	}
	if number*size < total {
		link(number+1, "next")
	}
	if links != nil {
		w.Header().Set("Link", strings.Join(links, " , "))
	}
}

func intOr(s string, otherwise int) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return otherwise
	}
	return n
}
