// Package portal is the public page on which a cardholder checks a balance, at
// /p/{slug} and on a portal's own domain.
//
// It renders on the server and works without JavaScript; its policy lets nothing in
// from elsewhere but the portal's logo. Visitors who look like machines are asked for
// a proof of work, or to wait where there is no JavaScript.
//
// A card number or PIN goes to the Checker and nowhere else: into no log, address,
// cookie, cache or error; the number alone goes back to the form of who typed it. It
// must never tell an unknown card from a wrong PIN, or a portal that is switched off
// from one that never was.
package portal

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/platform/limit"
	portals "github.com/scripcards/scrip/internal/portal"
)

// Checker checks balances.
type Checker interface {
	// Ping checks one card.
	Ping(ctx context.Context, check ping.Check) (ping.Result, error)
	// Networks lists what can be asked in a realm.
	Networks(r realm.Realm) []ping.NetworkInfo
}

// Limiter counts requests, as platform/limit does.
type Limiter interface {
	Take(ctx context.Context, subject string, windows []wire.Window, n int) (wire.Decision, error)
	Block(ctx context.Context, subject string, until time.Time) error
	Blocked(ctx context.Context, subject string) (until time.Time, blocked bool)
}

// Deps are what the site uses.
type Deps struct {
	Portals *portals.Service
	Checker Checker
	Limits  Limiter
	// Hash makes a keyed hash, as the vault's does: challenges are signed with it.
	Hash   func(purpose, value string) []byte
	Clock  clock.Clock // the machine's
	Logger *slog.Logger
	// Proxies are the networks whose X-Forwarded-For is believed.
	Proxies []netip.Prefix
	// BaseURL is the installation's public address; empty: each request's own host.
	BaseURL string
	// Observe sees every finished request, Context puts its id where the log finds it; both may be nil.
	Observe func(ctx context.Context, record wire.Record)
	Context func(ctx context.Context, requestID string) context.Context
	// Driver asks visitors to prove that they are no machines; nil: a proof of work.
	Driver Driver
	// Pace says what looks like a machine; the zero value means DefaultPace.
	Pace Pace
}

// Site serves the pages of all portals. It is safe for concurrent use.
type Site struct {
	Deps
	assets *assets
	origin *http.CrossOriginProtection
	slots  chan struct{}
	crowd  limit.Crowd[string]
	own    string // the installation's own host name; may be empty
	secure bool   // visitors come over TLS, whoever ends it
}

// maxInFlight bounds the pages that are made at once, of one address half of them; those
// beyond are refused.
const maxInFlight = 256

// New returns the site.
func New(d Deps) *Site {
	if d.Pace.isZero() {
		d.Pace = DefaultPace()
	}
	if d.Driver == nil {
		d.Driver = &work{hash: d.Hash, clock: d.Clock, spend: d.Portals.Spend, spent: d.Portals.Spent, limits: d.Limits}
	}
	s := &Site{Deps: d, assets: newAssets(), origin: http.NewCrossOriginProtection(), slots: make(chan struct{}, maxInFlight)}
	rest, secure := strings.CutPrefix(d.BaseURL, "https://")
	host, _, _ := strings.Cut(strings.TrimPrefix(rest, "http://"), "/")
	s.secure, s.own = secure, portals.Hostname(host)
	return s
}

// Patterns of the paths. No slug is "-".
const (
	folderPath  = "/p/"
	slugPath    = folderPath + "{slug}"
	assetFolder = folderPath + "-/"
	assetPath   = assetFolder + "{file}"
	homePath    = "/{$}"
)

// Mount registers the paths of portals on a mux that serves other things too. other
// answers for "/" on hosts that are no portal's own.
func (s *Site) Mount(mux *http.ServeMux, other http.Handler) {
	mux.HandleFunc(slugPath, s.bySlug)
	mux.HandleFunc(assetPath, s.asset)
	mux.HandleFunc(folderPath, s.below)
	mux.HandleFunc(strings.TrimSuffix(folderPath, "/"), s.unknown) // the mux would send its visitor elsewhere
	mux.HandleFunc(homePath, func(w http.ResponseWriter, r *http.Request) {
		if s.isOwn(r.Host) {
			other.ServeHTTP(w, r)
			return
		}
		s.byDomain(w, r, other)
	})
}

// Only returns a handler that serves main on the installation's own host, and on
// every other host a portal and nothing else: what listens for portals' own domains.
func (s *Site) Only(main http.Handler) http.Handler {
	own := http.NewServeMux()
	own.HandleFunc(assetPath, s.asset)
	own.HandleFunc(homePath, func(w http.ResponseWriter, r *http.Request) { s.byDomain(w, r, nil) })
	own.HandleFunc("/", s.unknown)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.isOwn(r.Host) {
			main.ServeHTTP(w, r)
			return
		}
		own.ServeHTTP(w, r)
	})
}

// Decide returns nil when a certificate may be had for host: the installation's own
// name, or a domain that an active portal claims.
func (s *Site) Decide(ctx context.Context, host string) error {
	if s.isOwn(host) {
		return nil
	}
	p, err := s.Portals.FindByDomain(ctx, host)
	if err == nil && !p.Active {
		err = fault.New(fault.NotFound, "no such portal")
	}
	if err != nil {
		return fmt.Errorf("certificate for %q: %w", portals.Hostname(host), err)
	}
	return nil
}

func (s *Site) isOwn(host string) bool { return s.own != "" && portals.Hostname(host) == s.own }

// bySlug serves /p/{slug}. On a portal's own domain no other portal can be seen.
func (s *Site) bySlug(w http.ResponseWriter, r *http.Request) {
	slug := r.PathValue("slug")
	if small := strings.ToLower(slug); small != slug { // as keyboards begin a word
		lead(w, r, small)
		return
	}
	s.serve(w, r, route{pattern: slugPath, path: folderPath + slug, find: func(ctx context.Context) (portals.Portal, error) {
		p, err := s.Portals.FindBySlug(ctx, slug)
		if err != nil || s.isOwn(r.Host) {
			return p, err
		}
		host, err := s.Portals.FindByDomain(ctx, r.Host)
		if err == nil && host.ID != p.ID {
			return p, fault.New(fault.NotFound, "no such portal")
		}
		if fault.CodeOf(err) == fault.NotFound {
			err = nil
		}
		return p, err
	}})
}

// below answers for what is below /p/ and no portal's address: one with a slash at its end
// leads to the portal.
func (s *Site) below(w http.ResponseWriter, r *http.Request) {
	slug, ends := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, folderPath), "/")
	if !ends || slug == "" || strings.Contains(slug, "/") {
		s.unknown(w, r)
		return
	}
	lead(w, r, strings.ToLower(slug))
}

// lead sends a visitor to the address of a portal, whether there is one or not.
func lead(w http.ResponseWriter, r *http.Request, slug string) {
	to := url.URL{Path: folderPath + slug, RawQuery: r.URL.RawQuery}
	http.Redirect(w, r, to.String(), http.StatusPermanentRedirect)
}

// byDomain serves the portal whose domain the request's host is; other, if not nil,
// answers when it is nobody's.
func (s *Site) byDomain(w http.ResponseWriter, r *http.Request, other http.Handler) {
	p, err := s.Portals.FindByDomain(r.Context(), r.Host)
	if other != nil && fault.CodeOf(err) == fault.NotFound {
		other.ServeHTTP(w, r)
		return
	}
	s.serve(w, r, route{pattern: homePath, path: "/", find: func(context.Context) (portals.Portal, error) { return p, err }})
}

func (s *Site) unknown(w http.ResponseWriter, r *http.Request) {
	s.serve(w, r, route{pattern: "/", path: "/", find: func(context.Context) (portals.Portal, error) {
		return portals.Portal{}, fault.New(fault.RouteNotFound, "no such path")
	}})
}
