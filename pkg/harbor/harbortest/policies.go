package harbortest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/distribution/distribution/v3/manifest/manifestlist"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// An ImmutableRule forbids to push certain tags again.
type ImmutableRule struct {
	// Repositories is a pattern on what follows the project's name, Tags one on
	// the tag. With Except, the rule is about those that do not fit.
	Repositories, Tags             string
	ExceptRepositories, ExceptTags bool
	Disabled                       bool
}

// everyTag is the rule that SetImmutable sets.
var everyTag = ImmutableRule{Repositories: "**", Tags: "**"}

// A Retention is a project's policy of deleting tags.
type Retention struct {
	// Cron says when it runs; empty means by hand alone.
	Cron string
	// Disabled makes its one rule inactive.
	Disabled bool
}

// fits follows src/lib/selector/selectors/doublestar/selector.go, where an empty
// pattern fits everything.
func fits(pattern string, except bool, name string) bool {
	matched, err := doublestar.Match(pattern, name)
	return err == nil && (pattern == "" || matched) != except
}

// immutable reports whether a tag is there and must stay as it is
// (src/pkg/immutable/match/rule/match.go).
func (db *database) immutable(t *target, tagName string) bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	r := db.repositories[t.repository]
	if r == nil {
		return false
	}
	_, there := r.tags[tagName]
	return there && db.projects[t.project()].isImmutable(t.repository, tagName)
}

func (p *project) isImmutable(repository, tagName string) bool {
	_, name, _ := strings.Cut(repository, "/")
	return slices.ContainsFunc(p.rules, func(r ImmutableRule) bool {
		return !r.Disabled && fits(r.Repositories, r.ExceptRepositories, name) && fits(r.Tags, r.ExceptTags, tagName)
	})
}

type immutableRuleJSON struct {
	Disabled bool                      `json:"disabled,omitempty"`
	ID       int                       `json:"id"`
	Scopes   map[string][]selectorJSON `json:"scope_selectors"`
	Tags     []selectorJSON            `json:"tag_selectors"`
}

type selectorJSON struct {
	Decoration string `json:"decoration"`
	Kind       string `json:"kind"`
	Pattern    string `json:"pattern"`
}

func newSelectorJSON(pattern string, except bool, fit, exceptFit string) []selectorJSON {
	if except {
		fit = exceptFit
	}
	return []selectorJSON{{fit, "doublestar", pattern}}
}

func (s *Server) listRules(w http.ResponseWriter, r *http.Request, c caller, nameOrID string) error {
	p, err := s.requireProject(r, c, nameOrID, listImmutableRules)
	if err != nil {
		return err
	}
	var rules []immutableRuleJSON
	for i, rule := range p.rules {
		repositories := newSelectorJSON(rule.Repositories, rule.ExceptRepositories, "repoMatches", "repoExcludes")
		rules = append(rules, immutableRuleJSON{
			Disabled: rule.Disabled, ID: i + 1,
			Scopes: map[string][]selectorJSON{"repository": repositories},
			Tags:   newSelectorJSON(rule.Tags, rule.ExceptTags, "matches", "excludes"),
		})
	}
	rows, err := page(w, r, rules)
	if err != nil {
		return err
	}
	return writeJSON(w, rows)
}

// getRetention answers GET /retentions/ID. A policy has the id of its project.
func (s *Server) getRetention(w http.ResponseWriter, r *http.Request, c caller, id string) error {
	p := s.db.lookup(id, false)
	switch {
	case p == nil || p.retention == nil:
		return notFound("no such Retention policy with id %s", id)
	case !c.known():
		return unauthenticated()
	case !c.may(readRetention, p):
		return forbidden("forbidden")
	}
	everything := []map[string]string{{"decoration": "matches", "kind": "doublestar", "pattern": "**"}}
	return writeJSON(w, map[string]any{
		"algorithm": "or", "id": p.id, "scope": map[string]any{"level": "project", "ref": p.id},
		"rules": []any{map[string]any{
			"action": "retain", "disabled": p.retention.Disabled, "id": 1, "template": "latestPushedK",
			"params": map[string]any{"latestPushedK": 10}, "tag_selectors": everything,
			"scope_selectors": map[string]any{"repository": everything},
		}},
		"trigger": map[string]any{"kind": "Schedule", "settings": map[string]string{"cron": p.retention.Cron}},
	})
}

// metadataJSON is what is shown of a project's settings.
func (p *project) metadataJSON() map[string]string {
	shown := map[string]string{"public": strconv.FormatBool(p.public)}
	for name, value := range p.metadata {
		shown[name] = value
	}
	if p.retention != nil {
		shown["retention_id"] = fmt.Sprint(p.id)
	}
	return shown
}

// checkPolicy refuses to show an image that the project's policy forbids to
// pull. Nothing was ever scanned here, and nothing is signed by notation
// (src/server/middleware/vulnerable/vulnerable.go, contenttrust/contentrust.go;
// a HEAD goes the same way as a GET: src/server/registry/route.go).
func (s *Server) checkPolicy(r *http.Request, t *target) error {
	p := s.db.project(t.project())
	if p == nil || t.kind != manifestPath || changes(r) || !p.hasPullPolicy() {
		return nil
	}
	a, err := s.db.find(t.repository, t.reference)
	if err != nil {
		return err
	}
	signed, isSignature := s.db.signed(t.repository, a)
	switch {
	case isSignature:
		return nil
	case p.metadata["enable_content_trust_cosign"] == "true" && !signed:
		return refuse(http.StatusPreconditionFailed, "PROJECTPOLICYVIOLATION", "The image is not signed by cosign.")
	case p.metadata["enable_content_trust"] == "true":
		return refuse(http.StatusPreconditionFailed, "PROJECTPOLICYVIOLATION", "The image is not signed by notation.")
	case p.metadata["prevent_vul"] == "true" && a.scannable():
		return refuse(http.StatusPreconditionFailed, "PROJECTPOLICYVIOLATION",
			`current image without vulnerability scanning cannot be pulled due to configured policy in 'Prevent images with vulnerability severity of "%s" or higher from running.' `+
				`To continue with pull, please contact your project administrator for help.`, severity(p.metadata["severity"]))
	}
	return nil
}

func (p *project) hasPullPolicy() bool {
	for _, name := range []string{"enable_content_trust_cosign", "enable_content_trust", "prevent_vul"} {
		if p.metadata[name] == "true" {
			return true
		}
	}
	return false
}

// severity is written with a capital in that message.
func severity(s string) string {
	if s == "" {
		return "Unknown"
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func (a *artifact) scannable() bool {
	return a.kind() == "IMAGE" || a.mediaType == ocispec.MediaTypeImageIndex || a.mediaType == manifestlist.MediaTypeManifestList
}

// signed tells whether an artifact has a signature of cosign's, or is one.
func (db *database) signed(repo string, a *artifact) (signed, isSignature bool) {
	db.mu.Lock()
	defer db.mu.Unlock()
	r := db.repositories[repo]
	for _, other := range r.artifacts {
		if acc, ok := r.accessory(other); ok && acc.kind == "signature.cosign" {
			signed = signed || acc.subject == a.digest
			isSignature = isSignature || other.digest == a.digest
		}
	}
	return signed, isSignature
}

// checkMetadata follows validateProjectReq in src/server/v2.0/handler/project.go.
// Values are strings, or the body is none that the API takes.
func checkMetadata(raw map[string]json.RawMessage) (map[string]string, error) {
	metadata := map[string]string{}
	for name, value := range raw {
		var text string
		if err := json.Unmarshal(value, &text); err != nil {
			return nil, badRequest(`parsing body body from "" failed, because %v`, err)
		}
		if projectMetadata[name] {
			metadata[name] = text
		}
	}
	if id := metadata["retention_id"]; id != "" {
		return nil, badRequest("bad request: the retention_id in the request's payload when creating a project should be omitted, alternatively passing an empty string")
	}
	if public := metadata["public"]; public != "" && public != "true" && public != "false" {
		return nil, badRequest("metadata.public should only be 'true' or 'false', but got: '%s'", public)
	}
	return metadata, nil
}

// projectMetadata are the settings that Harbor knows (api/v2.0/swagger.yaml,
// ProjectMetadata). Others are dropped without a word; those of proxy caches
// are, too, for other projects.
var projectMetadata = map[string]bool{
	"public": true, "enable_content_trust": true, "enable_content_trust_cosign": true, "prevent_vul": true, "severity": true,
	"auto_scan": true, "auto_sbom_generation": true, "reuse_sys_cve_allowlist": true, "retention_id": true,
}
