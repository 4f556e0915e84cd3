// Package cardping is the wire dialect of balance checks with fraud scores, under
// /v1: the published check, its networks and webhooks, and as extensions a batch of
// checks and portals.
//
// It translates between the wire and packages ping, webhook and portal, and holds no
// rule about cards or scores. Answers are plain objects; every refusal is
// {"error":{code, message, request_id}}. A check under an idempotency key is made
// once. The public contract is spec/cardping/openapi.yaml.
//
// It must never repeat a card number or a PIN, nor keep one: of a request that can be
// repeated it keeps keyed hashes.
package cardping

import (
	"context"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/portal"
	"github.com/scripcards/scrip/internal/webhook"
)

// Deps is what the dialect stands on.
type Deps struct {
	DB       *storage.DB
	Vault    *vault.Vault
	Clocks   *clock.Realms
	Accounts *account.Service
	Pings    *ping.Service
	Webhooks *webhook.Service
	Portals  *portal.Service
	// Take counts keys that were not right against the address that presented them; Look says
	// what it would.
	Take, Look func(ctx context.Context, subject string, windows []wire.Window, n int) (wire.Decision, error)
}

type (
	call    = wire.Call[account.Principal]
	surface = wire.Surface[account.Principal]
)

type api struct {
	Deps
	perKey, perAddress []wire.Window
}

// bounds are a policy's windows, or one that protects the server where it has none.
func bounds(windows []wire.Window) []wire.Window {
	if len(windows) == 0 {
		return []wire.Window{{Limit: 3_000_000, Per: time.Minute}}
	}
	return windows
}

// New returns the dialect with all its routes. Requests are bounded as the policy of
// checks bounds those; a batch counts as many as it has checks.
func New(kit *wire.Kit, deps Deps) *wire.Surface[account.Principal] {
	a := &api{Deps: deps, perKey: bounds(deps.Pings.Policy.Credential), perAddress: bounds(deps.Pings.Policy.Address)}
	s := wire.New(kit, wire.Dialect[account.Principal]{
		Name:     "cardping",
		Prefixes: []string{"/v1/cards/", "/v1/networks/", "/v1/webhooks/", "/v1/portals/"},
		Media:    wire.JSONOnly,
		Limits: []wire.Limit{
			{Name: "address", By: wire.ByAddress, Windows: a.perAddress},
			{Name: "key", By: wire.ByPrincipal, Windows: a.perKey},
		},
		Authenticate: a.authenticate,
		Subject:      func(p account.Principal) string { return p.Credential },
		LimitHeaders: limitHeaders,
		Faults:       faults,
		FaultBody:    a.refuse,
	})
	a.checkRoutes(s)
	a.webhookRoutes(s)
	a.portalRoutes(s)
	return s
}

func route(name, method, path string, scope account.Scope) wire.Spec {
	return wire.Spec{Name: name, Method: method, Path: "/v1" + path, Scope: scope.String()}
}

// answering sets the status of a success.
func answering(status int, s wire.Spec) wire.Spec {
	s.Status = status
	return s
}
