package harbortest

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// uploads are the upload sessions as the registry in Harbor sees them.
//
// That registry, distribution 2.8, has in an upload's Location how many bytes it
// had, and drops an upload whose bytes are others by then: so an upload that broke
// in the middle of a body is gone, whoever asks for it with whatever request
// (registry/handlers/blobupload.go, blobUploadDispatcher; tried with 2.8.2).
// distribution 3, which runs here, lets a client ask and go on.
type uploads struct {
	mu        sync.Mutex
	resumable bool
	stored    map[string]int64 // bytes, by session, of broken bodies too
}

// SetResumable makes uploads that broke go on as with distribution 3, and not as
// with the registry in Harbor 2.15.
func (s *Server) SetResumable(on bool) {
	s.uploads.mu.Lock()
	defer s.uploads.mu.Unlock()
	s.uploads.resumable = on
}

// dropped tells whether the registry in Harbor would have dropped the upload.
func (u *uploads) dropped(r *http.Request, session string) bool {
	offset, ok := stateOffset(r.URL.Query().Get("_state"))
	u.mu.Lock()
	defer u.mu.Unlock()
	return ok && !u.resumable && offset != u.stored[session]
}

// store counts what a request brought, whatever became of it.
func (u *uploads) store(r *http.Request, session string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stored[session] += bodyBytes(r)
}

// stateOffset reads how many bytes there were when a Location was made: behind a
// signature of 32 bytes stands the state, as JSON. The registry checks the
// signature.
func stateOffset(state string) (int64, bool) {
	raw, err := base64.URLEncoding.DecodeString(state)
	if err != nil || len(raw) < 32 {
		return 0, false
	}
	var s struct{ Offset int64 }
	if err := json.Unmarshal(raw[32:], &s); err != nil {
		return 0, false
	}
	return s.Offset, true
}

// accepted is how many bytes Harbor takes an upload to have after a PATCH
// (src/server/middleware/blob/patch_blob_upload.go).
func accepted(header string) int64 {
	_, end, _ := strings.Cut(header, "-")
	n, err := strconv.ParseInt(end, 10, 64)
	if err != nil || n == 0 {
		return 0
	}
	return n + 1
}

func writeUploadInvalid(w http.ResponseWriter) {
	w.Header().Set(versionHeader, apiVersion)
	writeAs(w, http.StatusNotFound, errorType,
		failures{{Code: "BLOB_UPLOAD_INVALID", Message: "blob upload invalid", Detail: struct{}{}}}.body())
}
