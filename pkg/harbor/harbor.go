// Package harbor speaks Harbor's own API, /api/v2.0: is it a Harbor, what would
// it refuse, and create the projects that are missing. Images go through the
// registry's API, in package push.
//
// Source of the API: Harbor, api/v2.0/swagger.yaml; of what is behind it, the
// files of Harbor 2.15.2 that comments name.
package harbor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/opencontainers/go-digest"
)

// maxAnswer bounds what is read of an answer, bytes.
const maxAnswer = 4 << 20

// Doer sends a request to the registry's host with the account's credentials,
// and repeats it where it fails in passing. push.Registry is one.
type Doer interface {
	Do(ctx context.Context, method, path string, query url.Values, header http.Header, body []byte) (*http.Response, error)
}

// Harbor is a Harbor's API.
type Harbor struct {
	do      Doer
	Version string // such as "v2.15.2-080b0220"; empty where this account may not see it
	// AuthMode is where users come from, such as "db_auth" or "oidc_auth".
	AuthMode string
	// ReadOnly tells that nobody may push. An account that may not see it gets
	// false; Preflight tells the two apart.
	ReadOnly bool
	// Storage is the driver that the registry keeps its blobs with, such as
	// "filesystem" or "s3"; empty where this account may not see it.
	Storage string

	readOnly Known
	creation string // who may create projects: everyone or adminonly; empty where it is not shown
}

// Detect asks the host whether it is a Harbor 2.x. Where it is none, it gives
// nil and no error.
func Detect(ctx context.Context, do Doer) (*Harbor, error) {
	resp, err := askInfo(ctx, do)
	if err != nil {
		return nil, fmt.Errorf("asking for Harbor: %w", err)
	}
	defer resp.Body.Close()
	var info struct {
		AuthMode      *string `json:"auth_mode"`
		HarborVersion string  `json:"harbor_version"`
		ReadOnly      *bool   `json:"read_only"`
		Creation      string  `json:"project_creation_restriction"`
		Storage       string  `json:"registry_storage_provider_name"`
	}
	if resp.StatusCode != http.StatusOK || !isJSON(resp) {
		return nil, nil
	}
	if json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&info) != nil || info.AuthMode == nil {
		return nil, nil
	}
	h := &Harbor{do: do, Version: info.HarborVersion, AuthMode: *info.AuthMode, Storage: info.Storage, creation: info.Creation}
	if info.ReadOnly != nil {
		h.ReadOnly, h.readOnly = *info.ReadOnly, known(*info.ReadOnly)
	}
	return h, nil
}

// askInfo asks again where a page for people comes: other registries have one for
// what they do not know, but so has a proxy that restarts before a Harbor.
func askInfo(ctx context.Context, do Doer) (resp *http.Response, err error) {
	for range 3 {
		resp, err = do.Do(ctx, http.MethodGet, "/api/v2.0/systeminfo", nil, nil, nil)
		if err != nil || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
			break
		}
		resp.Body.Close()
	}
	return resp, err
}

func isJSON(resp *http.Response) bool {
	return strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json")
}

// AddTag gives a tag to an artifact that the repository has. A tag that exists
// is refused, as Harbor refuses it: 409.
func (h *Harbor) AddTag(ctx context.Context, repository, tag string, d digest.Digest) error {
	project, name, _ := strings.Cut(repository, "/")
	body, err := json.Marshal(map[string]string{"name": tag})
	if err != nil {
		return err
	}
	// The repository is encoded twice: its slashes are no part of the path.
	path := "/api/v2.0/projects/" + url.PathEscape(project) + "/repositories/" + url.PathEscape(url.PathEscape(name)) +
		"/artifacts/" + d.String() + "/tags"
	resp, err := h.do.Do(ctx, http.MethodPost, path, nil, http.Header{"Content-Type": {"application/json"}}, body)
	if err != nil {
		return fmt.Errorf("tagging %s:%s: %w", repository, tag, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("tagging %s:%s: %w", repository, tag, answer(resp))
	}
	return nil
}
