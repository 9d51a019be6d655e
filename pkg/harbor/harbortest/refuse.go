package harbortest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

const (
	jsonType      = "application/json"
	errorType     = "application/json; charset=utf-8"
	versionHeader = "Docker-Distribution-Api-Version"
	apiVersion    = "registry/2.0"
)

// A refusal is an answer that says no, in the form shared by Harbor's core and
// the registry behind it.
type refusal struct {
	status  int
	code    string
	message string
	header  http.Header // further headers
}

func (e *refusal) Error() string { return e.code + ": " + e.message }

func refuse(status int, code, format string, args ...any) *refusal {
	return &refusal{status: status, code: code, message: fmt.Sprintf(format, args...)}
}

func badRequest(format string, args ...any) *refusal {
	return refuse(http.StatusBadRequest, "BAD_REQUEST", format, args...)
}

func notFound(format string, args ...any) *refusal {
	return refuse(http.StatusNotFound, "NOT_FOUND", format, args...)
}

func conflict(format string, args ...any) *refusal {
	return refuse(http.StatusConflict, "CONFLICT", format, args...)
}

func forbidden(format string, args ...any) *refusal {
	return refuse(http.StatusForbidden, "FORBIDDEN", format, args...)
}

// unauthenticated is the API's answer; the registry's carries a challenge, see
// unauthorized.
func unauthenticated() *refusal {
	return refuse(http.StatusUnauthorized, "UNAUTHORIZED", "unauthorized")
}

// internalError is all that Harbor tells of an error that it did not foresee.
func internalError() *refusal {
	return refuse(http.StatusInternalServerError, "UNKNOWN", "internal server error")
}

// fromRegistry marks a refusal as one that the registry would have sent.
func (e *refusal) fromRegistry() *refusal {
	e.header = http.Header{versionHeader: {apiVersion}}
	return e
}

func writeError(w http.ResponseWriter, err error) {
	e := internalError()
	errors.As(err, &e)
	for name, values := range e.header {
		w.Header()[name] = values
	}
	writeAs(w, e.status, errorType, failures{{Code: e.code, Message: e.message}}.body())
}

// A failure is one error in an answer's body.
type failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Detail  any    `json:"detail,omitempty"`
}

type failures []failure

func (f failures) body() any { return map[string]failures{"errors": f} }

// writeJSON answers an API request.
func writeJSON(w http.ResponseWriter, v any) error {
	writeAs(w, http.StatusOK, jsonType, v)
	return nil
}

// writeAs writes v as JSON with a newline behind it, as Harbor does.
func writeAs(w http.ResponseWriter, status int, contentType string, v any) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("encoding %T: %v", v, err)) // only our own types come here
	}
	writeBody(w, status, contentType, b.Bytes())
}

func writeBody(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// writeEmpty answers without a body.
func writeEmpty(w http.ResponseWriter, status int) error {
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(status)
	return nil
}
