package harbor

import (
	"strings"
	"testing"
)

// The answers are those of github.com/bmatcuk/doublestar 1.3.4, which Harbor
// 2.15 matches with.
var globs = []struct {
	pattern, name string
	want          bool
}{
	{"**", "app", true},
	{"**", "a/b/c", true},
	{"*", "app", true},
	{"*", "a/b", false},
	{"app", "app", true},
	{"app", "apps", false},
	{"app*", "apps", true},
	{"app*", "app/web", false},
	{"app/**", "app", false},
	{"app/**", "app/web", true},
	{"app/**", "app/web/v2", true},
	{"**/web", "web", true},
	{"**/web", "a/b/web", true},
	{"a/**/c", "a/c", true},
	{"a/**/c", "a/b/b/c", true},
	{"a/**/c", "a/b/c/d", false},
	{"a/*", "a/b", true},
	{"a/*", "a/b/c", false},
	{"a/*", "a", false},
	{"a**", "abc", true},
	{"a**", "a/b", false},
	{"**b", "ab", true},
	{"**b", "a/b", false},
	{"v1.?", "v1.2", true},
	{"v1.?", "v1.10", false},
	{"v[0-9]*", "v1", true},
	{"v[0-9]*", "vx", false},
	{"[^v]*", "v1", false},
	{"[^v]*", "x1", true},
	{"[!v]*", "v1", true},
	{"[!v]*", "x1", false},
	{"[!v]*", "!1", true},
	{"{v*,release-*}", "v2", true},
	{"{v*,release-*}", "release-3", true},
	{"{v*,release-*}", "main", false},
	{"{latest,**}", "v1", true},
	{"{**,latest}", "v1", true},
	{"{**,x}", "a/b", false},
	{"{x,**}", "a/b", false},
	{"{x,**/y}", "a/y", true},
	{"{x,**/y}", "a/b/y", false},
	{"{a/**,b}", "a/x/y", true},
	{"{a/**,b}", "b", true},
	{"{a/**,b}", "b/x", false},
	{"a/{b,c}/d", "a/c/d", true},
	{"a/{b/c,d}", "a/b/c", true},
	{"{a,{b,c}}", "c", true},
	{"{,v}1", "1", true},
	{"\\*", "*", true},
	{"\\*", "x", false},
	{"\\{a,b\\}", "{a,b}", true},
	{"a}", "a}", true},
	{"V1", "v1", false},
	{"**/**", "a", true},
	{"**/**", "a/b", true},
	{"**/**/c", "a/b/c", true},
	{"a/**/**", "a/b", true},
	{"a//b", "a/b", false},
	{"/a", "a", false},
	{"", "anything", true}, // Harbor's own word for no pattern
}

func TestGlob(t *testing.T) {
	for _, tt := range globs {
		if got, err := globMatch(tt.pattern, tt.name); err != nil || got != tt.want {
			t.Errorf("%q on %q: %t, %v, want %t", tt.pattern, tt.name, got, err, tt.want)
		}
	}
	for _, bad := range []string{
		"{a", "[a", "[]a]", "[a-]", "a\\", "{a,{b}", strings.Repeat("a", 2000), strings.Repeat("{a,b}", 40), strings.Repeat("{", 500),
	} {
		if got, err := globMatch(bad, "a"); err == nil || got {
			t.Errorf("%.40q is taken: %t", bad, got)
		}
	}
}

// Patterns come from a server. None takes long, and none gives both a match and
// an error.
func FuzzGlob(f *testing.F) {
	for _, tt := range globs {
		f.Add(tt.pattern, tt.name)
	}
	f.Add(strings.Repeat("**/", 300)+"x", strings.Repeat("a/", 120))
	f.Add(strings.Repeat("*a", 500), strings.Repeat("a", 255))
	f.Fuzz(func(t *testing.T, pattern, name string) {
		got, err := globMatch(pattern, name)
		if got && err != nil {
			t.Errorf("%q on %q: both a match and %v", pattern, name, err)
		}
		if strings.ContainsAny(pattern, `*?[{\`) || len(pattern) > maxPattern || pattern == "" {
			return
		}
		if got != (pattern == name) || err != nil {
			t.Errorf("%q on %q: %t, %v, but it has no wildcard", pattern, name, got, err)
		}
	})
}
