package serve

import (
	"crypto/sha256"
	"net/http"
	"runtime"
	"sync"
)

// Authenticate lets only those pass to a handler whose user name and password,
// given by HTTP's basic authentication, are right. What was right once is not
// asked for again: a check is made to be slow, and so only a few run at once.
func Authenticate(h http.Handler, right func(user, password string) bool) http.Handler {
	return &gate{handler: h, right: right, running: make(chan struct{}, runtime.GOMAXPROCS(0))}
}

type gate struct {
	handler http.Handler
	right   func(user, password string) bool
	known   sync.Map // sums of pairs that were right
	running chan struct{}
}

// ServeHTTP implements http.Handler.
func (g *gate) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	user, password, given := req.BasicAuth()
	if !given || !g.passes(req, user, password) {
		w.Header().Set("Docker-Distribution-API-Version", "registry/2.0")
		w.Header().Set("WWW-Authenticate", `Basic realm="drydock", charset="UTF-8"`)
		unauthorized.answer(w)
		return
	}
	g.handler.ServeHTTP(w, req)
}

func (g *gate) passes(req *http.Request, user, password string) bool {
	sum := sha256.Sum256([]byte(user + ":" + password))
	if _, ok := g.known.Load(sum); ok {
		return true
	}
	select {
	case g.running <- struct{}{}:
		defer func() { <-g.running }()
	case <-req.Context().Done():
		return false
	}
	if !g.right(user, password) {
		return false
	}
	g.known.Store(sum, true)
	return true
}
