package harbortest

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// serveTags lists a repository's tags, all of them unless n says how many.
func (s *Server) serveTags(w http.ResponseWriter, r *http.Request, t *target) error {
	names, ok := s.db.tagNames(t.repository)
	if !ok {
		return notFound("repository %s not found", t.repository)
	}
	writeAs(w, http.StatusOK, errorType, struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}{t.repository, after(w, r, names)})
	return nil
}

// serveCatalog is for administrators.
func (s *Server) serveCatalog(w http.ResponseWriter, r *http.Request, c caller) error {
	if !c.admin {
		return unauthorized(`Basic realm="harbor"`, "unauthorized to list catalog")
	}
	var names []string
	s.db.locked(func() { names = slices.Sorted(maps.Keys(s.db.repositories)) })
	writeAs(w, http.StatusOK, errorType, map[string][]string{"repositories": after(w, r, names)})
	return nil
}

// after returns the part of sorted names that n and last ask for, and links to
// the next.
func after(w http.ResponseWriter, r *http.Request, names []string) []string {
	query := r.URL.Query()
	start, found := slices.BinarySearch(names, query.Get("last"))
	if found {
		start++
	}
	names = append([]string{}, names[start:]...)
	n := intOr(query.Get("n"), 0)
	if n <= 0 || n >= len(names) {
		return names
	}
	next := url.Values{"last": {names[n-1]}, "n": {strconv.Itoa(n)}}
	w.Header().Set("Link", "<"+r.URL.EscapedPath()+"?"+next.Encode()+`>; rel="next"`)
	return names[:n]
}

// repositoriesOf returns a project's repositories by name.
func (db *database) repositoriesOf(project string) []string {
	db.mu.Lock()
	defer db.mu.Unlock()
	var names []string
	for name := range db.repositories {
		if strings.HasPrefix(name, project+"/") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
