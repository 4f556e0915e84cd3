// Package cardcoins is the wire dialect of people with a prepaid card and a phone, under
// /v2: the price of bitcoin, an order from its first call to the payout, codes to phones,
// and forms to upload pictures with.
//
// It translates between the wire and package cashout, and holds no rule about money. Nobody
// authenticates: whoever knows an order's id has the order. Bodies are JSON whatever their
// type says; every answer is {message, data}. Addresses that guess, or ask too often, are
// kept out for a while. The public contract is spec/cardcoins/openapi.yaml.
//
// It must never log an order's id, and answers the same for one that is gone and one that
// never was.
package cardcoins

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/cashout/ticker"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/realm"
)

// Deps is what the dialect stands on.
type Deps struct {
	Orders *cashout.Service
	// Realm is the one that is served.
	Realm realm.Realm
	// Place says whether an address is where nobody may be served: permission_denied. It may be nil.
	Place func(ctx context.Context, from netip.Addr) error
	// Take counts guesses against the address that makes them, and Look says what it would; Block
	// keeps it out.
	Take, Look func(ctx context.Context, subject string, windows []wire.Window, n int) (wire.Decision, error)
	Block      func(ctx context.Context, subject string, until time.Time) error
	Clock      clock.Clock
	// BaseURL is the public address of uploads to the built-in store, such as
	// "https://cards.example"; empty: the request's own host.
	BaseURL string
	// PerMinute is how many requests an address may make; 0: the usual number.
	PerMinute int
}

// visitor is who calls: an address that may be served.
type visitor struct{ address string }

type call = wire.Call[visitor]

type api struct{ Deps }

const (
	name = "cardcoins"
	base = "/v2"
	// penalty is how long an address is kept out.
	penalty = 5 * time.Minute
	// usual is how many requests an address may make in a minute.
	usual = 300
)

// New returns the dialect with all its routes.
func New(kit *wire.Kit, deps Deps) *wire.Surface[visitor] {
	a := &api{deps}
	if a.PerMinute == 0 {
		a.PerMinute = usual
	}
	s := wire.New(kit, wire.Dialect[visitor]{
		Name:           name,
		Prefixes:       []string{base + "/"},
		Media:          wire.AnyMedia,
		FirstOfRepeats: true,
		Limits:         []wire.Limit{{By: wire.ByAddress, Windows: []wire.Window{{Limit: a.PerMinute, Per: time.Minute}}}},
		Penalty:        penalty,
		Authenticate:   a.visit,
		Subject:        func(v visitor) string { return v.address },
		Success:        succeed,
		Faults:         faults,
		FaultBody:      refuse,
	})
	wire.Handle(s, public("tickers.list", "/tickers"), a.tickers)
	wire.Handle(s, public("limits.get", "/limits"), a.limits)
	wire.Handle(s, post("orders.create", "/orders"), a.create)
	wire.Handle(s, get("orders.get", "/orders/{order_id}"), a.get)
	wire.Handle(s, bare(post("orders.update", "/orders/{order_id}")), a.update)
	wire.Handle(s, saying(post("phones.send", "/phones"), "Verification code has been sent"), a.sendCode)
	wire.Handle(s, saying(post("phones.confirm", "/phones/code"), "Phone verification successful"), a.enterCode)
	wire.Handle(s, bare(post("orders.payment", "/orders/{order_id}/payment")), a.payment)
	wire.Handle(s, post("orders.image", "/orders/{order_id}/images/{image_type}"), a.presign)
	wire.Handle(s, bare(post("orders.verify", "/orders/{order_id}/verify")), a.verify)
	return s
}

func get(operation, path string) wire.Spec {
	return wire.Spec{Name: operation, Method: http.MethodGet, Path: base + path}
}

// public is a read that is answered wherever it comes from.
func public(operation, path string) wire.Spec {
	spec := get(operation, path)
	spec.Public = true
	return spec
}

func post(operation, path string) wire.Spec {
	return wire.Spec{Name: operation, Method: http.MethodPost, Path: base + path}
}

// bare is a call whose body may be absent.
func bare(spec wire.Spec) wire.Spec {
	spec.EmptyBody = true
	return spec
}

func saying(spec wire.Spec, message string) wire.Spec {
	spec.Message = message
	return spec
}

// frequency is how often the price changes, in milliseconds.
const frequency = int64(ticker.Frequency / time.Millisecond)
