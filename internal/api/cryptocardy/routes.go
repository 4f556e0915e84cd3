// Package cryptocardy is the wire dialect of holders of virtual cards, under /v1/api:
// cards with their details, controls and funding, their transactions, the wallet with
// its crypto deposits, 3-D Secure codes, webhooks, and in the test realm simulations of
// what merchants and chains do.
//
// It translates between the wire and packages issuing, authorization, deposit and
// webhook, and holds no rule about money or cards. Amounts are JSON numbers in US
// dollars; every refusal is {error, message, code, request_id}. A change under an
// X-Idempotency-Key is made once; its answer is sealed and written with it. The public
// contract is spec/cryptocardy/openapi.yaml.
//
// It must never log, or keep in the clear, a card's number, its code or a seed.
package cryptocardy

import (
	"context"
	"net/http"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/issuing/dispute"
	"github.com/scripcards/scrip/internal/issuing/statement"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/wallet/deposit"
	"github.com/scripcards/scrip/internal/webhook"
)

// Deps is what the dialect stands on.
type Deps struct {
	DB         *storage.DB
	Vault      *vault.Vault
	Clocks     *clock.Realms
	Accounts   *account.Service
	Cards      *issuing.Service
	Payments   *authorization.Service
	Deposits   *deposit.Service
	Statements *statement.Service
	Disputes   *dispute.Service
	Webhooks   *webhook.Service
	// Chains has payments appear on the test realm's chains; nil: there are none to simulate.
	Chains Chains
	// Take counts seeds that were not right against the address that presented them, and the
	// movements of statements against their account; Look says what it would.
	Take, Look func(ctx context.Context, subject string, windows []wire.Window, n int) (wire.Decision, error)
	// Realm is that of the seeds which GET /v1/api/ makes.
	Realm realm.Realm
}

// dollars are what the dialect counts in.
const dollars = money.USD

type (
	call    = wire.Call[account.Principal]
	surface = wire.Surface[account.Principal]
)

type api struct{ Deps }

// perSeed are the published limits of one seed; perDetails and perCreation those of single calls.
var (
	perSeed     = []wire.Limit{{By: wire.ByPrincipal, Windows: []wire.Window{{Limit: 1_000, Per: time.Minute}, {Limit: 10_000, Per: time.Hour}}}}
	perCreation = []wire.Limit{{By: wire.ByPrincipal, Windows: []wire.Window{{Limit: 50, Per: time.Minute}}}}
	perDetails  = []wire.Limit{{By: wire.ByPrincipal, Windows: []wire.Window{{Limit: 30, Per: time.Minute}}}}
	// perAddress bounds how many seeds one address makes: each is a customer for good.
	perAddress = []wire.Limit{{Name: "generate", By: wire.ByAddress, Windows: []wire.Window{{Limit: 10, Per: time.Minute}, {Limit: 60, Per: time.Hour}}}}
	// perMovements bounds the movements of an account that statements and their files are made of.
	perMovements = []wire.Window{{Limit: 500_000, Per: time.Minute}}
)

const base = "/v1/api"

// New returns the dialect with all its routes.
func New(kit *wire.Kit, deps Deps) *wire.Surface[account.Principal] {
	a := &api{deps}
	s := wire.New(kit, wire.Dialect[account.Principal]{
		Name:         "cryptocardy",
		Prefixes:     []string{base + "/"},
		Media:        wire.JSONOnly,
		Limits:       perSeed,
		Authenticate: a.authenticate,
		Subject:      func(p account.Principal) string { return p.Credential },
		Replay:       a.replay(),
		Faults:       faults,
		FaultBody:    refuse,
	})
	for _, spec := range []wire.Spec{get("seeds.generate", "/{$}"), get("seeds.generate_bare", "")} {
		spec.Public, spec.Limits, spec.Makes = true, perAddress, true
		wire.Handle(s, spec, a.generate)
	}
	a.cardRoutes(s)
	a.historyRoutes(s)
	a.walletRoutes(s)
	a.statementRoutes(s)
	a.disputeRoutes(s)
	a.webhookRoutes(s)
	a.simulationRoutes(s)
	return s
}

func get(name, path string) wire.Spec {
	return wire.Spec{Name: name, Method: http.MethodGet, Path: base + path}
}

// changing is a call that is made once under an X-Idempotency-Key.
func changing(name, method, path string) wire.Spec {
	return wire.Spec{Name: name, Method: method, Path: base + path, Idempotent: true}
}

// creating is one that makes something.
func creating(name, path string) wire.Spec {
	spec := changing(name, http.MethodPost, path)
	spec.Status = http.StatusCreated
	return spec
}

func limited(spec wire.Spec, limits []wire.Limit) wire.Spec {
	spec.Limits = limits
	return spec
}

// holder is on whose behalf a call is made.
func holder(c *call) issuing.Holder {
	return issuing.Holder{Book: c.Principal.Book, Realm: c.Principal.Realm, Actor: c.Principal.Credential}
}

// headerSeed is X-Seed in net/http's spelling.
const headerSeed = "X-Seed"

// failures is how often one address may present a seed that is not right: a seed has 64
// bits, and guessing has to stay hopeless however many seeds there are.
var failures = []wire.Window{{Limit: 20, Per: time.Minute}, {Limit: 100, Per: time.Hour}}

// authenticate accepts a seed. An address that presented too many wrong ones of late has
// to wait, even with a right one.
func (a *api) authenticate(ctx context.Context, c *call) (account.Principal, error) {
	values := c.Request.Header[headerSeed]
	if len(values) != 1 || values[0] == "" {
		return account.Principal{}, fault.New(fault.CredentialsInvalid, wrongSeed)
	}
	subject := "cryptocardy/failures/" + wire.AddressSubject(c.From)
	seen, err := a.Look(ctx, subject, failures, 1)
	if err != nil {
		return account.Principal{}, err
	}
	if !seen.Allowed {
		return account.Principal{}, fault.New(fault.RateLimited, "Too many wrong seeds came from this address.").After(seen.RetryAfter)
	}
	principal, err := a.Accounts.AuthenticateSeed(ctx, values[0])
	if fault.CodeOf(err) == fault.CredentialsInvalid {
		if _, counting := a.Take(ctx, subject, failures, 1); counting != nil {
			return account.Principal{}, counting
		}
	}
	return principal, err
}
