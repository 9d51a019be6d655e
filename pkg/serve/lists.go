package serve

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

func (r *Registry) serveCatalog(w http.ResponseWriter, req *http.Request) *problem {
	names, p := page(w, req, r.catalog.names)
	if p != nil {
		return p
	}
	writeJSON(w, http.StatusOK, "application/json", struct {
		Repositories []string `json:"repositories"`
	}{names})
	return nil
}

func serveTags(w http.ResponseWriter, req *http.Request, r *repository) *problem {
	names, p := page(w, req, r.tagNames)
	if p != nil {
		return p
	}
	writeJSON(w, http.StatusOK, "application/json", struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}{r.name, names})
	return nil
}

// page cuts out of a sorted list what a request asks for by n and last, and says
// where the rest is: OCI distribution spec 1.1, "Listing Tags". Without n, it is
// all that there is.
func page(w http.ResponseWriter, req *http.Request, names []string) ([]string, *problem) {
	query := req.URL.Query()
	from := 0
	if last := query.Get("last"); last != "" {
		at, found := slices.BinarySearch(names, last)
		if from = at; found {
			from++
		}
	}
	rest := names[from:]
	if !query.Has("n") {
		return append([]string{}, rest...), nil
	}
	n, err := strconv.Atoi(query.Get("n"))
	if err != nil || n < 0 {
		return nil, numberInvalid.with(fmt.Sprintf("n=%s", query.Get("n")))
	}
	if n > 0 && n < len(rest) {
		linkNext(w, req, url.Values{"n": {strconv.Itoa(n)}, "last": {rest[n-1]}})
	}
	return append([]string{}, rest[:min(n, len(rest))]...), nil
}

// linkNext says where a list goes on: RFC 8288.
func linkNext(w http.ResponseWriter, req *http.Request, query url.Values) {
	next := url.URL{Path: req.URL.Path, RawQuery: query.Encode()}
	w.Header().Set("Link", fmt.Sprintf(`<%s>; rel="next"`, next.String()))
}
