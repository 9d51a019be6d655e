package harbortest_test

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
)

// breakOff sends a request whose body ends too early, and returns when the server
// is done with it.
func (c *client) breakOff(method, location, part string) {
	c.t.Helper()
	u, err := url.Parse(location)
	if err != nil {
		c.t.Fatal(err)
	}
	conn, err := net.Dial("tcp", c.s.Host())
	if err != nil {
		c.t.Fatal(err)
	}
	before := len(c.s.Requests())
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s",
		method, u.RequestURI(), c.s.Host(), c.auth, len(part)+100, part)
	conn.Close()
	for len(c.s.Requests()) == before {
	}
}

func TestBrokenUpload(t *testing.T) {
	digestOf := func(content string) string { return "&digest=" + digest.FromString(content).String() }
	for _, resumable := range []bool{false, true} {
		t.Run(fmt.Sprint(resumable), func(t *testing.T) {
			s := start(t, &harbortest.Options{Dir: t.TempDir()})
			s.SetResumable(resumable)
			c := admin(t, s).bearer(push("mig/app"))
			for _, method := range []string{http.MethodPut, http.MethodPatch} {
				location := c.startUpload("mig/app")
				if got := c.do("GET", location, "").want(t, 204).header.Get("Range"); got != "0-0" {
					t.Errorf("before anything: Range %s", got)
				}
				to := location
				if method == http.MethodPut {
					to += digestOf(layerBytes)
				}
				c.breakOff(method, to, layerBytes[:5])
				if !resumable {
					c.do("GET", location, "").want(t, 404, `"code":"BLOB_UPLOAD_INVALID"`, `"detail":{}`)
					c.do("PATCH", location, layerBytes).want(t, 404, "BLOB_UPLOAD_INVALID")
					c.finish(location, digest.FromString(layerBytes), layerBytes).want(t, 404, "BLOB_UPLOAD_INVALID")
					continue
				}
				status := c.do("GET", location, "").want(t, 204)
				if got := status.header.Get("Range"); got != "0-4" {
					t.Errorf("after a broken %s: Range %s", method, got)
				}
				rest := c.do("PATCH", status.header.Get("Location"), layerBytes[5:], "Content-Type", "application/octet-stream", "Content-Range", "5-10").want(t, 202)
				c.finish(rest.header.Get("Location"), digest.FromString(layerBytes), "").want(t, 201)
				if used := usedBy(t, admin(t, s), "mig"); used != int64(len(layerBytes)) {
					t.Errorf("%d bytes used", used)
				}
			}
		})
	}
}

// A Location from before a PATCH is as good as none.
func TestStaleLocation(t *testing.T) {
	s := start(t, nil)
	c := admin(t, s).bearer(push("mig/app"))
	first := c.startUpload("mig/app")
	next := c.do("PATCH", first, "layer-", "Content-Type", "application/octet-stream").want(t, 202).header.Get("Location")
	c.do("GET", next, "").want(t, 204)
	c.do("GET", first, "").want(t, 404, "BLOB_UPLOAD_INVALID")
}

// Harbor takes a closing PUT that has a body for the whole blob.
func TestSizeOfClosingPut(t *testing.T) {
	for body, want := range map[string]int64{"": 11, "bytes": 5} {
		s := start(t, nil)
		c := admin(t, s)
		location := c.do("PATCH", c.startUpload("mig/app"), strings.TrimSuffix(layerBytes, body), "Content-Type", "application/octet-stream").want(t, 202).header.Get("Location")
		c.finish(location, digest.FromString(layerBytes), body).want(t, 201)
		if used := usedBy(t, c, "mig"); used != want {
			t.Errorf("closed with %q: %d bytes used, want %d", body, used, want)
		}
	}
}
