package plan

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// Destination is a registry and, in it, a place below which everything goes.
type Destination struct {
	Host      string // with its port, if one was given
	Prefix    string // may be empty
	PlainHTTP bool
}

// ParseDestination reads HOST[:PORT][/PREFIX…], with docker://, https:// or
// http:// before it or not; http:// means plain HTTP.
func ParseDestination(s string) (Destination, error) {
	var d Destination
	rest := s
	for _, scheme := range []string{"docker://", "https://", "http://"} {
		if after, ok := strings.CutPrefix(s, scheme); ok {
			rest, d.PlainHTTP = after, scheme == "http://"
			break
		}
	}
	d.Host, d.Prefix, _ = strings.Cut(rest, "/")
	d.Prefix = strings.Trim(d.Prefix, "/")
	u, err := url.Parse("https://" + d.Host)
	if err != nil || d.Host == "" || u.Host != d.Host || u.Hostname() == "" || strings.Contains(s, "@") {
		return Destination{}, report.WithHint(fmt.Errorf("bad destination %q", s),
			"write HOST[:PORT][/PREFIX], such as harbor.example.com or http://10.0.0.5:8080/old; user names go into --username")
	}
	if d.Prefix != "" && !storage.ValidRepository(d.Prefix) {
		return Destination{}, report.WithHint(fmt.Errorf("bad destination %q: %q is no prefix of repositories", s, d.Prefix),
			"a prefix is made of lower-case components, such as old or old/registry; tags cannot be given")
	}
	return d, nil
}
