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
	at     string
	victim *os.Process
}

// Kill has a process die at a step, counted from 1.
func (k *Killer) Kill(victim *os.Process, step int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.victim, k.left, k.at = victim, step, ""
}

// KillAt has a process die after its next call of a method and path, such as POST
// /v2/wallet/tx.
func (k *Killer) KillAt(victim *os.Process, call string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.victim, k.left, k.at = victim, 0, call
}

// step counts one, and reports whether the process was killed.
func (k *Killer) step(r *http.Request, after bool) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.left--
	due := k.left == 0
	if k.at != "" {
		due = after && k.at == r.Method+" "+r.URL.Path
	}
	if !due || k.victim == nil {
		return false
	}
	victim := k.victim
	k.victim = nil
	return victim.Kill() == nil
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
		ModifyResponse: func(answer *http.Response) error {
			if k.step(answer.Request, true) {
				return http.ErrAbortHandler
			}
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if k.step(r, false) {
			panic(http.ErrAbortHandler)
		}
		through.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	way.Node = config(t, server.URL, n.Payer.macaroon(), certificateOf(t, server))
	return k, way
}
