package harbortest

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
)

// A pathKind is what a path below /v2/ is about.
type pathKind int

const (
	manifestPath pathKind = iota
	tagsPath
	blobPath
	uploadPath
	referrersPath
)

// A target is what a path below /v2/ names.
type target struct {
	kind       pathKind
	repository string
	reference  string // a tag, a digest or an upload session; may be empty
}

func (t *target) project() string {
	name, _, _ := strings.Cut(t.repository, "/")
	return name
}

const repositoryPattern = `([a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)`

var targetPatterns = []*regexp.Regexp{
	manifestPath:  regexp.MustCompile(`^/v2/` + repositoryPattern + `/manifests/([^/]+)$`),
	tagsPath:      regexp.MustCompile(`^/v2/` + repositoryPattern + `/tags/list()$`),
	blobPath:      regexp.MustCompile(`^/v2/` + repositoryPattern + `/blobs/(` + digest.DigestRegexp.String() + `)$`),
	uploadPath:    regexp.MustCompile(`^/v2/` + repositoryPattern + `/blobs/uploads(?:/([a-zA-Z0-9_.=-]*))?$`),
	referrersPath: regexp.MustCompile(`^/v2/` + repositoryPattern + `/referrers/([^/]+)$`),
}

// parseTarget returns nil for a path that Harbor does not recognise, which
// takes in every repository name that is against the grammar.
func parseTarget(path string) *target {
	for kind := range targetPatterns {
		if m := targetPatterns[kind].FindStringSubmatch(path); m != nil {
			return &target{pathKind(kind), m[1], m[2]}
		}
	}
	return nil
}

// A repository's path may have this many characters; what is longer breaks in
// one of two ways.
const (
	maxRepositoryPath = 245
	maxRepositoryName = 255
)

// serveV2 goes through Harbor's checks in Harbor's order.
func (s *Server) serveV2(w http.ResponseWriter, r *http.Request) error {
	t := parseTarget(r.URL.Path)
	if err := checkNames(t, r); err != nil {
		return err
	}
	if err := s.checkReadOnly(r); err != nil {
		return err
	}
	c := s.v2Caller(r)
	switch {
	case r.URL.Path == "/v2/" || r.URL.Path == "/v2":
		return s.servePing(w, r, c)
	case r.URL.Path == "/v2/_catalog":
		return s.serveCatalog(w, r, c)
	case t == nil:
		return unauthorized("", "un-recognized request: %s %s", r.Method, r.URL.Path)
	}
	if err := s.checkAccess(r, c, t); err != nil {
		return err
	}
	if done := refuseLongPath(w, t); done {
		return nil
	}
	if err := s.checkProxyCache(r, t); err != nil {
		return err
	}
	if err := s.checkPolicy(r, t); err != nil {
		return err
	}
	return s.serveTarget(w, r, t)
}

func (s *Server) serveTarget(w http.ResponseWriter, r *http.Request, t *target) error {
	switch t.kind {
	case manifestPath:
		return s.serveManifest(w, r, t)
	case tagsPath:
		return s.serveTags(w, r, t)
	case blobPath:
		return s.serveBlob(w, r, t)
	case uploadPath:
		return s.serveUpload(w, r, t)
	default:
		return s.serveReferrers(w, r, t)
	}
}

// checkNames refuses repositories of one component, to be pushed to or to be
// mounted from.
func checkNames(t *target, r *http.Request) error {
	if t == nil {
		return nil
	}
	names := []string{t.repository}
	if from := mountFrom(r, t); from != "" {
		names = append(names, from)
	}
	for _, name := range names {
		if !strings.Contains(name, "/") {
			return badRequest("bad request: invalid repository name: %s", name)
		}
	}
	return nil
}

func mountFrom(r *http.Request, t *target) string {
	if t.kind != uploadPath || r.Method != http.MethodPost {
		return ""
	}
	return r.URL.Query().Get("from")
}

func refuseLongPath(w http.ResponseWriter, t *target) bool {
	switch n := len(t.repository); {
	case n > maxRepositoryName:
		writeError(w, internalError())
	case n > maxRepositoryPath:
		writeBody(w, http.StatusInternalServerError, jsonType, []byte("{}"))
	default:
		return false
	}
	return true
}

// checkProxyCache follows src/server/middleware/repoproxy/proxy.go,
// DisableBlobAndManifestUploadMiddleware.
func (s *Server) checkProxyCache(r *http.Request, t *target) error {
	if p := s.db.project(t.project()); p != nil && p.proxyCache && changes(r) {
		return refuse(http.StatusForbidden, "DENIED", "denied: can not push artifact to a proxy project: %s", p.name)
	}
	return nil
}

func (s *Server) servePing(w http.ResponseWriter, r *http.Request, c caller) error {
	if !c.known() {
		return unauthorized(s.challenge(r, nil), "unauthorized")
	}
	w.Header().Set(versionHeader, apiVersion)
	writeBody(w, http.StatusOK, errorType, []byte("{}"))
	return nil
}

// A need is one permission that a request takes.
type need struct{ repository, action string }

func needs(r *http.Request, t *target) []need {
	action := "pull"
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		action = "push"
	case http.MethodDelete:
		action = "delete"
	}
	all := []need{{t.repository, action}}
	if from := mountFrom(r, t); from != "" {
		all = append(all, need{from, "pull"})
	}
	return all
}

var errNoCredentials = errors.New("authorize header needed to send HEAD to repository")

// checkAccess looks for the project before it looks at rights, and says so
// with the status that a bad password has.
func (s *Server) checkAccess(r *http.Request, c caller, t *target) error {
	wanted := needs(r, t)
	for _, n := range wanted {
		if r.Header.Get("Authorization") == "" && !changes(r) {
			return unauthorized(s.challenge(r, wanted), "%v", errNoCredentials)
		}
		project, _, _ := strings.Cut(n.repository, "/")
		if s.db.project(project) == nil {
			return unauthorized("", "project %s not found", project)
		}
		if !s.allowed(c, project, n.action) {
			return unauthorized(s.challenge(r, wanted), "unauthorized to access repository: %s, action: %s", n.repository, n.action)
		}
	}
	return nil
}

func (s *Server) allowed(c caller, project, action string) bool {
	return slices.Contains(s.actions(c, project), action)
}

// challenge sends a client without credentials to the token service. One that
// came with credentials, whatever they were, is asked for basic ones.
func (s *Server) challenge(r *http.Request, wanted []need) string {
	if r.Header.Get("Authorization") != "" {
		return `Basic realm="harbor"`
	}
	challenge := fmt.Sprintf(`Bearer realm="%s/service/token",service="%s"`, s.external, tokenService)
	var scopes []string
	for _, n := range wanted {
		actions := n.action
		if actions == "push" {
			actions = "pull,push"
		}
		scopes = append(scopes, "repository:"+n.repository+":"+actions)
	}
	if scopes == nil {
		return challenge
	}
	return challenge + fmt.Sprintf(`,scope="%s"`, strings.Join(scopes, " "))
}

// unauthorized says everything twice, as Harbor does.
func unauthorized(challenge, format string, args ...any) error {
	words := fmt.Sprintf(format, args...)
	e := refuse(http.StatusUnauthorized, "UNAUTHORIZED", "%s: %s", words, words).fromRegistry()
	e.header["Www-Authenticate"] = []string{challenge}
	return e
}
