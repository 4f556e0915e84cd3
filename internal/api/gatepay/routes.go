// Package gatepay is the wire dialect of merchants' branded gift cards, under
// /v1/pay: the four published calls, their aliases, and the extensions that let a
// card be spent.
//
// It translates between the wire and package giftcard and holds no rule about
// money or cards. All request values are strings; every answer is the envelope
// {status, code, label, errorMessage, data}. The public contract is
// spec/gatepay/openapi.yaml.
package gatepay

import (
	"context"
	"net/http"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/giftcard"
)

// Deps is what the dialect stands on.
type Deps struct {
	Cards    *giftcard.Service
	Accounts *account.Service
	// Clock judges timestamps: the machine's, in both realms.
	Clock clock.Clock
	// Take counts credentials that were not right against the address that presented
	// them, as limit.Limiter's does, and Look says what it would; nil: nothing is counted.
	Take, Look func(ctx context.Context, subject string, windows []wire.Window, n int) (wire.Decision, error)
	// BaseURL is the public address for cover links, such as "https://cards.example"; empty: the request's own host.
	BaseURL string
}

type call = wire.Call[account.Principal]

type api struct {
	Deps
	named   func(operation wire.Raw) (batchOperation, error)
	actions map[string]action // of a batch, by their names
	spare   chan struct{}
}

// perCredential bounds one merchant's requests; it protects the others, not a budget.
var perCredential = []wire.Limit{{By: wire.ByPrincipal, Windows: []wire.Window{{Limit: 3_000_000, Per: time.Minute}}}}

// perAddress bounds the one call that needs no credential.
var perAddress = []wire.Limit{{By: wire.ByAddress, Windows: []wire.Window{{Limit: 6_000, Per: time.Minute}}}}

// New returns the dialect with all its routes.
func New(kit *wire.Kit, deps Deps) *wire.Surface[account.Principal] {
	a := &api{Deps: deps, named: wire.MustPart[batchOperation](), actions: map[string]action{}, spare: make(chan struct{}, spareOperations)}
	s := wire.New(kit, wire.Dialect[account.Principal]{
		Name:         "gatepay",
		Prefixes:     []string{"/v1/pay/"},
		Order:        wire.SignedOrder(),
		Media:        wire.JSONOnly,
		Limits:       perCredential,
		Authenticate: a.authenticate,
		Subject:      func(p account.Principal) string { return p.Credential },
		Success:      success,
		Faults:       faults,
		FaultBody:    failure,
	})
	const read, write, spend = account.ScopeGiftcardRead, account.ScopeGiftcardWrite, account.ScopeGiftcardRedeem

	wire.Handle(s, post("giftcard.create", "/v1/pay/giftcard/create", write), a.create)
	wire.Handle(s, post("gift.create", "/v1/pay/gift/create", write), a.create)
	wire.Handle(s, get("giftcard.templates", "/v1/pay/giftcard/template/list", read), a.templates)
	wire.Handle(s, get("gift.templates", "/v1/pay/gift/temp/list", read), a.templates)
	wire.Handle(s, get("balance.query", "/v1/pay/balance/query", read), a.balance)
	wire.Handle(s, get("giftcard.query", "/v1/pay/giftcard/query", read), a.query)
	wire.Handle(s, post("gift.query", "/v1/pay/gift/query", read), a.query)

	move(a, s, post("giftcard.redeem", "/v1/pay/giftcard/redeem", spend), a.redeem)
	move(a, s, post("giftcard.refund", "/v1/pay/giftcard/redeem/refund", spend), a.refund)
	move(a, s, post("giftcard.hold", "/v1/pay/giftcard/hold", spend), a.hold)
	move(a, s, post("giftcard.capture", "/v1/pay/giftcard/capture", spend), a.capture)
	move(a, s, post("giftcard.void", "/v1/pay/giftcard/void", spend), a.void)
	move(a, s, post("giftcard.reload", "/v1/pay/giftcard/reload", write), a.reload)
	move(a, s, post("giftcard.cancel", "/v1/pay/giftcard/cancel", write), a.cancel)
	wire.Handle(s, post("giftcard.batch", "/v1/pay/giftcard/batch", spend), a.batch)

	wire.Handle(s, wire.Spec{Name: "giftcard.cover", Method: http.MethodGet, Path: "/v1/pay/giftcard/template/cover/{templateId}",
		Public: true, Cache: "public, max-age=86400", Limits: perAddress}, a.cover)
	return s
}

func get(name, path string, scope account.Scope) wire.Spec {
	return wire.Spec{Name: name, Method: http.MethodGet, Path: path, Scope: scope.String()}
}

func post(name, path string, scope account.Scope) wire.Spec {
	return wire.Spec{Name: name, Method: http.MethodPost, Path: path, Scope: scope.String()}
}

func merchant(c *call) giftcard.Merchant {
	return giftcard.Merchant{Book: c.Principal.Book, Realm: c.Principal.Realm, Actor: c.Principal.Credential}
}

func (a *api) create(ctx context.Context, c *call, in createRequest) (created, error) {
	issue, err := in.issue()
	if err != nil {
		return created{}, err
	}
	issued, err := a.Cards.Create(ctx, merchant(c), issue)
	if err != nil {
		return created{}, err
	}
	return created{CardNumber: issued.Card.Number.Reveal(), Key: issued.Key.Reveal(), Status: statusOf(issued.Card.Status)}, nil
}

func (a *api) templates(ctx context.Context, c *call, _ wire.None) ([]template, error) {
	found, err := a.Cards.Templates(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]template, 0, len(found))
	for _, t := range found {
		list = append(list, a.template(c, t))
	}
	return list, nil
}

func (a *api) balance(ctx context.Context, c *call, in lookup) (balance, error) {
	card, _, err := a.find(ctx, c, in.CardNumber, in.Key)
	if err != nil {
		return balance{}, err
	}
	return balance{CardNumber: card.Number.Reveal(), Currency: card.Amount.Currency.String(), Balance: card.Balance.Decimal(),
		InitialAmount: card.AmountText, Status: statusOf(card.Status)}, nil
}

// historyLength bounds the transactions shown of one card, the newest ones.
const historyLength = 1000

func (a *api) query(ctx context.Context, c *call, in lookup) (details, error) {
	card, secret, err := a.find(ctx, c, in.CardNumber, in.Key)
	if err != nil {
		return details{}, err
	}
	lines, err := a.Cards.History(ctx, card, 0, historyLength)
	if err != nil {
		return details{}, err
	}
	return a.describe(c, card, secret, lines), nil
}

func (a *api) find(ctx context.Context, c *call, number, key string) (*giftcard.Card, giftcard.Secret, error) {
	secret, err := secretOf(number, key)
	if err != nil {
		return nil, secret, err
	}
	card, err := a.Cards.Find(ctx, merchant(c), secret)
	return card, secret, err
}

func (a *api) redeem(ctx context.Context, c *call, in spendRequest) (movement, error) {
	spend, err := in.spend()
	if err != nil {
		return movement{}, err
	}
	m, err := a.Cards.Redeem(ctx, merchant(c), spend)
	return moved(m, spend.Secret, in.Amount), err
}

func (a *api) hold(ctx context.Context, c *call, in holdRequest) (movement, error) {
	spend, err := in.spend()
	if err != nil {
		return movement{}, err
	}
	m, err := a.Cards.Hold(ctx, merchant(c), spend)
	return moved(m, spend.Secret, in.Amount), err
}

func (a *api) reload(ctx context.Context, c *call, in spendRequest) (movement, error) {
	spend, err := in.spend()
	if err != nil {
		return movement{}, err
	}
	m, err := a.Cards.Reload(ctx, merchant(c), spend)
	return moved(m, spend.Secret, in.Amount), err
}

func (a *api) refund(ctx context.Context, c *call, in refundRequest) (movement, error) {
	refund, err := in.refund()
	if err != nil {
		return movement{}, err
	}
	m, err := a.Cards.Refund(ctx, merchant(c), refund)
	return moved(m, giftcard.Secret{}, in.Amount), err
}

func (a *api) capture(ctx context.Context, c *call, in captureRequest) (movement, error) {
	end, err := in.end()
	if err != nil {
		return movement{}, err
	}
	m, err := a.Cards.Capture(ctx, merchant(c), end)
	return moved(m, giftcard.Secret{}, in.Amount), err
}

func (a *api) void(ctx context.Context, c *call, in voidRequest) (movement, error) {
	m, err := a.Cards.Void(ctx, merchant(c), in.end())
	return moved(m, giftcard.Secret{}, ""), err
}

func (a *api) cancel(ctx context.Context, c *call, in cancelRequest) (movement, error) {
	card, secret, err := a.find(ctx, c, in.CardNumber, in.Key)
	if err != nil {
		return movement{}, err
	}
	m, err := a.Cards.Cancel(ctx, merchant(c), card.ID, in.Reason)
	return moved(m, secret, ""), err
}

func (a *api) cover(ctx context.Context, _ *call, in coverRequest) (wire.File, error) {
	cover, err := a.Cards.TemplateCover(ctx, in.TemplateID)
	if err != nil {
		return wire.File{}, err
	}
	return wire.File{ContentType: cover.Type, Version: cover.Hash, Body: cover.Data}, nil
}
