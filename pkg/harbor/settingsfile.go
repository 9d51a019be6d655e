package harbor

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
	"go.yaml.in/yaml/v3"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// maxSettings bounds a file of settings, bytes.
const maxSettings = 1 << 20

// maxQuota is the highest that Harbor takes, bytes: 1024 TiB
// (src/lib/quota_storage_limit.go).
const maxQuota = 1 << 50

const settingsHint = `write a list of rules in YAML, the first that fits a project counts, such as [{match: "team-*", public: false, quota: 50GiB, metadata: {auto_scan: true, severity: high}}, {match: "*", quota: -1}]`

// ParseSettings reads settings in YAML: a list of rules, each with match and, if
// wanted, public, quota and metadata:
//
//   - match: team-*
//     public: false
//     quota: 50GiB
//     metadata: {auto_scan: true, severity: high}
//   - match: "*"
//     quota: -1
//
// What it does not know it refuses, with the line it stands in.
func ParseSettings(r io.Reader) (*Settings, error) {
	s, err := parseSettings(r)
	if err != nil {
		return nil, report.WithHint(fmt.Errorf("reading project settings: %w", err), settingsHint)
	}
	return s, nil
}

func parseSettings(r io.Reader) (*Settings, error) {
	list, err := readDocument(r)
	if err != nil {
		return nil, err
	}
	if list.Kind != yaml.SequenceNode || len(list.Content) == 0 {
		return nil, at(list, "want a list of rules, each with a match")
	}
	s := &Settings{}
	for _, node := range list.Content {
		rule, err := parseRule(node)
		if err != nil {
			return nil, err
		}
		same := func(r Setting) bool { return r.Match == rule.Match }
		if i := slices.IndexFunc(s.Rules, same); i >= 0 {
			return nil, at(node, "%q is matched in line %d already", rule.Match, s.Rules[i].line)
		}
		s.Rules = append(s.Rules, rule)
	}
	return s, nil
}

// readDocument reads the one document of a file.
func readDocument(r io.Reader) (*yaml.Node, error) {
	limited := &io.LimitedReader{R: r, N: maxSettings + 1}
	content, err := io.ReadAll(limited)
	switch {
	case err != nil:
		return nil, err
	case limited.N <= 0:
		return nil, fmt.Errorf("it has more than %s", bytesOf(maxSettings))
	}
	var document, another yaml.Node
	decoder := yaml.NewDecoder(strings.NewReader(string(content)))
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, errors.New("it is empty")
	case err != nil:
		return nil, err
	case len(document.Content) != 1:
		return nil, errors.New("it is empty")
	}
	if err := decoder.Decode(&another); !errors.Is(err, io.EOF) {
		return nil, errors.New("it has more than one document")
	}
	return document.Content[0], nil
}

// at is an error with the line of a node.
func at(node *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("line %d: %s", node.Line, fmt.Sprintf(format, args...))
}

// entries gives the keys and values of a mapping, each key once.
func entries(node *yaml.Node, what string) (map[string]*yaml.Node, []*yaml.Node, error) {
	if node.Kind != yaml.MappingNode {
		return nil, nil, at(node, "want %s", what)
	}
	values := map[string]*yaml.Node{}
	var keys []*yaml.Node
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		if key.Kind != yaml.ScalarNode {
			return nil, nil, at(key, "want a name before the colon")
		}
		if values[key.Value] != nil {
			return nil, nil, at(key, "%q stands there twice", key.Value)
		}
		values[key.Value] = node.Content[i+1]
		keys = append(keys, key)
	}
	return values, keys, nil
}

func parseRule(node *yaml.Node) (Setting, error) {
	s := Setting{line: node.Line}
	values, keys, err := entries(node, "a rule: match and, if wanted, public, quota and metadata")
	if err != nil {
		return s, err
	}
	for _, key := range keys {
		value := values[key.Value]
		switch key.Value {
		case "match":
			s.Match, err = parseMatch(value)
		case "public":
			s.Public, err = parseBool(value)
		case "quota":
			s.Quota, err = parseQuota(value)
		case "metadata":
			s.Metadata, err = parseMetadata(value)
		default:
			err = at(key, "%q is unknown; known are match, public, quota and metadata", key.Value)
		}
		if err != nil {
			return s, err
		}
	}
	if s.Match == "" {
		return s, at(node, "the rule has no match")
	}
	return s, nil
}

func parseMatch(node *yaml.Node) (string, error) {
	if node.Kind != yaml.ScalarNode || node.Value == "" || node.Tag == "!!null" {
		return "", at(node, "want a project's name, or a pattern such as team-*")
	}
	if _, err := path.Match(node.Value, ""); err != nil || strings.Contains(node.Value, "/") {
		return "", at(node, "bad pattern %q: it is held against the name of a project, without slashes", node.Value)
	}
	return node.Value, nil
}

func parseBool(node *yaml.Node) (Known, error) {
	if node.Kind == yaml.ScalarNode && (node.Value == "true" || node.Value == "false") {
		return known(node.Value == "true"), nil
	}
	return Unknown, at(node, "want true or false")
}

// parseQuota reads a size such as 50GiB; -1, as in Harbor's own, is none.
func parseQuota(node *yaml.Node) (int64, error) {
	value := node.Value
	if node.Kind == yaml.ScalarNode && value == strconv.Itoa(unlimited) {
		return unlimited, nil
	}
	bytes, err := humanize.ParseBytes(value)
	switch {
	case node.Kind != yaml.ScalarNode, err != nil, strings.ContainsAny(value, ",-+"):
		return 0, at(node, "bad quota %.40q: want a size such as 50GiB, or -1 for none", value)
	case bytes == 0:
		return 0, at(node, "a quota of 0: leave it out for Harbor's own, or give -1 for none")
	case bytes > maxQuota:
		return 0, at(node, "a quota of %.40q; Harbor takes up to 1024TiB, or -1 for none", value)
	}
	return int64(bytes), nil
}

// projectMetadata are the settings that Harbor knows (api/v2.0/swagger.yaml,
// ProjectMetadata), with the values that they take. Any other it drops without a
// word. Those of proxy caches are missing here, as these are not created.
var projectMetadata = map[string][]string{
	"auto_scan":                   {"true", "false"},
	"auto_sbom_generation":        {"true", "false"},
	"prevent_vul":                 {"true", "false"},
	"severity":                    {"none", "low", "medium", "high", "critical"},
	"enable_content_trust":        {"true", "false"},
	"enable_content_trust_cosign": {"true", "false"},
	"reuse_sys_cve_allowlist":     {"true", "false"},
}

func parseMetadata(node *yaml.Node) (map[string]string, error) {
	values, keys, err := entries(node, "names and values")
	if err != nil {
		return nil, err
	}
	metadata := map[string]string{}
	for _, key := range keys {
		value := values[key.Value]
		allowed, ok := projectMetadata[key.Value]
		switch {
		case key.Value == "public":
			return nil, at(key, "public stands beside metadata, not in it")
		case !ok:
			return nil, at(key, "Harbor has no setting %q", key.Value)
		case value.Kind != yaml.ScalarNode || !slices.Contains(allowed, value.Value):
			return nil, at(value, "bad value %.40q of %s: want %s", value.Value, key.Value, strings.Join(allowed, ", "))
		}
		metadata[key.Value] = value.Value
	}
	return metadata, nil
}
