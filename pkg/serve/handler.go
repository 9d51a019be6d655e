package serve

import "net/http"

// ServeHTTP implements http.Handler.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Docker-Distribution-API-Version", "registry/2.0")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if p := r.serve(w, req); p != nil {
		p.answer(w)
	}
}

// serve answers a request, or says what is wrong with it. No body is ever read.
func (r *Registry) serve(w http.ResponseWriter, req *http.Request) *problem {
	asked := parsePath(req.URL.Path)
	switch {
	case asked.kind == askNothing:
		return &notFound
	case req.Method != http.MethodGet && req.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		return &unsupported
	case asked.kind == askBase:
		writeJSON(w, http.StatusOK, "application/json", struct{}{})
		return nil
	case asked.kind == askCatalog:
		return r.serveCatalog(w, req)
	case asked.kind == askUpload:
		w.Header().Set("Allow", "")
		return &unsupported
	case !asked.valid():
		return nameInvalid.with(asked.repository)
	}
	repository := r.catalog.repositories[asked.repository]
	if repository == nil {
		return nameUnknown.with(asked.repository)
	}
	switch asked.kind {
	case askTags:
		return serveTags(w, req, repository)
	case askManifest:
		return r.serveManifest(w, req, repository, asked)
	case askReferrers:
		return r.serveReferrers(w, req, repository, asked)
	default:
		return r.serveBlob(w, req, repository, asked)
	}
}
