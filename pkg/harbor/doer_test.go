package harbor_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
)

// fixed gives the same answer to everything.
type fixed []byte

func (f fixed) Do(context.Context, string, string, url.Values, http.Header, []byte) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Status: "200 OK", Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(f)),
	}, nil
}
