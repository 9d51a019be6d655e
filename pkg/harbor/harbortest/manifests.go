package harbortest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"

	"github.com/opencontainers/go-digest"
)

const maxManifest = 4 << 20

var tagPattern = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}$`)

// SetDeadlocks makes the next n pushes of a tag fail with the 500 that Harbor
// answers when pushes of one tag get into each other's way in its database.
func (s *Server) SetDeadlocks(n int) {
	s.db.locked(func() { s.db.deadlocks = n })
}

// deadlocked takes one deadlock, if there is one left.
func (db *database) deadlocked(tagName string) bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	if tagName == "" || db.deadlocks == 0 {
		return false
	}
	db.deadlocks--
	return true
}

func (s *Server) serveManifest(w http.ResponseWriter, r *http.Request, t *target) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return s.getManifest(w, r, t)
	case http.MethodPut:
		return s.putManifest(w, r, t)
	case http.MethodDelete:
		return s.deleteManifest(w, t)
	}
	s.forward(w, r)
	return nil
}

// getManifest asks the registry by digest, always: the registry knows no tags.
// It is also the registry that looks at the Accept header.
func (s *Server) getManifest(w http.ResponseWriter, r *http.Request, t *target) error {
	a, err := s.db.find(t.repository, t.reference)
	if err != nil {
		return err
	}
	if a.schema1 != nil {
		return writeSchema1(w, a)
	}
	s.forward(w, withPath(r, manifestURL(t.repository, a.digest)))
	return nil
}

func manifestURL(repo string, d digest.Digest) string {
	return "/v2/" + repo + "/manifests/" + d.String()
}

// withPath is r for another path.
func withPath(r *http.Request, path string) *http.Request {
	r = r.Clone(r.Context())
	r.URL.Path, r.URL.RawPath = path, ""
	return r
}

// A push is a manifest on its way in.
type push struct {
	*artifact
	target *target
	tag    string // empty where it is pushed by digest
	body   []byte
}

func (s *Server) putManifest(w http.ResponseWriter, r *http.Request, t *target) error {
	p, err := s.readPush(w, r, t)
	if err != nil {
		return err
	}
	claim, err := s.db.claim(t.project(), p.contents())
	if err != nil {
		return err
	}
	defer claim.release()
	a, err := s.store(r, p)
	if err != nil {
		return err
	}
	if a.status != http.StatusCreated {
		a.writeTo(w)
		return nil
	}
	if err := s.accept(r, p); err != nil {
		return err
	}
	claim.keep()
	if p.subject != nil {
		w.Header().Set("OCI-Subject", p.subject.Digest.String())
	}
	a.writeTo(w)
	return nil
}

// readPush reads a manifest and makes the checks that need no registry.
func (s *Server) readPush(w http.ResponseWriter, r *http.Request, t *target) (*push, error) {
	p := &push{target: t}
	d, isDigest := asDigest(t.reference)
	if !isDigest {
		p.tag = t.reference
	}
	if err := s.checkTag(p); err != nil {
		return nil, err
	}
	var err error
	if p.body, err = readManifest(w, r); err != nil {
		return nil, err
	}
	if p.artifact, err = parseManifest(r.Header.Get("Content-Type"), p.body); err != nil {
		return nil, manifestInvalid("unmarshal manifest failed: %v", err)
	}
	if !isDigest { // Harbor puts the digest of what was sent in place of the tag
		d = digest.FromBytes(p.body)
	}
	if d != p.digest {
		return nil, refuse(http.StatusBadRequest, "DIGEST_INVALID", "provided digest did not match uploaded content").fromRegistry()
	}
	return p, nil
}

func (s *Server) checkTag(p *push) error {
	if p.tag == "" {
		return nil
	}
	if !tagPattern.MatchString(p.tag) {
		return badRequest("bad request: invalid tag name: %s", p.tag)
	}
	if !s.db.immutable(p.target, p.tag) {
		return nil
	}
	_, name, _ := strings.Cut(p.target.repository, "/")
	return refuse(http.StatusPreconditionFailed, "PRECONDITION",
		"Failed to process request due to '%s:%s' configured as immutable.", name, p.tag)
}

func readManifest(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxManifest))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, manifestInvalid("%v", err)
	}
	return body, err
}

func manifestInvalid(format string, args ...any) error {
	return refuse(http.StatusBadRequest, "MANIFEST_INVALID", format, args...)
}

// store puts the manifest into the registry, which checks that all it names is
// in the repository.
func (s *Server) store(r *http.Request, p *push) (*answer, error) {
	if p.schema1 != nil {
		return s.storeSchema1(r, p)
	}
	put := withPath(r, manifestURL(p.target.repository, p.digest))
	put.Body = io.NopCloser(bytes.NewReader(p.body))
	put.ContentLength = int64(len(p.body))
	return s.ask(put), nil
}

// accept enters a stored manifest into the database. What fails here leaves
// the manifest in the registry, but no artifact and no tag.
func (s *Server) accept(r *http.Request, p *push) error {
	if s.db.deadlocked(p.tag) {
		return internalError()
	}
	if err := s.readConfig(r.Context(), p); err != nil {
		return err // which becomes a 500
	}
	for _, child := range p.children {
		if _, err := s.db.find(p.target.repository, child.Digest.String()); err != nil {
			return err
		}
	}
	s.db.record(p.target.repository, p.artifact, p.tag)
	return nil
}

// deleteManifest takes the artifact out of the database, and leaves the
// registry to Harbor's garbage collection.
func (s *Server) deleteManifest(w http.ResponseWriter, t *target) error {
	d, ok := asDigest(t.reference)
	if !ok {
		return refuse(http.StatusBadRequest, "UNSUPPORTED", "unsupported digest %s: %v", t.reference, digest.ErrDigestInvalidFormat)
	}
	if _, err := s.db.find(t.repository, t.reference); err != nil {
		return err
	}
	s.db.locked(func() { s.db.repositories[t.repository].remove(d) })
	return writeEmpty(w, http.StatusAccepted)
}

func (r *repository) remove(d digest.Digest) {
	delete(r.artifacts, d)
	for name, t := range r.tags {
		if t.digest == d {
			delete(r.tags, name)
		}
	}
}

// contents are what a push adds to its project. Layers that lie elsewhere do
// not count.
func (p *push) contents() contents {
	c := contents{p.digest: int64(len(p.body))}
	for _, d := range p.blobs {
		if len(d.URLs) == 0 {
			c[d.Digest] = d.Size
		}
	}
	return c
}
