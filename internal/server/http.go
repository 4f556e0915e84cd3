package server

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"path"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/api/cardcoins"
	"github.com/scripcards/scrip/internal/api/cardping"
	"github.com/scripcards/scrip/internal/api/cardpluspay"
	"github.com/scripcards/scrip/internal/api/cryptocardy"
	"github.com/scripcards/scrip/internal/api/gatepay"
	"github.com/scripcards/scrip/internal/api/operator"
	cashouts "github.com/scripcards/scrip/internal/api/operator/cashout"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/platform/telemetry"
	portalpage "github.com/scripcards/scrip/internal/web/portal"
	"github.com/scripcards/scrip/internal/web/upload"
	"github.com/scripcards/scrip/spec"
)

// HTTP is what only the HTTP side needs to know.
type HTTP struct {
	// BaseURL is the public address for links; empty: each request's own host.
	BaseURL string
	// Proxies are the networks whose X-Forwarded-For is believed.
	Proxies []netip.Prefix
	// Metrics is empty (on the main address, for callers on this machine), "off", or an address of its own.
	Metrics string
	// MaxConnections and the timeouts are the server's; zero means its defaults.
	MaxConnections              int
	Read, Write, Idle, Shutdown time.Duration
	// TLS is ended here too, for portals' own domains, when it says where.
	TLS TLS
	// Captcha is asked of portals' visitors who look like machines; none: a proof of work.
	Captcha Captcha
	// ISO8583 is where card networks connect, beside all HTTP.
	ISO8583 ISO8583
	// Extra routes are mounted beside the dialects, such as the benchmark's no-op.
	Extra func(mux *http.ServeMux)
}

// Surface is a dialect, whatever its principal.
type Surface interface {
	Mount(mux *http.ServeMux)
	Routes() []wire.Route
	Table() map[fault.Code]wire.Verdict
	Unknown(path string) (prefix string, refuse http.Handler)
}

// Surfaces returns every dialect with its routes.
func (a *App) Surfaces(h HTTP) []Surface {
	kit := wire.NewKit(wire.Options{Logger: a.Logger, Proxies: h.Proxies, Take: a.Limits.Take, Look: a.Limits.Look,
		Block: a.Limits.Block, Blocked: a.Limits.Blocked, Observe: a.observe, Context: telemetry.WithRequestID})
	return []Surface{
		gatepay.New(kit, gatepay.Deps{Cards: a.Cards, Accounts: a.Accounts, Clock: clock.System(), Take: a.Limits.Take, Look: a.Limits.Look, BaseURL: h.BaseURL}),
		cardping.New(kit, cardping.Deps{DB: a.DB, Vault: a.Vault, Clocks: a.Clocks, Accounts: a.Accounts, Pings: a.Pings,
			Webhooks: a.Webhooks, Portals: a.Portals, Take: a.Limits.Take, Look: a.Limits.Look}),
		cardpluspay.New(kit, cardpluspay.Deps{DB: a.DB, Vault: a.Vault, Clocks: a.Clocks, Accounts: a.Accounts, Orders: a.Orders, Claims: a.Claims,
			Wallets: a.Wallets, Alerts: a.Alerts, Take: a.Limits.Take, Look: a.Limits.Look, BaseURL: h.BaseURL}),
		cryptocardy.New(kit, cryptocardy.Deps{DB: a.DB, Vault: a.Vault, Clocks: a.Clocks, Accounts: a.Accounts, Cards: a.Issuing, Payments: a.Payments,
			Deposits: a.Deposits, Statements: a.Statements, Disputes: a.Disputes, Webhooks: a.Webhooks, Chains: sandboxChains(a.Sandbox.Chains), Take: a.Limits.Take, Look: a.Limits.Look, Realm: a.SeedRealm}),
		cardcoins.New(kit, cardcoins.Deps{Orders: a.Cashout.Orders, Realm: a.Cashout.Realm, Place: a.Cashout.Place, Take: a.Limits.Take, Look: a.Limits.Look, Block: a.Limits.Block,
			Clock: clock.System(), PerMinute: a.Cashout.PerMinute, BaseURL: h.BaseURL}),
		operator.New(kit, operator.Deps{DB: a.DB, Clocks: a.Clocks, Vault: a.Vault, Audit: a.Audit, Books: a.Books,
			Accounts: a.Accounts, Webhooks: a.Webhooks, Cards: a.Cards, Issuing: a.Issuing, Deciders: a.Decisions, Statements: a.Statements, Disputes: a.Disputes, Wallets: a.Wallets, Pings: a.Pings, Portals: a.Portals,
			Catalog: a.Catalog, Stock: a.Stock, Supply: a.Supply, Orders: a.Orders, Claims: a.Claims, Reports: a.Reports, Alerts: a.Alerts, Cashout: a.reviewers(), Fraud: a.Fraud, Deposits: a.Deposits, Jobs: a.Jobs, Version: a.Version}),
	}
}

// reviewers is what the operator API needs of the cash-out.
func (a *App) reviewers() cashouts.Deps {
	return cashouts.Deps{Orders: a.Cashout.Orders, Reviews: a.Cashout.Reviews, Payouts: a.Cashout.Payouts, Phones: a.Cashout.Phones}
}

// handler returns everything that is served.
func (a *App) handler(h HTTP, driver portalpage.Driver, health *telemetry.Health) pages {
	mux := http.NewServeMux()
	surfaces := a.Surfaces(h)
	for _, s := range surfaces {
		s.Mount(mux)
	}
	uploads := a.Cashout.Uploads(upload.Deps{Logger: a.Logger, BaseURL: h.BaseURL, Proxies: h.Proxies, Observe: a.observe, Context: telemetry.WithRequestID})
	mux.Handle(upload.Path, uploads)
	mux.Handle(strings.TrimSuffix(upload.Path, "/"), uploads) // the mux would send its caller elsewhere, with a page
	mux.HandleFunc("GET /openapi/{document}", contract)
	mux.HandleFunc("GET /healthz", health.Live)
	mux.HandleFunc("GET /readyz", health.Ready)
	if a.Metrics != nil && h.Metrics == "" {
		mux.Handle("GET /metrics", a.metrics())
	}
	if h.Extra != nil {
		h.Extra(mux)
	}
	mux.HandleFunc("/", unknownPath)
	site := portalpage.New(portalpage.Deps{Portals: a.Portals, Checker: a.Pings, Limits: a.Limits, Hash: a.Vault.Hash, Clock: clock.System(),
		Logger: a.Logger, Proxies: h.Proxies, BaseURL: h.BaseURL, Observe: a.observe, Context: telemetry.WithRequestID, Driver: driver})
	site.Mount(mux, http.HandlerFunc(unknownPath))
	return pages{all: tidy(mux, surfaces), site: site}
}

// contract serves the OpenAPI document of a dialect, such as /openapi/gatepay.yaml.
func contract(w http.ResponseWriter, r *http.Request) {
	dialect, isYAML := strings.CutSuffix(r.PathValue("document"), ".yaml")
	document, ok := spec.Document(dialect)
	if !ok || !isYAML {
		unknownPath(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/yaml")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(document) // the caller may have left
}

// metrics serves figures to callers on this machine, but not to those whom a proxy on
// this machine speaks for.
func (a *App) metrics() http.Handler {
	figures := a.Metrics.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, err := netip.ParseAddrPort(r.RemoteAddr)
		forwarded := r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != ""
		if err != nil || forwarded || !from.Addr().Unmap().IsLoopback() {
			unknownPath(w, r)
			return
		}
		figures.ServeHTTP(w, r)
	})
}

// unknownPath answers for paths that are no dialect's.
func unknownPath(w http.ResponseWriter, _ *http.Request) {
	request := id.New("req")
	h := w.Header()
	h.Set("Cache-Control", "no-store") // what is not there may be soon, or is for others
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Request-Id", request)
	w.WriteHeader(http.StatusNotFound)
	_, _ = io.WriteString(w, `{"error":{"code":"not_found","message":"no such path","request_id":"`+request+`"}}`) // the caller may have left
}

// tidy answers paths with empty or dotted segments as the unknown ones they are, in the
// form of the dialect that they lead to. The mux would send their callers elsewhere, with
// a page. So it does those that are inside but are not written so: a proxy which compares
// what was sent would let them through.
func tidy(next http.Handler, surfaces []Surface) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		clean := path.Clean(r.URL.Path)
		plain := r.URL.RawPath == "" || inside(r.URL.RawPath) == inside(r.URL.Path)
		if plain && (clean == r.URL.Path || clean+"/" == r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		longest, refuse := "", http.Handler(http.HandlerFunc(unknownPath))
		for _, s := range surfaces {
			if prefix, unknown := s.Unknown(clean); len(prefix) > len(longest) {
				longest, refuse = prefix, unknown
			}
		}
		refuse.ServeHTTP(w, r)
	})
}

// inside says whether a path is the operator API's or the figures', which are for an
// installation's own networks.
func inside(asked string) bool {
	return strings.HasPrefix(asked+"/", "/operator/") || asked == "/metrics"
}

// observe counts a finished request and logs it: failures of ours as errors, what was
// not to be had just now as warnings, the rest for debugging.
func (a *App) observe(ctx context.Context, r wire.Record) {
	if a.Metrics != nil {
		a.Metrics.Request(r.Dialect, r.Route, r.Status, r.Elapsed)
	}
	if a.answered != nil {
		a.answered(r.Elapsed)
	}
	if r.Status < http.StatusInternalServerError {
		if !a.Logger.Enabled(ctx, slog.LevelDebug) {
			return
		}
		a.Logger.DebugContext(ctx, "request", "dialect", r.Dialect, "route", r.Route, "status", r.Status, "code", string(r.Code),
			"subject", r.Subject, "from", r.From.String(), "took", r.Elapsed)
		return
	}
	level := slog.LevelError
	if r.Err == nil || r.Code.Kind() == fault.KindUnavailable {
		level = slog.LevelWarn
	}
	a.Logger.Log(ctx, level, "request failed", "dialect", r.Dialect, "route", r.Route, "status", r.Status, "code", string(r.Code),
		"subject", r.Subject, "error", r.Err)
}
