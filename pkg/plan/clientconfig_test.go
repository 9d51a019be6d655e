package plan_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
)

// planOf is a plan that sends repositories where a target does.
func planOf(to plan.Destination, t *plan.Target, repositories ...string) *plan.Plan {
	if t == nil {
		t = &plan.Target{}
	}
	t.Prefix = to.Prefix
	p := &plan.Plan{}
	for _, name := range repositories {
		p.Images = append(p.Images, plan.Image{
			Source: plan.Reference{Repository: name, Tag: "v1"}, Target: plan.Reference{Repository: t.Repository(name), Tag: "v1"},
		})
	}
	return p
}

func TestClientConfig(t *testing.T) {
	tests := []struct {
		name       string
		dest       string
		target     *plan.Target
		carried    []string
		left       []string // in the source and not in the plan
		registries string
		hosts      string
		notes      []string
	}{
		{
			name: "the same paths", dest: "harbor.example.com", carried: []string{"team/app", "team/web"},
			registries: `
[[registry]]
prefix = "old.example.com:5000"
location = "harbor.example.com"
`,
			hosts: `
[host."https://harbor.example.com"]
  capabilities = ["pull", "resolve"]
`,
		},
		{
			name: "below a prefix, plain HTTP", dest: "http://10.0.0.5:8080/old", carried: []string{"alpine", "team/app"},
			registries: `
[[registry]]
prefix = "old.example.com:5000"
location = "10.0.0.5:8080/old"
insecure = true
`,
			hosts: `
[host."http://10.0.0.5:8080/v2/old"]
  capabilities = ["pull", "resolve"]
  override_path = true
`,
		},
		{
			name: "one component goes to the project", dest: "harbor.example.com", target: &plan.Target{Project: "library"},
			carried: []string{"alpine", "alpine-glibc", "alpine/git", "team/app", "team/web"},
			registries: `
[[registry]]
prefix = "old.example.com:5000"
location = "harbor.example.com"

[[registry]]
prefix = "old.example.com:5000/alpine"
location = "harbor.example.com/library/alpine"

[[registry]]
prefix = "old.example.com:5000/alpine/git"
location = "harbor.example.com/alpine/git"

[[registry]]
prefix = "old.example.com:5000/alpine-glibc"
location = "harbor.example.com/library/alpine-glibc"
`,
			hosts: `
[host."https://harbor.example.com"]
  capabilities = ["pull", "resolve"]
`,
			notes: []string{"containerd changes paths for all repositories alike, and does not find these: alpine, alpine-glibc; what pulls them needs their new names"},
		},
		{
			name: "rewrites", dest: "harbor.example.com",
			target:  &plan.Target{Rewrites: []plan.Rewrite{{From: "legacy/a", To: "a"}, {From: "legacy", To: "rest"}}},
			carried: []string{"legacy/a/one", "legacy/a/two", "legacy/b", "legacy/c", "legacy/d", "new/x"},
			registries: `
[[registry]]
prefix = "old.example.com:5000"
location = "harbor.example.com"

[[registry]]
prefix = "old.example.com:5000/legacy"
location = "harbor.example.com/rest"

[[registry]]
prefix = "old.example.com:5000/legacy/a"
location = "harbor.example.com/a"
`,
			hosts: `
[host."https://harbor.example.com"]
  capabilities = ["pull", "resolve"]
`,
			notes: []string{"containerd changes paths for all repositories alike, and does not find these: legacy/a/one, legacy/a/two, legacy/b, legacy/c, legacy/d; what pulls them needs their new names"},
		},
		{
			name: "a part is not carried", dest: "harbor.example.com", carried: []string{"team/app", "other/x", "other/y", "tool"},
			left: []string{"team/secret", "tool/plugin"},
			registries: `
[[registry]]
prefix = "old.example.com:5000/other"
location = "harbor.example.com/other"

[[registry]]
prefix = "old.example.com:5000/team/app"
location = "harbor.example.com/team/app"

[[registry]]
prefix = "old.example.com:5000/tool"
location = "harbor.example.com/tool"

[[registry]]
prefix = "old.example.com:5000/tool/plugin"
location = "old.example.com:5000/tool/plugin"
`,
			hosts: `
[host."https://harbor.example.com"]
  capabilities = ["pull", "resolve"]
`,
		},
		{
			name: "what containerd would take for another", dest: "harbor.example.com",
			target:  &plan.Target{Rewrites: []plan.Rewrite{{From: "b", To: "c"}, {From: "a", To: "b"}}},
			carried: []string{"a/x", "b/x", "d/x", "e/x"},
			registries: `
[[registry]]
prefix = "old.example.com:5000"
location = "harbor.example.com"

[[registry]]
prefix = "old.example.com:5000/a"
location = "harbor.example.com/b"

[[registry]]
prefix = "old.example.com:5000/b"
location = "harbor.example.com/c"
`,
			notes: []string{"containerd cannot be sent on: it would take harbor.example.com/b/x for b/x"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			to, err := plan.ParseDestination(test.dest)
			if err != nil {
				t.Fatal(err)
			}
			names := slices.Values(append(slices.Clone(test.carried), test.left...))
			c, err := plan.NewClientConfig(planOf(to, test.target, test.carried...), names, "old.example.com:5000", to)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.registries, afterLine(c.Registries, 1)); diff != "" {
				t.Errorf("registries.conf:\n%s", diff)
			}
			if diff := cmp.Diff(test.hosts, afterLine(c.Hosts, 2)); diff != "" {
				t.Errorf("hosts.toml:\n%s", diff)
			}
			if c.Hosts != "" && !strings.Contains(c.Hosts, "\nserver = \"https://old.example.com:5000\"\n") {
				t.Errorf("hosts.toml: %s", c.Hosts)
			}
			notes := append(test.notes, "dockerd has no way to be sent from old.example.com:5000 to another registry: where docker pulls, in compose files and scripts, the names have to be changed")
			if diff := cmp.Diff(notes, c.Notes); diff != "" {
				t.Errorf("notes:\n%s", diff)
			}
		})
	}
}

// TestDockerHub holds that what is not in the target is looked for where Docker Hub
// is, which is not where its name says.
func TestDockerHub(t *testing.T) {
	to, err := plan.ParseDestination("harbor.example.com")
	if err != nil {
		t.Fatal(err)
	}
	c, err := plan.NewClientConfig(planOf(to, nil, "library/alpine"), slices.Values([]string{"library/alpine"}), "docker.io", to)
	if err != nil || !strings.Contains(c.Hosts, "\nserver = \"https://registry-1.docker.io\"\n") || !strings.Contains(c.Registries, "prefix = \"docker.io\"\n") {
		t.Errorf("%+v, %v", c, err)
	}
}

// afterLine leaves out the first lines.
func afterLine(s string, n int) string {
	for range n {
		_, s, _ = strings.Cut(s, "\n")
	}
	return s
}

func TestClientConfigHost(t *testing.T) {
	for _, old := range []string{"", "a/b", "user@host", "a b", "x\ny", `a"b`} {
		if _, err := plan.NewClientConfig(&plan.Plan{}, slices.Values([]string{}), old, plan.Destination{Host: "h"}); err == nil {
			t.Errorf("%q: no error", old)
		}
	}
}

// TestClientConfigRandom applies what is written as clients do, the longest prefix
// first, and holds that every repository is looked for where it is.
func TestClientConfigRandom(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 5))
		to := plan.Destination{Host: "new.example.com"}
		target := &plan.Target{Project: "library"}
		for range random.IntN(4) {
			target.Rewrites = append(target.Rewrites, plan.Rewrite{From: randomName(random, 2), To: randomName(random, 2)})
		}
		if random.IntN(3) == 0 {
			to.Prefix = randomName(random, 2)
		}
		carried, all := map[string]bool{}, map[string]bool{}
		for range 1 + random.IntN(20) {
			name := randomName(random, 4)
			all[name] = true
			carried[name] = random.IntN(5) > 0
		}
		var names []string
		for name := range all {
			if carried[name] {
				names = append(names, name)
			}
		}
		known := func(yield func(string) bool) {
			for name := range all {
				if !yield(name) {
					return
				}
			}
		}
		c, err := plan.NewClientConfig(planOf(to, target, names...), known, "old.example.com", to)
		if err != nil {
			t.Fatal(err)
		}
		for name := range all {
			want := "old.example.com/" + name
			if carried[name] {
				want = "new.example.com/" + target.Repository(name)
			}
			if got := follow(t, c.Registries, "old.example.com/"+name); got != want {
				t.Errorf("seed %d: %s is looked for at %s, not %s:\n%s", seed, name, got, want, c.Registries)
			}
		}
	}
}

func randomName(random *rand.Rand, most int) string {
	var parts []string
	for range 1 + random.IntN(most) {
		parts = append(parts, []string{"a", "b", "a-b", "c.d"}[random.IntN(4)])
	}
	return strings.Join(parts, "/")
}

// follow is what containers-registries.conf(5) says: the longest prefix that ends
// where a component does is replaced by its location.
func follow(t *testing.T, conf, name string) string {
	t.Helper()
	best, location := "", ""
	for _, entry := range strings.Split(conf, "[[registry]]\n")[1:] {
		var prefix, to string
		if _, err := fmt.Sscanf(entry, "prefix = %q\nlocation = %q\n", &prefix, &to); err != nil {
			t.Fatalf("%s: %v", entry, err)
		}
		if strings.HasPrefix(name+"/", prefix+"/") && len(prefix) > len(best) {
			best, location = prefix, to
		}
	}
	if best == "" {
		return name
	}
	return location + strings.TrimPrefix(name, best)
}
