package server

import (
	"context"
	"net/http"
	"net/netip"

	"github.com/scripcards/scrip/internal/api/gatepay"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/platform/limit"
)

// HTTP is what only the HTTP side needs to know.
type HTTP struct {
	// BaseURL is the public address for links; empty: each request's own host.
	BaseURL string
	// Proxies are the networks whose X-Forwarded-For is believed.
	Proxies []netip.Prefix
	// Observe sees every finished request; may be nil.
	Observe func(ctx context.Context, record wire.Record)
}

// surface is a dialect of any principal.
type surface interface {
	Mount(mux *http.ServeMux)
	Routes() []wire.Route
}

// Surfaces returns every dialect with its routes.
func (a *App) surfaces(h HTTP) []surface {
	kit := wire.NewKit(wire.Options{Logger: a.Logger, Proxies: h.Proxies, Take: a.take, Observe: h.Observe})
	return []surface{
		gatepay.New(kit, gatepay.Deps{Cards: a.Cards, Accounts: a.Accounts, Clock: clock.System(), BaseURL: h.BaseURL}),
	}
}

// Handler returns everything that is served.
func (a *App) Handler(h HTTP) http.Handler {
	mux := http.NewServeMux()
	for _, s := range a.surfaces(h) {
		s.Mount(mux)
	}
	return mux
}

// take counts a request with the installation's limiter.
func (a *App) take(ctx context.Context, subject string, windows []wire.Window, n int) (wire.Decision, error) {
	var held [limit.MaxWindows]limit.Window
	converted := held[:0]
	for _, w := range windows {
		converted = append(converted, limit.Window{Limit: w.Limit, Per: w.Per})
	}
	d, err := a.Limits.Take(ctx, subject, converted, n)
	return wire.Decision{Allowed: d.Allowed, Limit: d.Limit, Remaining: d.Remaining, ResetAt: d.ResetAt, RetryAfter: d.RetryAfter}, err
}
