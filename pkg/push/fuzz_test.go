package push_test

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/pkg/push"
)

func TestParseChallenge(t *testing.T) {
	for _, test := range []struct {
		headers []string
		scheme  string
		params  map[string]string
	}{
		{nil, "", nil},
		{[]string{""}, "", nil},
		{[]string{"Negotiate abc"}, "", nil},
		{[]string{`Basic realm="harbor"`}, "basic", map[string]string{"realm": "harbor"}},
		{[]string{`BEARER Realm="https://h/token" , service=reg,scope="a:b:pull,push"`}, "bearer", map[string]string{"realm": "https://h/token", "service": "reg", "scope": "a:b:pull,push"}},
		{[]string{`Basic realm="b"`, `Bearer realm="t"`}, "bearer", map[string]string{"realm": "t"}},
		{[]string{`Bearer realm="with \"quotes\" and \\"`}, "bearer", map[string]string{"realm": `with "quotes" and \`}},
		{[]string{`Bearer realm="open`}, "bearer", map[string]string{"realm": "open"}},
	} {
		scheme, params := push.ParseChallenge(test.headers)
		if scheme != test.scheme {
			t.Errorf("%q: scheme %q, want %q", test.headers, scheme, test.scheme)
		}
		if diff := cmp.Diff(test.params, params); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.headers, diff)
		}
	}
}

func TestLinks(t *testing.T) {
	for header, want := range map[string][]string{
		"":                                  nil,
		"junk":                              nil,
		`</v2/a/tags/list?n=2>; rel="next"`: {"/v2/a/tags/list?n=2 next"},
		`</a>; rel="prev" , </b>; rel=next`: {"/a prev", "/b next"},
		`</a,b>;rel="next"`:                 {"/a,b next"},
	} {
		if diff := cmp.Diff(want, push.Links(header)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", header, diff)
		}
	}
}

func FuzzParseChallenge(f *testing.F) {
	f.Add(`Bearer realm="http://127.0.0.1:8080/service/token",service="harbor-registry",scope="repository:mig/app:pull,push"`)
	f.Add(`Basic realm="harbor"`)
	f.Add(`bearer a=b,c="d\"e",=,,`)
	f.Fuzz(func(t *testing.T, header string) {
		scheme, params := push.ParseChallenge([]string{header})
		if scheme != "" && scheme != "basic" && scheme != "bearer" {
			t.Errorf("scheme %q", scheme)
		}
		for name := range params {
			if name != strings.ToLower(name) {
				t.Errorf("name %q", name)
			}
		}
	})
}

func FuzzParseParams(f *testing.F) {
	f.Add(`realm="x",service=y`)
	f.Add(`a="`)
	f.Add(`a=\`)
	f.Fuzz(func(t *testing.T, s string) { push.ParseParams(s) })
}

func FuzzLinks(f *testing.F) {
	f.Add(`</v2/a/tags/list?last=b&n=2>; rel="next"`)
	f.Add(`<a>;rel=prev,<b>;rel=next`)
	f.Add(`<<>><`)
	f.Fuzz(func(t *testing.T, s string) {
		for _, l := range push.Links(s) {
			if strings.Contains(strings.Split(l, " ")[0], ">") {
				t.Errorf("target %q of %q", l, s)
			}
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("120", "")
	f.Add("Fri, 31 Dec 1999 23:59:59 GMT", "Fri, 31 Dec 1999 23:59:00 GMT")
	f.Add("99999999999999999999", "x")
	f.Fuzz(func(t *testing.T, value, date string) {
		got := push.RetryAfter(http.Header{"Retry-After": {value}, "Date": {date}})
		if got < 0 || got > 10*time.Minute {
			t.Errorf("%s", got)
		}
	})
}

func FuzzStatusError(f *testing.F) {
	f.Add(400, []byte(`{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry","detail":"sha256:22"}]}`))
	f.Add(502, []byte("<html><body>Bad gateway</body></html>"))
	f.Add(500, []byte("{\"errors\":[{\"code\":\"\\u001b[31m\",\"message\":\"\\u202e\\n\\u2028\",\"detail\":{\"a\":[1]}},{},{},{}]}"))
	f.Add(403, bytes.Repeat([]byte("€"), 50000))
	f.Fuzz(func(t *testing.T, code int, body []byte) {
		req := &http.Request{Method: http.MethodPut, URL: &url.URL{Path: "/v2/"}}
		resp := &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body))}
		err := push.NewStatusError(req, resp)
		push.IsTransient(err)
		text := err.Error()
		if len(text) > 2000 || !utf8.ValidString(text) || strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) && c != utf8.RuneError }) {
			t.Errorf("%q", text)
		}
	})
}
