// Package harbor speaks Harbor's own API, /api/v2.0: is it a Harbor, which
// projects does it have, and create those that are missing. Images go through
// the registry's API, in package push.
//
// Source of the API: Harbor, api/v2.0/swagger.yaml.
package harbor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
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
	// ReadOnly tells that nobody may push. An account that may not see it gets false.
	ReadOnly bool
}

// Detect asks the host whether it is a Harbor 2.x. Where it is none, it gives
// nil and no error.
func Detect(ctx context.Context, do Doer) (*Harbor, error) {
	resp, err := do.Do(ctx, http.MethodGet, "/api/v2.0/systeminfo", nil, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("asking for Harbor: %w", err)
	}
	defer resp.Body.Close()
	var info struct {
		AuthMode      *string `json:"auth_mode"`
		HarborVersion string  `json:"harbor_version"`
		ReadOnly      bool    `json:"read_only"`
	}
	if resp.StatusCode != http.StatusOK || !isJSON(resp) {
		return nil, nil
	}
	if json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&info) != nil || info.AuthMode == nil {
		return nil, nil
	}
	return &Harbor{do: do, Version: info.HarborVersion, ReadOnly: info.ReadOnly}, nil
}

func isJSON(resp *http.Response) bool {
	return strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json")
}

// ProjectExists tells whether there is a project of this name. A HEAD, which
// every account may send; the answers to a push would not tell a project that
// is missing from a wrong password.
func (h *Harbor) ProjectExists(ctx context.Context, name string) (bool, error) {
	resp, err := h.do.Do(ctx, http.MethodHead, "/api/v2.0/projects", url.Values{"project_name": {name}}, nil, nil)
	if err != nil {
		return false, fmt.Errorf("looking up project %s: %w", name, err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		return true, nil
	case http.StatusNotFound:
		return false, nil
	}
	return false, fmt.Errorf("looking up project %s: %w", name, answer(resp))
}

// ErrForbidden is wrapped where the account lacks the right.
var ErrForbidden = errors.New("this account may not do that")

// CreateProject creates a project, private unless told otherwise. One that
// exists by then is no error: someone else was faster.
func (h *Harbor) CreateProject(ctx context.Context, name string, public bool) error {
	body, err := json.Marshal(map[string]any{
		"project_name": name,
		"metadata":     map[string]string{"public": fmt.Sprint(public)},
	})
	if err != nil {
		return err
	}
	header := http.Header{"Content-Type": {"application/json"}}
	resp, err := h.do.Do(ctx, http.MethodPost, "/api/v2.0/projects", nil, header, body)
	if err != nil {
		return fmt.Errorf("creating project %s: %w", name, err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusCreated, http.StatusConflict:
		return nil
	case http.StatusUnauthorized, http.StatusForbidden:
		return report.WithHint(fmt.Errorf("creating project %s: %w: %w", name, ErrForbidden, answer(resp)),
			"create the project in Harbor first, or use an account that may create projects: an administrator, or a system robot with that right")
	}
	return fmt.Errorf("creating project %s: %w", name, answer(resp))
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

// answer puts an unexpected answer into words.
func answer(resp *http.Response) error {
	content, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	var body struct {
		Errors []struct{ Code, Message string } `json:"errors"`
	}
	if json.Unmarshal(content, &body) == nil && len(body.Errors) > 0 {
		return fmt.Errorf("%s: %s %.300q", resp.Status, body.Errors[0].Code, body.Errors[0].Message)
	}
	return errors.New(resp.Status)
}
