package push

import (
	"net/http"
	"time"
)

// What tests see of the inside.

func ParseChallenge(headers []string) (scheme string, params map[string]string) {
	c := parseChallenge(headers)
	return c.scheme, c.params
}

func ParseParams(s string) map[string]string { return parseParams(s) }

func Links(header string) (targets []string) {
	for _, l := range links(header) {
		targets = append(targets, l.target+" "+l.params["rel"])
	}
	return targets
}

func RetryAfter(header http.Header) time.Duration { return retryAfter(header) }

func NewStatusError(req *http.Request, resp *http.Response) *StatusError {
	return newStatusError(req, resp)
}

func IsTransient(err error) bool { return isTransient(err) }

// SetStall changes how long an upload may stand still.
func (r *Registry) SetStall(d time.Duration) { r.stall = d }

// SetQuick changes how long an answer may take that costs the registry little.
func (r *Registry) SetQuick(d time.Duration) { r.quick = d }
