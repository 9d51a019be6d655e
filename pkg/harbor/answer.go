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
)

// refusal is an answer of another status than was hoped for.
type refusal struct {
	status        int
	line          string // "403 Forbidden"
	code, message string // the first error in the body; may be empty
}

// The message comes from a server: it is quoted, and cut.
func (r *refusal) Error() string {
	if r.code == "" && r.message == "" {
		return r.line
	}
	return fmt.Sprintf("%s: %.80s %.300q", r.line, strings.Trim(fmt.Sprintf("%q", r.code), `"`), r.message)
}

// answer reads an answer that says no.
func answer(resp *http.Response) *refusal {
	content, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	var body struct {
		Errors []struct{ Code, Message string } `json:"errors"`
	}
	r := &refusal{status: resp.StatusCode, line: resp.Status}
	if json.Unmarshal(content, &body) == nil && len(body.Errors) > 0 {
		r.code, r.message = body.Errors[0].Code, body.Errors[0].Message
	}
	return r
}

// refused tells whether err is an answer of this status.
func refused(err error, status int) bool {
	var r *refusal
	return errors.As(err, &r) && r.status == status
}

// unreached is an error of the way to Harbor, or of Harbor as a whole: asking
// something else will most likely give the same.
type unreached struct{ error }

func (u *unreached) Unwrap() error { return u.error }

func isUnreached(err error) bool {
	_, ok := errors.AsType[*unreached](err)
	return ok
}

// ask sends a GET and reads the JSON of its answer. An answer of another status
// than 200 is a *refusal; one that is no JSON, is cut short or has more than
// maxAnswer bytes is an error as well, and none at all is *unreached. Names in
// paths are marked as such: Harbor takes a project named 42 for the id 42.
func (h *Harbor) ask(ctx context.Context, path string, query url.Values, into any) (http.Header, error) {
	resp, err := h.do.Do(ctx, http.MethodGet, path, query, http.Header{"X-Is-Resource-Name": {"true"}}, nil)
	if err != nil {
		return nil, &unreached{err}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, answer(resp)
	}
	if !isJSON(resp) {
		return nil, fmt.Errorf("an answer of type %.80q, which is no JSON", resp.Header.Get("Content-Type"))
	}
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, &unreached{fmt.Errorf("reading the answer: %w", err)}
	case len(content) > maxAnswer:
		return nil, fmt.Errorf("an answer of more than %d bytes", maxAnswer)
	}
	if err := json.Unmarshal(content, into); err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return resp.Header, nil
}

// projectPath is the path of something below a project.
func projectPath(project, below string) string {
	return "/api/v2.0/projects/" + url.PathEscape(project) + "/" + below
}
