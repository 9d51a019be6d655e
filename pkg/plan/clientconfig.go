package plan

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// ClientConfig is what sends clients from the names of an old registry to where a
// plan puts its images.
type ClientConfig struct {
	// Registries is for podman, CRI-O, skopeo and buildah: a file of
	// /etc/containers/registries.conf.d (containers-registries.conf(5)).
	Registries string
	// Hosts is for containerd: hosts.toml in a directory named after the old
	// registry, below its config_path. It is empty where containerd has no way to
	// say what the plan does.
	Hosts string
	// Notes are what neither can do, a sentence each.
	Notes []string
}

// NewClientConfig makes the configuration for the plan's targets in a registry,
// for clients that know the source as the host old. The names are all repositories
// of the source: those without an image in the plan are left with the old host.
func NewClientConfig(p *Plan, names iter.Seq[string], old string, to Destination) (*ClientConfig, error) {
	if !validHost(old) {
		return nil, report.WithHint(fmt.Errorf("bad host %q", old), "write HOST[:PORT], as it stands in the names of images: registry.example.com:5000")
	}
	m := moves{old: old, to: to, all: map[string]string{}}
	for name := range names {
		m.all[name] = old + "/" + name
	}
	for _, i := range p.Images {
		m.all[i.Source.Repository] = to.Host + "/" + i.Target.Repository
	}
	for name := range m.all {
		m.names = append(m.names, name)
	}
	slices.SortFunc(m.names, byComponents)
	c := &ClientConfig{Registries: m.registries()}
	c.Hosts, c.Notes = m.hosts()
	if n := len(p.LeftOut); n > 0 {
		c.Notes = append(c.Notes, fmt.Sprintf("%d images of the source are not carried; clients that are sent on will not find them", n))
	}
	c.Notes = append(c.Notes, m.dockerd())
	return c, nil
}

// moves is where each repository of an old registry is to be looked for, host
// included.
type moves struct {
	old   string
	to    Destination
	all   map[string]string
	names []string // sorted by their components, so that those below one another are neighbours
}

func byComponents(a, b string) int {
	return strings.Compare(strings.ReplaceAll(a, "/", "\x00"), strings.ReplaceAll(b, "/", "\x00"))
}

// move sends a repository, and all below it, elsewhere.
type move struct{ from, to string }

func (m *moves) carried(name string) bool { return m.all[name] != m.old+"/"+name }

// registries writes the fewest prefixes that send each repository to its place: of
// several that fit, clients take the longest.
func (m *moves) registries() string {
	var out strings.Builder
	fmt.Fprintf(&out, "# Sends clients from %s to %s: a file for /etc/containers/registries.conf.d.\n", m.old, m.to.Host)
	for _, e := range m.below("", m.names, m.old) {
		fmt.Fprintf(&out, "\n[[registry]]\nprefix = %s\nlocation = %s\n", strconv.Quote(strings.TrimSuffix(m.old+"/"+e.from, "/")), strconv.Quote(e.to))
		if m.to.PlainHTTP && strings.HasPrefix(e.to+"/", m.to.Host+"/") {
			out.WriteString("insecure = true\n")
		}
	}
	return out.String()
}

// below gives the moves for the repositories at a prefix and below it, where one
// above sends the prefix to a location already.
func (m *moves) below(prefix string, names []string, inherited string) []move {
	if !slices.ContainsFunc(names, func(name string) bool { return m.all[name] != inherited+rest(prefix, name) }) {
		return nil
	}
	var moves []move
	location := m.locate(prefix, names, inherited)
	if location != inherited {
		moves = append(moves, move{prefix, location})
	}
	for len(names) > 0 {
		if names[0] == prefix {
			names = names[1:]
			continue
		}
		component, _, _ := strings.Cut(strings.TrimPrefix(rest(prefix, names[0]), "/"), "/")
		child := strings.TrimPrefix(prefix+"/"+component, "/")
		n := slices.IndexFunc(names, func(name string) bool { return !within(child, name) })
		if n < 0 {
			n = len(names)
		}
		moves = append(moves, m.below(child, names[:n], location+"/"+component)...)
		names = names[n:]
	}
	return moves
}

// locate chooses where a prefix goes: where its own repository does, or else where
// most of those below it need it to, if all of them are carried.
func (m *moves) locate(prefix string, names []string, inherited string) string {
	if own, ok := m.all[prefix]; ok {
		return own
	}
	if slices.ContainsFunc(names, func(name string) bool { return !m.carried(name) }) {
		return inherited
	}
	location, _ := m.most(prefix, names)
	return cmp.Or(location, inherited)
}

// most gives the location of a prefix that is right for most repositories below
// it, and for how many.
func (m *moves) most(prefix string, names []string) (location string, fit int) {
	counts := map[string]int{}
	for _, name := range names {
		if l, ok := strings.CutSuffix(m.all[name], rest(prefix, name)); ok && l != "" {
			counts[l]++
		}
	}
	for l, n := range counts {
		if n > fit || (n == fit && l < location) {
			location, fit = l, n
		}
	}
	return location, fit
}

// rest is what follows a prefix in a name, with its slash.
func rest(prefix, name string) string {
	if prefix == "" {
		return "/" + name
	}
	return strings.TrimPrefix(name, prefix)
}

func within(prefix, name string) bool { return strings.HasPrefix(name+"/", prefix+"/") }

// hosts writes hosts.toml: containerd asks another host for the same path, or for
// the path below one prefix, and the old host for what is not there
// (containerd, docs/hosts.md).
func (m *moves) hosts() (string, []string) {
	carried := slices.DeleteFunc(slices.Clone(m.names), func(name string) bool { return !m.carried(name) })
	location, _ := m.most("", carried)
	if location == "" {
		return "", []string{"containerd cannot be sent on: no repository keeps its path in the target"}
	}
	var others []string // that it does not find by this
	targets := map[string]bool{}
	for _, name := range m.names {
		targets[m.all[name]] = true
	}
	for _, name := range carried {
		if m.all[name] != location+"/"+name {
			others = append(others, name)
		}
	}
	for _, name := range m.names {
		if asked := location + "/" + name; m.all[name] != asked && targets[asked] {
			return "", []string{fmt.Sprintf("containerd cannot be sent on: it would take %s for %s", asked, name)}
		}
	}
	return m.hostsFile(location), unreached(others)
}

func (m *moves) hostsFile(location string) string {
	host, prefix, below := strings.Cut(location, "/")
	scheme := "https"
	if m.to.PlainHTTP {
		scheme = "http"
	}
	var out strings.Builder
	fmt.Fprintf(&out, "# Sends containerd from %s to %s: certs.d/%s/hosts.toml below the config_path's.\n", m.old, location, m.old)
	server := m.old
	if server == "docker.io" {
		server = "registry-1.docker.io" // the name of images is not where they are
	}
	fmt.Fprintf(&out, "server = %s\n\n", strconv.Quote("https://"+server))
	if !below {
		fmt.Fprintf(&out, "[host.%s]\n  capabilities = [\"pull\", \"resolve\"]\n", strconv.Quote(scheme+"://"+host))
		return out.String()
	}
	fmt.Fprintf(&out, "[host.%s]\n  capabilities = [\"pull\", \"resolve\"]\n  override_path = true\n", strconv.Quote(scheme+"://"+host+"/v2/"+prefix))
	return out.String()
}

const shownUnreached = 5

// unreached says which repositories need new names where containerd pulls them.
func unreached(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	shown := strings.Join(names[:min(len(names), shownUnreached)], ", ")
	if more := len(names) - shownUnreached; more > 0 {
		shown += fmt.Sprintf(" and %d more", more)
	}
	return []string{"containerd changes paths for all repositories alike, and does not find these: " + shown + "; what pulls them needs their new names"}
}

// dockerd says what docker's daemon can do.
func (m *moves) dockerd() string {
	if m.old == "docker.io" {
		return "dockerd knows mirrors of Docker Hub alone, under the same paths: registry-mirrors in daemon.json"
	}
	return fmt.Sprintf("dockerd has no way to be sent from %s to another registry: where docker pulls, in compose files and scripts, the names have to be changed", m.old)
}
