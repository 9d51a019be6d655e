package serve_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/serve"
)

// say sends a request as it is written, and gives the status of the answer.
func say(t *testing.T, addr, request string) int {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go io.WriteString(conn, request) // of which the server may not want to see the end
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%.60q: %v", request, err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// TestHostile sends what no client sends. Each is answered as what it is, and the
// server goes on.
func TestHostile(t *testing.T) {
	s := start(t, "random base 3000000\nimage amd amd64 base\ntag library/app v1 amd", plan.Rules{})
	addr := running(t, serve.LogRequests(s.Registry, discard), nil)
	get := func(path string, headers ...string) string {
		return s.expand("GET " + path + " HTTP/1.1\r\nHost: x\r\n" + strings.Join(append(headers, "Connection: close"), "\r\n") + "\r\n\r\n")
	}
	const blob = "/v2/library/app/blobs/<base>"
	for request, status := range map[string]int{
		get(blob, "X: "+strings.Repeat("x", 100<<10)):                                             431,
		get(blob, strings.TrimSuffix(strings.Repeat("X: y\r\n", 20000), "\r\n")):                  431,
		get("/v2/library/app/manifests/" + strings.Repeat("v", 50000)):                            404,
		get("/v2/" + strings.Repeat("a/", 5000) + "manifests/v1"):                                 400,
		get(blob, "Range: bytes="+strings.Repeat("0-0,", 10000)+"0-0"):                            200,
		get(blob, "Range: bytes=0-99999999999999999999"):                                          416,
		get(blob, "Range: bytes=9-5"):                                                             416,
		get(blob, "Range: bytes=5-9", "Range: bytes=0-"):                                          206,
		get(blob, "Range: lines=1-"):                                                              416,
		get(blob, `If-Range: "x"`, "Range: bytes=5-9"):                                            200,
		get(blob, `If-Match: "x"`):                                                                412,
		get(blob, `If-None-Match: *`):                                                             304,
		get(blob, `If-None-Match: W/"<base>"`):                                                    304,
		get("/v2/library/app/manifests/v1", "Accept: ;;;,,, \x01/*", "Accept:"):                   400,
		get("/v2/library/app/manifests/v1", "Accept: ;;;,,, a/b/c"):                               200,
		get("/v2/library/app/manifests/v1", "Accept: "+strings.Repeat("a/b,", 10000)):             404,
		get("/v2/library/app/manifests/v1", "Range: bytes=0-1"):                                   206,
		get("/v2/../v2/library/app/tags/list"):                                                    400,
		get("/v2/%2e%2e/%2e%2e/etc/passwd/manifests/v1"):                                          400,
		get("/v2/library%2fapp/tags/list"):                                                        200,
		get("/v2/library/app%00/tags/list"):                                                       400,
		get("/v2/library//app/tags/list"):                                                         400,
		get("/v2/library/app/tags/list/"):                                                         404,
		get("//v2/library/app/tags/list"):                                                         404,
		get("/v2/library/app/tags/list?n=1&n=x&last=%ff%00"):                                      200,
		get("/v2/library/app/tags/list?n=1;last=2&%zz"):                                           200,
		get("/v2/_catalog?n=9223372036854775808"):                                                 400,
		get("/v2/_catalog?n=9223372036854775807"):                                                 200,
		get("/v2/library/app/referrers/<amd>?last=zzz&artifactType=" + strings.Repeat("x", 9999)): 200,
		get("/v2/library/app/blobs/md5:d41d8cd98f00b204e9800998ecf8427e"):                         400,
		get("/v2/library/app/blobs/sha256:../../../../etc/passwd"):                                404,
		get("/v2/library/app/blobs/<base>?digest=x"):                                              200,
		"GET http://elsewhere.example.com/v2/ HTTP/1.1\r\nHost: x\r\n\r\n":                        200,
		"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n":                                                 404,
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n":                                                   200,
		"GET /v2/ HTTP/1.1\r\n\r\n":                                                               400,
		"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n":                                    400,
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":                                                        404,
	} {
		if got := say(t, addr, request); got != status {
			t.Errorf("%.90q: status %d, want %d", request, got, status)
		}
	}
	if got := say(t, addr, get("/v2/")); got != 200 {
		t.Errorf("afterwards: status %d", got)
	}
}

// TestPartsAtOnce asks for many parts of a blob that nobody has hashed yet.
func TestPartsAtOnce(t *testing.T) {
	for _, damage := range []string{"", "\ncorrupt blob:base"} {
		s := start(t, "random base 3000000\nimage amd amd64 base\ntag library/app v1 amd"+damage, plan.Rules{})
		whole := string(s.tree.Bytes("base"))
		var asking sync.WaitGroup
		for n := range 20 {
			asking.Go(func() {
				got := s.ask("GET", "/v2/library/app/blobs/<base>", fmt.Sprintf("Range: bytes=%d-%d", n*1000, n*1000+999))
				switch {
				case damage != "" && got.status != 404:
					t.Errorf("part %d of what is damaged: status %d", n, got.status)
				case damage == "" && (got.status != 206 || got.body != whole[n*1000:n*1000+1000]):
					t.Errorf("part %d: status %d, %d bytes", n, got.status, len(got.body))
				}
			})
		}
		asking.Wait()
	}
}
