// Package operator is the wire dialect of those who run an installation, under
// /operator/v1: customers with their credentials and balances, gift cards and
// templates, the books, events and webhooks, networks and balance checks, portals,
// the audit log, work that was given up, operators and the clock of the test realm; in operator/code what
// concerns selling codes, in operator/issuing what concerns virtual cards, in
// operator/cashout what concerns prepaid cards that become bitcoin, in operator/fraud what
// concerns the fraud engine, in operator/rail the chains that are watched.
//
// Callers present a bearer key; their role decides what they may do. Bodies are
// strict JSON in snake case, amounts are decimal strings beside their currency,
// lists are read by cursor, and refusals are problem documents (RFC 9457). The
// public contract is spec/operator/openapi.yaml.
//
// It holds no rule about money or cards: it calls the products and the ledger. It
// must never show a secret that a product would not show again.
package operator

import (
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/operator/book"
	cashouts "github.com/scripcards/scrip/internal/api/operator/cashout"
	"github.com/scripcards/scrip/internal/api/operator/code"
	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/operator/fraud"
	cards "github.com/scripcards/scrip/internal/api/operator/issuing"
	"github.com/scripcards/scrip/internal/api/operator/rail"
	"github.com/scripcards/scrip/internal/api/operator/remedy"
	"github.com/scripcards/scrip/internal/api/operator/supplier"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/fraud/office"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization/decision"
	"github.com/scripcards/scrip/internal/issuing/dispute"
	"github.com/scripcards/scrip/internal/issuing/statement"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/claim"
	"github.com/scripcards/scrip/internal/order/report"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/portal"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/wallet/deposit"
	"github.com/scripcards/scrip/internal/webhook"
)

// Deps is what the dialect stands on.
type Deps struct {
	DB         *storage.DB
	Clocks     *clock.Realms
	Vault      *vault.Vault
	Audit      *audit.Log
	Books      *ledger.Ledger
	Accounts   *account.Service
	Webhooks   *webhook.Service
	Cards      *giftcard.Service
	Issuing    *issuing.Service
	Deciders   *decision.Service
	Statements *statement.Service
	Disputes   *dispute.Service
	Wallets    *wallet.Service
	Pings      *ping.Service
	Portals    *portal.Service
	Catalog    *catalog.Service
	Stock      *stock.Stock
	Supply     *supply.Service
	Orders     *order.Service
	Alerts     *wallet.Alerts
	Claims     *claim.Service
	Reports    *report.Service
	Fraud      *office.Service
	Deposits   *deposit.Service
	Jobs       *job.Queue
	// Cashout is what turns prepaid cards into bitcoin.
	Cashout cashouts.Deps
	// Version is the program's, as GET /operator/v1/status shows it.
	Version string
}

type (
	call    = desk.Call
	surface = desk.Surface
)

type api struct {
	Deps
	desk *desk.Desk
}

const (
	base      = desk.Base
	maxBody   = 64 << 10
	perCaller = 1_200 // requests a minute of one key
	perSource = 3_000 // requests a minute of one address, whatever its keys
)

// New returns the dialect with all its routes.
func New(kit *wire.Kit, deps Deps) *wire.Surface[account.Operator] {
	a := &api{deps, desk.New(desk.Desk{DB: deps.DB, Vault: deps.Vault, Audit: deps.Audit, Clocks: deps.Clocks, Accounts: deps.Accounts})}
	s := wire.New(kit, wire.Dialect[account.Operator]{
		Name:     "operator",
		Prefixes: []string{base + "/"},
		Media:    wire.JSONOnly,
		Strict:   true,
		MaxBody:  maxBody,
		Limits: []wire.Limit{
			{Name: "source", By: wire.ByAddress, Windows: []wire.Window{{Limit: perSource, Per: time.Minute}}},
			{Name: "caller", By: wire.ByPrincipal, Windows: []wire.Window{{Limit: perCaller, Per: time.Minute}}},
		},
		Authenticate: a.authenticate,
		Subject:      func(o account.Operator) string { return string(o.Credential) },
		Replay:       a.desk.Replay(),
		Faults:       faults,
		FaultType:    "application/problem+json",
		FaultBody:    problemOf,
	})
	a.systemRoutes(s)
	a.jobRoutes(s)
	a.customerRoutes(s)
	a.credentialRoutes(s)
	a.operatorRoutes(s)
	a.templateRoutes(s)
	a.cardRoutes(s)
	book.Routes(s, a.desk, deps.Books, deps.Issuing)
	a.eventRoutes(s)
	a.webhookRoutes(s)
	a.networkRoutes(s)
	a.checkRoutes(s)
	code.Register(s, code.Deps{Desk: a.desk, Catalog: deps.Catalog, Stock: deps.Stock, Orders: deps.Orders, Alerts: deps.Alerts})
	cards.Routes(s, a.desk, cards.Deps{Cards: deps.Issuing, Deciders: deps.Deciders, Statements: deps.Statements, Disputes: deps.Disputes})
	supplier.Routes(s, a.desk, supplier.Deps{Supply: deps.Supply, Orders: deps.Orders})
	cashouts.Routes(s, a.desk, deps.Cashout)
	remedy.Routes(s, a.desk, remedy.Deps{Orders: deps.Orders, Claims: deps.Claims, Reports: deps.Reports})
	fraud.Routes(s, a.desk, deps.Fraud, deps.Pings)
	rail.Routes(s, a.desk, deps.Deposits)
	return s
}

// The duties that routes ask for, as the kit's scopes.
const (
	read       = desk.Read
	assist     = desk.Assist
	administer = desk.Administer
)

func get(name, path string) wire.Spec { return desk.Get(name, path) }

func post(name, path, duty string) wire.Spec { return desk.Post(name, path, duty) }

func patch(name, path, duty string) wire.Spec { return desk.Patch(name, path, duty) }

func once(spec wire.Spec) wire.Spec { return desk.Once(spec) }

func created(spec wire.Spec) wire.Spec { return desk.Created(spec) }
