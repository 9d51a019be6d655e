package harbortest

import (
	"bytes"
	"cmp"
	"context"
	_ "crypto/sha512" // makes digests of this algorithm verifiable
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // Options.Dir
)

// newRegistry starts distribution's registry without authentication, upload
// purging, metrics or logging. It takes foreign layers from any http URL, as
// the registry in Harbor does. That one also lets blobs be deleted
// (make/photon/prepare/templates/registry/config.yml.jinja); a plain one does not
// unless it is told to.
func newRegistry(ctx context.Context, dir, external string, deletes bool) (app *handlers.App, err error) {
	silence()
	config := &configuration.Configuration{Storage: storageConfig(dir)}
	config.Storage["delete"] = configuration.Parameters{"enabled": deletes}
	config.HTTP.Host = external
	config.Validation.Enabled = true
	config.Validation.Manifests.URLs.Allow = []string{"^https?://."}

	defer func() { // NewApp reports its errors by panicking
		if v := recover(); v != nil {
			app, err = nil, fmt.Errorf("configuring distribution: %v", v)
		}
	}()
	return handlers.NewApp(ctx, config), nil
}

func storageConfig(dir string) configuration.Storage {
	storage := configuration.Storage{
		"maintenance": {"uploadpurging": map[any]any{"enabled": false}},
		"redirect":    {"disable": true},
	}
	if dir == "" {
		storage[MemoryDriver] = configuration.Parameters{}
	} else {
		storage["filesystem"] = configuration.Parameters{"rootdirectory": dir}
	}
	return storage
}

// forward hands a request to the registry and passes its answer on.
func (s *Server) forward(w http.ResponseWriter, r *http.Request) *answer {
	a := s.ask(r)
	a.writeTo(w)
	return a
}

// ask hands a request to the registry and keeps its answer.
func (s *Server) ask(r *http.Request) *answer {
	a := &answer{header: http.Header{}}
	s.registry.ServeHTTP(a, r)
	return a
}

// stream passes the registry's answer on while it comes, for blobs.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	s.registry.ServeHTTP(typedErrors{w}, r)
}

// fetch asks the registry on the server's own behalf.
func (s *Server) fetch(ctx context.Context, method, path string) *answer {
	r := (&http.Request{Method: method, URL: &url.URL{Path: path}, Header: http.Header{}, Body: http.NoBody}).WithContext(ctx)
	return s.ask(r)
}

// answer is a response that can still be changed or thrown away.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

func (a *answer) writeTo(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	typedErrors{w}.WriteHeader(cmp.Or(a.status, http.StatusOK))
	_, _ = w.Write(a.body.Bytes())
}

// typedErrors gives errors the content type that Harbor's older registry gives
// them.
type typedErrors struct{ http.ResponseWriter }

func (w typedErrors) WriteHeader(status int) {
	if status >= http.StatusBadRequest && w.Header().Get("Content-Type") == jsonType {
		w.Header().Set("Content-Type", errorType)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (a *answer) contentLength() int64 {
	n, _ := strconv.ParseInt(a.header.Get("Content-Length"), 10, 64)
	return n
}
