package plan

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
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

// hostGrammar is that of domains and ports in references: distribution's
// reference package, which has no user, no underscore and no empty port.
var hostGrammar = regexp.MustCompile(`^(?:(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[([0-9a-fA-F:.]+)\])(?::([0-9]+))?$`)

func validHost(host string) bool {
	parts := hostGrammar.FindStringSubmatch(host)
	if parts == nil {
		return false
	}
	if address := parts[1]; address != "" {
		if ip, err := netip.ParseAddr(address); err != nil || !ip.Is6() {
			return false
		}
	}
	if port := parts[2]; port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		return err == nil && n > 0
	}
	return true
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
	if at := strings.LastIndex(s, "@"); at >= 0 {
		s = "…" + s[at:] // before it may be a password, which no log is to show
		d.Host = ""
	}
	if !validHost(d.Host) {
		return Destination{}, report.WithHint(fmt.Errorf("bad destination %q", s),
			"write HOST[:PORT][/PREFIX], such as harbor.example.com or http://10.0.0.5:8080/old; user names go into --username")
	}
	if d.Prefix != "" && !storage.ValidRepository(d.Prefix) {
		return Destination{}, report.WithHint(fmt.Errorf("bad destination %q: %q is no prefix of repositories", s, d.Prefix),
			"a prefix is made of lower-case components, such as old or old/registry; tags cannot be given")
	}
	return d, nil
}
