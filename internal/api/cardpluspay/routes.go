// Package cardpluspay is the wire dialect of resellers of codes, under /v1: the
// prepaid balance, the catalog, a check of the stock, orders with their codes, claims
// about dead ones, and challenges for accounts that sign their requests.
//
// It translates between the wire and packages order and wallet, and holds no rule
// about money, codes or orders. Every answer is the envelope {success, message,
// data}. An order under an Idempotency-Key is placed once; its answer is sealed and
// written with it. The public contract is spec/cardpluspay/openapi.yaml.
//
// It must never keep a code in the clear.
package cardpluspay

import (
	"context"
	"net/http"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/claim"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/wallet"
)

// Deps is what the dialect stands on.
type Deps struct {
	DB       *storage.DB
	Vault    *vault.Vault
	Clocks   *clock.Realms
	Accounts *account.Service
	Orders   *order.Service
	Claims   *claim.Service
	Wallets  *wallet.Service
	// Take counts keys that were not right against the address that presented them.
	Take func(ctx context.Context, subject string, windows []wire.Window, n int) (wire.Decision, error)
	// BaseURL is the public address, such as "https://cards.example"; empty: the request's own host.
	BaseURL string
}

type call = wire.Call[account.Principal]

type api struct{ Deps }

// perKey bounds one reseller's requests; it protects the others, not a budget.
// perAddress bounds the one call that needs no key.
var (
	perKey     = []wire.Limit{{By: wire.ByPrincipal, Windows: []wire.Window{{Limit: 3_000_000, Per: time.Minute}}}}
	perAddress = []wire.Limit{{By: wire.ByAddress, Windows: []wire.Window{{Limit: 6_000, Per: time.Minute}}}}
)

// New returns the dialect with all its routes.
func New(kit *wire.Kit, deps Deps) *wire.Surface[account.Principal] {
	a := &api{deps}
	s := wire.New(kit, wire.Dialect[account.Principal]{
		Name:         "cardpluspay",
		Prefixes:     []string{"/v1/balance/", "/v1/catalog/", "/v1/orders/", "/v1/auth/"},
		Media:        wire.JSONOnly,
		Limits:       perKey,
		Authenticate: a.authenticate,
		Subject:      func(p account.Principal) string { return p.Credential },
		Replay:       a.replay(),
		Success:      success,
		Faults:       faults,
		FaultBody:    failure,
	})
	wire.Handle(s, wire.Spec{Name: "api.info", Method: http.MethodGet, Path: "/v1/{$}", Public: true, Limits: perAddress,
		Message: "CardPlusPay API"}, a.info)
	wire.Handle(s, challengeSpec(), a.challenge)
	wire.Handle(s, get("balance.get", "/balance", account.ScopeWalletRead, "Balance retrieved successfully"), a.balance)
	wire.Handle(s, get("catalog.list", "/catalog", account.ScopeCatalog, "Catalog retrieved successfully"), a.catalog)
	wire.Handle(s, post("orders.check", "/orders/check", account.ScopeCatalog, "Gift card in Stock"), a.check)
	place := post("orders.create", "/orders", account.ScopeOrderWrite, "Gift card purchased successfully")
	place.Idempotent = true
	wire.Handle(s, place, a.place)
	wire.Handle(s, get("orders.list", "/orders", account.ScopeOrderRead, "Orders retrieved successfully"), a.list)
	wire.Handle(s, get("orders.get", "/orders/{id}", account.ScopeOrderRead, "Order details retrieved successfully"), a.get)
	a.claimRoutes(s)
	return s
}

func get(name, path string, scope account.Scope, message string) wire.Spec {
	return wire.Spec{Name: name, Method: http.MethodGet, Path: "/v1" + path, Scope: scope.String(), Message: message}
}

func post(name, path string, scope account.Scope, message string) wire.Spec {
	return wire.Spec{Name: name, Method: http.MethodPost, Path: "/v1" + path, Scope: scope.String(), Message: message}
}

// challengeSpec needs a key of any scope: what a challenge opens asks for its own.
func challengeSpec() wire.Spec {
	return wire.Spec{Name: routeChallenge, Method: http.MethodPost, Path: "/v1/auth/challenge", Message: "Challenge created successfully"}
}

func buyer(c *call) order.Buyer {
	return order.Buyer{Customer: c.Principal.Customer, Book: c.Principal.Book, Realm: c.Principal.Realm, Credential: c.Principal.Credential}
}

func (a *api) info(_ context.Context, c *call, _ wire.None) (info, error) {
	return info{Name: "CardPlusPay API", Version: "v1", Status: "operational", Docs: a.base(c) + "/openapi/cardpluspay.yaml"}, nil
}

// base is the public address, as well as it is known.
func (a *api) base(c *call) string {
	switch {
	case a.BaseURL != "":
		return a.BaseURL
	case c.Request.TLS != nil:
		return "https://" + c.Request.Host
	}
	return "http://" + c.Request.Host
}

func (a *api) challenge(_ context.Context, c *call, _ wire.None) (challenge, error) {
	text, until := a.Accounts.Challenge(c.Principal.Book)
	return challenge{Challenge: text, ExpiresIn: int64(account.ChallengeLife / time.Second), ExpiresAt: wire.TimeOffset(until.UTC())}, nil
}

func (a *api) balance(ctx context.Context, c *call, in balanceQuery) (balance, error) {
	currency, err := in.currency()
	if err != nil {
		return balance{}, err
	}
	amount, err := a.Wallets.Balance(ctx, c.Principal.Book, currency)
	return balance{Balance: amount.String(), Currency: amount.Currency.String(), State: stateSuccess}, err
}

func (a *api) catalog(ctx context.Context, c *call, in catalogQuery) (products, error) {
	page, filter, err := in.filter()
	if err != nil {
		return products{}, err
	}
	found, err := a.Orders.Browse(ctx, buyer(c), filter)
	if err != nil {
		return products{}, err
	}
	return productsOf(&found, page), nil
}

func (a *api) check(ctx context.Context, c *call, in checkRequest) (stockState, error) {
	item, quantity, err := in.read("item_id")
	if err != nil {
		return stockState{}, err
	}
	price, err := a.Orders.Check(ctx, buyer(c), item, quantity)
	return stockState{Price: wire.Major(price.Amount), State: "in_stock", Status: true, Message: "Available", Requested: quantity}, err
}

func (a *api) get(ctx context.Context, c *call, in orderPath) (details, error) {
	found, err := a.Orders.Reveal(ctx, buyer(c), order.Number(in.ID))
	if err != nil {
		return details{}, err
	}
	return detailsOf(&found), nil
}

func (a *api) list(ctx context.Context, c *call, in listQuery) (orders, error) {
	page, filter, err := in.filter(c.Principal.Book)
	if err != nil {
		return orders{}, err
	}
	found, err := a.Orders.List(ctx, filter)
	if err != nil {
		return orders{}, err
	}
	return ordersOf(&found, page), nil
}
