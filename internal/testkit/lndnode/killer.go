package lndnode

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
	"testing"
)

// Killer stands between a process and the payer, and ends the process before or after one
// of its calls: before, the node never hears of it; after, the process never hears of it.
type Killer struct {
	mu     sync.Mutex
	left   int // steps until the process dies; each call is two
	victim *os.Process
}

// Kill has a process die at a step, counted from 1.
func (k *Killer) Kill(victim *os.Process, step int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.victim, k.left = victim, step
}

// step counts one, and reports whether the process was killed.
func (k *Killer) step() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.left--; k.left != 0 || k.victim == nil {
		return false
	}
	return k.victim.Kill() == nil
}

// Killer returns one, and the way to the nodes through it.
func (n *Network) Killer(t testing.TB) (*Killer, Way) {
	t.Helper()
	k, way := &Killer{}, n.Way(t)
	target, err := url.Parse(n.Payer.url)
	must(t, err)
	through := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     n.Payer.client.Transport,
		FlushInterval: -1,
		ModifyResponse: func(*http.Response) error {
			if k.step() {
				return http.ErrAbortHandler
			}
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if k.step() {
			panic(http.ErrAbortHandler)
		}
		through.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	way.Node = config(t, server.URL, n.Payer.macaroon(), certificateOf(t, server))
	return k, way
}
