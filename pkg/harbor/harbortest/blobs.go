package harbortest

import (
	"encoding/json"
	"net/http"

	"github.com/opencontainers/go-digest"
)

// Everything about blobs goes to the registry; Harbor only keeps its own
// account of which project has which, and looks there before the registry for
// a HEAD, and after it for a mount. A blob that was put into the storage as a
// file is in that account only once a manifest names it.

func (s *Server) serveBlob(w http.ResponseWriter, r *http.Request, t *target) error {
	if r.Method == http.MethodHead && !s.db.hasBlob(t.project(), digest.Digest(t.reference)) {
		return blobNotFound(t.reference)
	}
	s.stream(w, r)
	return nil
}

func blobNotFound(d string) error { return notFound("blob %s not found", d) }

func (s *Server) serveUpload(w http.ResponseWriter, r *http.Request, t *target) error {
	if r.Method == http.MethodPost {
		return s.startUpload(w, r, t)
	}
	if s.uploads.dropped(r, t.reference) {
		writeUploadInvalid(w)
		return nil
	}
	defer s.uploads.store(r, t.reference)
	switch r.Method {
	case http.MethodPatch:
		s.continueUpload(w, r, t)
		return nil
	case http.MethodPut:
		return s.finishUpload(w, r, t)
	}
	s.forward(w, r)
	return nil
}

// startUpload starts an upload or mounts a blob. The quota is asked for a mount
// before it is known whether there is anything to mount.
func (s *Server) startUpload(w http.ResponseWriter, r *http.Request, t *target) error {
	mount := digest.Digest(r.URL.Query().Get("mount"))
	size, known := s.db.blobSize(mount)
	claim, err := s.db.claim(t.project(), contents{mount: size})
	if err != nil {
		return err
	}
	defer claim.release()
	a := s.ask(r)
	if a.status == http.StatusCreated {
		if !known {
			return blobNotFound(string(mount))
		}
		claim.keep()
	}
	a.writeTo(w)
	return nil
}

func (s *Server) continueUpload(w http.ResponseWriter, r *http.Request, t *target) {
	if a := s.forward(w, r); a.status == http.StatusAccepted {
		s.db.locked(func() { s.db.uploads[t.reference] = accepted(a.header.Get("Range")) })
	}
}

// finishUpload counts the quota before it reads the rest of the blob. Like Harbor,
// it takes the length of the closing request for the size of the whole blob, and
// what came before it only where that has no body
// (src/server/middleware/blob/put_blob_upload.go).
func (s *Server) finishUpload(w http.ResponseWriter, r *http.Request, t *target) error {
	d := digest.Digest(r.URL.Query().Get("digest"))
	size := r.ContentLength
	if size <= 0 {
		size = s.db.received(t.reference)
	}
	claim, err := s.db.claim(t.project(), contents{d: size})
	if err != nil {
		return err
	}
	defer claim.release()
	a := s.ask(r)
	if a.status == http.StatusCreated {
		claim.keep()
		s.db.locked(func() { delete(s.db.uploads, t.reference) })
	}
	a.olderDetails(d)
	a.writeTo(w)
	return nil
}

// olderDetails puts an error about an upload into the form that the registry in
// Harbor gives it, which shows the inside of the error value. distribution 3
// says its words.
func (a *answer) olderDetails(d digest.Digest) {
	var body struct {
		Errors failures `json:"errors"`
	}
	if a.status < http.StatusBadRequest || json.Unmarshal(a.body.Bytes(), &body) != nil {
		return
	}
	for i := range body.Errors {
		switch e := &body.Errors[i]; e.Code {
		case "DIGEST_INVALID":
			e.Detail = map[string]any{"Digest": d, "Reason": struct{}{}}
		case "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN":
			e.Detail = struct{}{}
		}
	}
	a.body.Reset()
	writeAs(a, a.status, errorType, body.Errors.body())
}

func (db *database) received(session string) int64 {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.uploads[session]
}

// hasBlob reports whether Harbor knows that a project has a blob.
func (db *database) hasBlob(project string, d digest.Digest) bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	p := db.projects[project]
	return p != nil && p.blobs[d]
}

// blobSize returns the size of a blob that Harbor knows of.
func (db *database) blobSize(d digest.Digest) (int64, bool) {
	db.mu.Lock()
	defer db.mu.Unlock()
	size, ok := db.blobs[d]
	return size, ok
}
