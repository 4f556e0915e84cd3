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
	Alerts   *wallet.Alerts
	// Take counts keys that were not right against the address that presented them; Look says
	// what it would.
	Take, Look func(ctx context.Context, subject string, windows []wire.Window, n int) (wire.Decision, error)
	// BaseURL is the public address, such as "https://cards.example"; empty: the request's own host.
	BaseURL string
}

// routePlace is the call whose answer shows codes, and is repeated.
const routePlace = "orders.create"

// imagesPath begins the paths of uploaded pictures; alertsPath is without its /v1.
const (
	imagesPath = "/v1/catalog/images"
	alertsPath = "/balance/alerts"
)

type call = wire.Call[account.Principal]

type api struct{ Deps }

// perKey bounds one reseller's requests; it protects the others, not a budget.
// perAddress bounds the calls that need no key.
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
		Thorough:     true,
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
	wire.Handle(s, get("balance.alerts", alertsPath, account.ScopeWalletRead, "Balance alerts retrieved successfully"), a.alerts)
	wire.Handle(s, wire.Spec{Name: "balance.set_alert", Method: http.MethodPut, Path: "/v1" + alertsPath, Scope: account.ScopeWalletWrite.String(),
		Message: "Balance alert saved successfully"}, a.setAlert)
	list := get("catalog.list", "/catalog", account.ScopeCatalog, "Catalog retrieved successfully")
	list.Tagged, list.Cache = true, "private, no-cache"
	wire.Handle(s, list, a.catalog)
	wire.Handle(s, wire.Spec{Name: "catalog.image", Method: http.MethodGet, Path: imagesPath + "/{image}", Public: true, Limits: perAddress,
		Cache: "public, max-age=31536000, immutable"}, a.image)
	wire.Handle(s, post("orders.check", "/orders/check", account.ScopeCatalog, "Gift card in Stock"), a.check)
	place := post(routePlace, "/orders", account.ScopeOrderWrite, "Gift card purchased successfully")
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
	return info{Name: "CardPlusPay API", Version: "v1", Status: "operational", Docs: wire.PublicURL(a.BaseURL, c.Request) + "/openapi/cardpluspay.yaml"}, nil
}

func (a *api) challenge(_ context.Context, c *call, _ wire.None) (challenge, error) {
	text, until := a.Accounts.Challenge(c.Principal.Book)
	return challenge{Challenge: text, ExpiresIn: int64(account.ChallengeLife / time.Second), ExpiresAt: wire.TimeOffset(until.UTC())}, nil
}

func (a *api) balance(ctx context.Context, c *call, in balanceQuery) (balance, error) {
	amount, err := a.Wallets.Balance(ctx, c.Principal.Book, in.asked)
	return balance{Balance: amount.String(), Currency: amount.Currency.String(), State: stateSuccess}, err
}

func (a *api) alerts(ctx context.Context, c *call, _ wire.None) (balanceAlerts, error) {
	found, err := a.Alerts.List(ctx, c.Principal.Book)
	return alertsOf(found), err
}

// setAlert sets or takes away one alert and answers with all that there are then.
func (a *api) setAlert(ctx context.Context, c *call, in thresholdRequest) (balanceAlerts, error) {
	alert := wallet.Alert{Book: c.Principal.Book, Realm: c.Principal.Realm, Threshold: in.asked, Actor: c.Principal.Credential}
	if _, err := a.Alerts.SetAlert(ctx, alert); err != nil {
		return balanceAlerts{}, err
	}
	return a.alerts(ctx, c, wire.None{})
}

func (a *api) catalog(ctx context.Context, c *call, in catalogQuery) (products, error) {
	found, err := a.Orders.Browse(ctx, buyer(c), in.asked)
	if err != nil {
		return products{}, err
	}
	return productsOf(&found, in.page, wire.PublicURL(a.BaseURL, c.Request)), nil
}

// image serves an uploaded picture. It never changes: its name is its hash.
func (a *api) image(ctx context.Context, _ *call, in imagePath) (wire.File, error) {
	found, err := a.Orders.Catalog.Image(ctx, in.Image)
	if err != nil {
		return wire.File{}, err
	}
	return wire.File{ContentType: found.Type, Version: found.Hash, Body: found.Data}, nil
}

func (a *api) check(ctx context.Context, c *call, in checkRequest) (stockState, error) {
	price, err := a.Orders.Check(ctx, buyer(c), in.asked)
	return stockState{Price: wire.Major(price.Amount), State: "in_stock", Status: true, Message: "Available", Requested: in.asked.Quantity}, err
}

func (a *api) get(ctx context.Context, c *call, in orderPath) (details, error) {
	found, err := a.Orders.Reveal(ctx, buyer(c), order.Number(in.ID))
	if err != nil {
		return details{}, err
	}
	return detailsOf(&found), nil
}

func (a *api) list(ctx context.Context, c *call, in listQuery) (orders, error) {
	in.asked.Book = c.Principal.Book
	found, err := a.Orders.List(ctx, in.asked)
	if err != nil {
		return orders{}, err
	}
	return ordersOf(&found, in.page), nil
}
