package harbor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// lookUps is how many projects are looked up side by side.
const lookUps = 4

// Missing gives those of the named projects that do not exist, sorted.
func (h *Harbor) Missing(ctx context.Context, names []string) ([]string, error) {
	missing := map[string]bool{}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(lookUps)
	for _, name := range names {
		g.Go(func() error {
			exists, err := h.ProjectExists(ctx, name)
			if err == nil && !exists {
				mu.Lock()
				missing[name] = true
				mu.Unlock()
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(missing)), nil
}

// ErrForbidden is wrapped where the account lacks the right.
var ErrForbidden = errors.New("this account may not do that")

const hintCreate = "create the project in Harbor first, or use an account that may create projects: an administrator, or a system robot with that right"

// CreateProjects creates projects side by side, as the settings say; without
// settings, private. It tries all of them, and gives the errors of those that
// failed, by name, and notes on those that are not as the settings say.
//
// Administrators get what they ask for, and so do system robots that have the
// right to create projects. Other system robots, and users, can create projects
// unless Harbor leaves that to administrators; it then passes over the quota
// that they ask for, without a word. Robots of one project can create none.
func (h *Harbor) CreateProjects(ctx context.Context, names []string, settings *Settings) (map[string]error, []Problem) {
	failed := map[string]error{}
	var notes problems
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(lookUps)
	for _, name := range names {
		g.Go(func() error {
			note, err := h.createProject(ctx, name, settings.For(name))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed[name] = err
			}
			if note != nil {
				notes.add(*note)
			}
			return nil
		})
	}
	g.Wait()
	notes.sort()
	return failed, notes
}

// CreateProject creates a project, private unless told otherwise. One that
// exists by then is no error: someone else was faster.
func (h *Harbor) CreateProject(ctx context.Context, name string, public bool) error {
	_, err := h.createProject(ctx, name, Setting{Public: known(public)})
	return err
}

// createProject also gives a note where the project is not as it should be.
func (h *Harbor) createProject(ctx context.Context, name string, s Setting) (*Problem, error) {
	status, err := h.postProject(ctx, name, s)
	switch {
	case err != nil:
		return nil, fmt.Errorf("creating project %s: %w", name, err)
	case status == http.StatusConflict && s.shaped():
		return &Problem{SettingsIgnored, Note, []string{name}, "it was created by somebody else in the meantime, and is left as it is", ""}, nil
	case status == http.StatusCreated && s.Quota != 0:
		return h.checkQuota(ctx, name, s.Quota), nil
	}
	return nil, nil
}

// postProject gives the status of an answer that is no error: 201 or 409.
func (h *Harbor) postProject(ctx context.Context, name string, s Setting) (int, error) {
	body, err := json.Marshal(s.request(name))
	if err != nil {
		return 0, err
	}
	resp, err := h.do.Do(ctx, http.MethodPost, "/api/v2.0/projects", nil, http.Header{"Content-Type": {"application/json"}}, body)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusCreated || resp.StatusCode == http.StatusConflict {
		return resp.StatusCode, nil
	}
	r := answer(resp)
	switch {
	case resp.StatusCode == http.StatusForbidden && strings.Contains(r.message, "read only"):
		return 0, report.WithHint(fmt.Errorf("%w: %w", ErrForbidden, r), "an administrator ends read-only mode under Configuration, System Settings")
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		return 0, report.WithHint(fmt.Errorf("%w: %w", ErrForbidden, r), hintCreate)
	}
	return 0, r
}

// projectRequest is the body of a project's creation (api/v2.0/swagger.yaml,
// ProjectReq). Its metadata are strings, whatever they mean.
type projectRequest struct {
	Name         string            `json:"project_name"`
	Metadata     map[string]string `json:"metadata"`
	StorageLimit int64             `json:"storage_limit,omitempty"` // bytes; -1 none, absent: Harbor's own
}

func (s Setting) request(name string) projectRequest {
	metadata := map[string]string{}
	maps.Copy(metadata, s.Metadata)
	metadata["public"] = strconv.FormatBool(s.Public == Yes)
	return projectRequest{Name: name, Metadata: metadata, StorageLimit: s.Quota}
}

// checkQuota looks whether a quota was set: Harbor passes over that of an
// account that may not set one.
func (h *Harbor) checkQuota(ctx context.Context, name string, wanted int64) *Problem {
	var summary projectSummary
	_, err := h.ask(ctx, projectPath(name, "summary"), nil, &summary)
	if err == nil && summary.Quota == nil {
		err = errNoQuota
	}
	var own Project
	if err == nil {
		err = own.setQuota(summary.Quota.Hard, summary.Quota.Used)
	}
	note := &Problem{Code: NotAsked, Severity: Note, Projects: []string{name}}
	switch {
	case err != nil:
		note.Detail = fmt.Sprintf("it was created; whether it got the quota of the settings is not known: %v", err)
	case own.Quota == Yes && own.Limit == wanted, own.Quota == No && wanted == unlimited:
		return nil
	default:
		note.Code = QuotaIgnored
		note.Detail = fmt.Sprintf("it was created, but with %s instead of %s: Harbor takes quotas from administrators alone", quotaWords(own), limitWords(wanted))
		note.Hint = "an administrator can change it under Project Quotas"
	}
	return note
}

func quotaWords(own Project) string {
	if own.Quota == Yes {
		return limitWords(own.Limit)
	}
	return limitWords(unlimited)
}

func limitWords(limit int64) string {
	if limit == unlimited {
		return "no quota"
	}
	return "a quota of " + bytesOf(limit)
}
