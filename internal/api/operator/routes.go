// Package operator is the wire dialect of those who run an installation, under
// /operator/v1: customers with their credentials and balances, gift cards and
// templates, virtual cards, the books, events and webhooks, networks, balance checks
// and portals, the audit log, operators and the clock of the test realm.
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
	"net/http"
	"time"

	"github.com/scripcards/scrip/internal/account"
	cardapi "github.com/scripcards/scrip/internal/api/operator/issuing"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/portal"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/webhook"
)

// Deps is what the dialect stands on.
type Deps struct {
	DB       *storage.DB
	Clocks   *clock.Realms
	Vault    *vault.Vault
	Audit    *audit.Log
	Books    *ledger.Ledger
	Accounts *account.Service
	Webhooks *webhook.Service
	Cards    *giftcard.Service
	Issuing  *issuing.Service
	Wallets  *wallet.Service
	Pings    *ping.Service
	Portals  *portal.Service
	// Version is the program's, as GET /operator/v1/status shows it.
	Version string
}

type (
	call    = wire.Call[account.Operator]
	surface = wire.Surface[account.Operator]
)

type api struct {
	Deps
	cursors *wire.Cursors
}

const (
	base      = "/operator/v1"
	maxBody   = 64 << 10
	perCaller = 1_200 // requests a minute of one key
	perSource = 3_000 // requests a minute of one address, whatever its keys
)

// New returns the dialect with all its routes.
func New(kit *wire.Kit, deps Deps) *wire.Surface[account.Operator] {
	// The key of the cursors is the same in every process of an installation.
	a := &api{Deps: deps, cursors: wire.NewCursors(deps.Vault.Hash(purposeCursors, "1"))}
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
		Replay:       a.replay(),
		Faults:       faults,
		FaultType:    "application/problem+json",
		FaultBody:    problemOf,
	})
	a.systemRoutes(s)
	a.customerRoutes(s)
	a.credentialRoutes(s)
	a.operatorRoutes(s)
	a.templateRoutes(s)
	a.cardRoutes(s)
	a.bookRoutes(s)
	a.eventRoutes(s)
	a.webhookRoutes(s)
	a.networkRoutes(s)
	a.checkRoutes(s)
	cardapi.Register(s, cardapi.Dialect{Cards: a.Issuing, Accounts: a.Accounts, Cursors: a.cursors, Kept: a.kept, Raced: a.raced})
	return s
}

// The duties that routes ask for, as the kit's scopes.
const (
	read       = string(account.DutyRead)
	assist     = string(account.DutyAssist)
	administer = string(account.DutyAdminister)
)

func get(name, path string) wire.Spec {
	return wire.Spec{Name: name, Method: http.MethodGet, Path: base + path, Scope: read}
}

func post(name, path, duty string) wire.Spec {
	return wire.Spec{Name: name, Method: http.MethodPost, Path: base + path, Scope: duty}
}

func patch(name, path, duty string) wire.Spec {
	return wire.Spec{Name: name, Method: http.MethodPatch, Path: base + path, Scope: duty}
}

// once lets a caller repeat the call under an Idempotency-Key.
func once(spec wire.Spec) wire.Spec {
	spec.Idempotent = true
	return spec
}

// created is once for calls that make something.
func created(spec wire.Spec) wire.Spec {
	spec.Status = http.StatusCreated
	return once(spec)
}
