package push

import (
	"slices"
	"strings"
)

// challenge is what a registry asks for in Www-Authenticate (RFC 9110, 11.6.1).
type challenge struct {
	scheme string // lower case; empty for none
	params map[string]string
}

// parseChallenge takes the first challenge that can be met: a token before a password.
func parseChallenge(headers []string) challenge {
	var found []challenge
	for _, h := range headers {
		scheme, rest, _ := strings.Cut(strings.TrimSpace(h), " ")
		if scheme = strings.ToLower(scheme); scheme == "bearer" || scheme == "basic" {
			found = append(found, challenge{scheme: scheme, params: parseParams(rest)})
		}
	}
	if i := slices.IndexFunc(found, func(c challenge) bool { return c.scheme == "bearer" }); i > 0 {
		return found[i]
	}
	if len(found) == 0 {
		return challenge{}
	}
	return found[0]
}

// parseParams reads name="value", name=value, …
func parseParams(s string) map[string]string {
	params := map[string]string{}
	for s != "" {
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			break
		}
		var value string
		if strings.HasPrefix(rest, `"`) {
			value, rest = unquote(rest[1:])
		} else if end := strings.IndexByte(rest, ','); end >= 0 {
			value, rest = rest[:end], rest[end:]
		} else {
			value, rest = rest, ""
		}
		params[strings.ToLower(strings.Trim(name, " ,;\t"))] = strings.TrimSpace(value)
		s = rest
	}
	return params
}

func unquote(s string) (value, rest string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == '"':
			return b.String(), s[i+1:]
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), ""
}

// links takes a Link header apart: <target>; name=value, <target>; … (RFC 8288).
func links(header string) []link {
	var found []link
	for _, part := range strings.Split(header, "<")[1:] {
		target, rest, ok := strings.Cut(part, ">")
		if ok {
			found = append(found, link{target, parseParams(strings.TrimLeft(rest, "; "))})
		}
	}
	return found
}

type link struct {
	target string
	params map[string]string
}
