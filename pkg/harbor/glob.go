package harbor

import (
	"path"
	"strings"
)

// Bounds on patterns, which come from a server: bytes, and patterns without
// braces that one with braces stands for.
const (
	maxPattern      = 1024
	maxAlternatives = 256
)

// globMatch matches as Harbor does in its rules: with version 1 of
// bmatcuk/doublestar (src/lib/selector/selectors/doublestar/selector.go). That
// is path.Match within a component, where [!a] is a class of two characters; **
// as a component of its own for any number of components, but not for none at
// the end: a/** does not fit a; and {x,y} for either. Version 4 differs in both.
func globMatch(pattern, name string) (bool, error) {
	if pattern == "" {
		return true, nil
	}
	if len(pattern) > maxPattern {
		return false, path.ErrBadPattern
	}
	plain, err := expandBraces(pattern)
	if err != nil {
		return false, err
	}
	components := strings.Split(name, "/")
	for _, p := range plain {
		matched, err := matchComponents(strings.Split(p, "/"), components)
		if err != nil || matched {
			return matched, err
		}
	}
	return false, nil
}

// oneStar stands in the place of a ** that is not to be one: doublestar sees it
// only where the pattern itself has it, not where an alternative begins with it.
const oneStar = "*"

// expandBraces writes a pattern with alternatives as patterns without.
func expandBraces(pattern string) ([]string, error) {
	done, todo := []string{}, []string{pattern}
	for len(todo) > 0 {
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		open := indexUnescaped(p, "{")
		if open < 0 {
			done = append(done, p)
			continue
		}
		choices, rest, ok := alternatives(p[open+1:])
		if !ok || len(done)+len(todo)+len(choices) > maxAlternatives {
			return nil, path.ErrBadPattern
		}
		for n := len(choices) - 1; n >= 0; n-- {
			todo = append(todo, p[:open]+single(p[:open], choices[n], rest)+rest)
		}
	}
	return done, nil
}

// single is a choice in which a leading ** that would become a component of its
// own is *.
func single(before, choice, rest string) string {
	after, ok := strings.CutPrefix(choice, "**")
	begins := before == "" || strings.HasSuffix(before, "/")
	ends := strings.HasPrefix(after, "/") || after == "" && (rest == "" || rest[0] == '/')
	if ok && begins && ends {
		return oneStar + after
	}
	return choice
}

// alternatives splits what follows a brace at the commas of its own level.
func alternatives(s string) (choices []string, rest string, ok bool) {
	depth, start := 1, 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return append(choices, s[start:i]), s[i+1:], true
			}
		case ',':
			if depth == 1 {
				choices, start = append(choices, s[start:i]), i+1
			}
		}
	}
	return nil, "", false
}

// indexUnescaped finds a character that stands for itself: not after a
// backslash, and not in a class.
func indexUnescaped(s, c string) int {
	class := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case class:
			class = s[i] != ']'
		case s[i] == '[':
			class = true
		case strings.HasPrefix(s[i:], c):
			return i
		}
	}
	return -1
}

// matchComponents fits a pattern's components to a name's. One row of a table
// tells which of the name's beginnings the pattern's beginning fits: no pattern
// takes long, however many ** it has.
func matchComponents(pattern, name []string) (bool, error) {
	fits := make([]bool, len(name)+1)
	fits[0] = true
	for at, component := range pattern {
		next := make([]bool, len(name)+1)
		for n := range next {
			switch {
			case component == "**" && at == len(pattern)-1:
				next[n] = n > 0 && (fits[n-1] || next[n-1])
			case component == "**":
				next[n] = fits[n] || n > 0 && next[n-1]
			case n > 0:
				matched, err := path.Match(component, name[n-1])
				if err != nil {
					return false, err
				}
				next[n] = matched && fits[n-1]
			}
		}
		fits = next
	}
	return fits[len(name)], nil
}
