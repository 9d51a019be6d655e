package harbortest

import (
	"context"
	"net/http/httptest"
)

// NewRegistry starts distribution's registry as it is, with nothing of Harbor
// before it: no authentication, no projects. It keeps what is pushed in a
// directory or, where that is empty, in memory. The caller closes it.
func NewRegistry(dir string) (*httptest.Server, error) {
	app, err := newRegistry(context.Background(), dir, "", false)
	if err != nil {
		return nil, err
	}
	return httptest.NewServer(app), nil
}
