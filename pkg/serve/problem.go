package serve

import (
	"encoding/json"
	"net/http"
)

// problem is an answer that is an error: OCI distribution spec 1.1, "Error Codes".
type problem struct {
	status  int
	code    string
	message string
	detail  string
}

var (
	unsupported     = problem{status: http.StatusMethodNotAllowed, code: "UNSUPPORTED", message: "this registry can only be read"}
	notFound        = problem{status: http.StatusNotFound, code: "UNSUPPORTED", message: "there is nothing of this path in a registry"}
	nameInvalid     = problem{status: http.StatusBadRequest, code: "NAME_INVALID", message: "invalid repository name"}
	nameUnknown     = problem{status: http.StatusNotFound, code: "NAME_UNKNOWN", message: "repository name not known to registry"}
	digestInvalid   = problem{status: http.StatusBadRequest, code: "DIGEST_INVALID", message: "provided digest is none"}
	manifestUnknown = problem{status: http.StatusNotFound, code: "MANIFEST_UNKNOWN", message: "manifest unknown"}
	blobUnknown     = problem{status: http.StatusNotFound, code: "BLOB_UNKNOWN", message: "blob unknown to registry"}
	numberInvalid   = problem{status: http.StatusBadRequest, code: "PAGINATION_NUMBER_INVALID", message: "invalid number of results requested"}
	unauthorized    = problem{status: http.StatusUnauthorized, code: "UNAUTHORIZED", message: "authentication required"}
	unreadable      = problem{status: http.StatusInternalServerError, code: "UNKNOWN", message: "it could not be read"}
)

func (p problem) with(detail string) *problem {
	p.detail = detail
	return &p
}

// answer writes it. What the client said is repeated as JSON alone.
func (p problem) answer(w http.ResponseWriter) {
	type one struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Detail  string `json:"detail,omitempty"`
	}
	writeJSON(w, p.status, "application/json", struct {
		Errors []one `json:"errors"`
	}{[]one{{p.code, p.message, p.detail}}})
}

func writeJSON(w http.ResponseWriter, status int, mediaType string, value any) {
	content, err := json.Marshal(value)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(status)
	_, _ = w.Write(content) // the client has gone where this fails
}
