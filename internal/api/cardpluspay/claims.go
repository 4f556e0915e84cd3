package cardpluspay

import (
	"context"
	"strings"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/claim"
	"github.com/scripcards/scrip/internal/platform/storage"
)

func (a *api) claimRoutes(s *wire.Surface[account.Principal]) {
	const claims = "/orders/{id}/claims"
	create := post("claims.create", claims, account.ScopeOrderWrite, "Claim created successfully")
	create.Idempotent = true
	wire.Handle(s, create, a.createClaim)
	wire.Handle(s, get("claims.list", claims, account.ScopeOrderRead, "Claims retrieved successfully"), a.listClaims)
	wire.Handle(s, get("claims.get", claims+"/{claim_id}", account.ScopeOrderRead, "Claim retrieved successfully"), a.getClaim)
}

type claimRequest struct {
	orderPath
	// Codes are which of the order's codes are dead: 1 is the first.
	Codes  []int  `json:"codes" wire:"required"`
	Reason string `json:"reason" wire:"required"`
	Note   string `json:"note" wire:"max=500"`
}

// Check implements wire.Checker. The product refuses the same, and names the first that is wrong.
func (in *claimRequest) Check(problems *wire.Problems) {
	if in.Codes != nil && (len(in.Codes) == 0 || len(in.Codes) > order.MaxQuantity) {
		problems.Once("codes", "must be 1 to 100 of the order's codes")
	}
	if in.Reason != "" {
		choice(problems, "reason", in.Reason, claim.Reasons()...)
	}
	if claim.CheckNote(in.Note) != nil {
		problems.Once("note", "must be text of at most 500 bytes without codes, keys or card numbers")
	}
	if claim.Reason(in.Reason) == claim.Other && strings.TrimSpace(in.Note) == "" {
		problems.Once("note", "must say what is wrong where the reason is other")
	}
}

type claimPath struct {
	orderPath
	ClaimID string `path:"claim_id" json:"-"`
}

type claimedCode struct {
	Number        int    `json:"number"`
	Status        string `json:"status"`
	ChargedAmount string `json:"charged_amount"`
	Currency      string `json:"currency"`
	// FirstRevealedAt is when somebody first saw the code, FirstRevealedTo with which key.
	FirstRevealedAt wire.TimeOffset `json:"first_revealed_at"`
	FirstRevealedTo string          `json:"first_revealed_to"`
	Decision        string          `json:"decision,omitzero"`
	DecidedAt       wire.TimeOffset `json:"decided_at,omitzero"`
	Voiding         string          `json:"voiding"`
	// Voided is what was left on a gift card that was voided, in VoidedCurrency.
	Voided         string `json:"voided,omitzero"`
	VoidedCurrency string `json:"voided_currency,omitzero"`
}

type claimView struct {
	ClaimID   string          `json:"claim_id"`
	OrderID   int64           `json:"order_id"`
	Reason    string          `json:"reason"`
	Note      string          `json:"note"`
	Status    string          `json:"status"`
	Codes     []claimedCode   `json:"codes"`
	OrderedAt wire.TimeOffset `json:"ordered_at"`
	CreatedAt wire.TimeOffset `json:"created_at"`
}

type claims struct {
	Claims []claimView `json:"claims"`
	State  string      `json:"state"`
}

func claimOf(c *claim.Claim) claimView {
	out := claimView{ClaimID: string(c.ID), OrderID: int64(c.Order), Reason: string(c.Reason), Note: c.Note, Status: string(c.State),
		Codes: make([]claimedCode, 0, len(c.Lines)), OrderedAt: wire.TimeOffset(c.OrderedAt), CreatedAt: wire.TimeOffset(c.CreatedAt)}
	for i := range c.Lines {
		l := &c.Lines[i]
		code := claimedCode{Number: l.Place, Status: string(l.Verdict), ChargedAmount: l.Charged.String(), Currency: l.Charged.Currency.String(),
			FirstRevealedAt: wire.TimeOffset(l.FirstLook.At), FirstRevealedTo: l.FirstLook.Actor, Decision: l.Decision, DecidedAt: wire.TimeOffset(l.DecidedAt),
			Voiding: string(l.Voiding())}
		if l.Voiding() == claim.Voided {
			code.Voided, code.VoidedCurrency = l.Card.Void.Amount.String(), l.Card.Void.Amount.Currency.String()
		}
		out.Codes = append(out.Codes, code)
	}
	return out
}

// createClaim files a claim. What it answers under an Idempotency-Key is written with it.
func (a *api) createClaim(ctx context.Context, c *call, in claimRequest) (claimView, error) {
	var kept wire.Answer
	r := claim.Report{Order: order.Number(in.ID), Places: in.Codes, Reason: claim.Reason(in.Reason), Note: in.Note}
	if c.Retry.Key != "" {
		r.Also = func(made *claim.Claim) (effects []storage.Effect, err error) {
			kept, effects, err = a.keep(c, claimOf(made))
			return effects, err
		}
	}
	made, err := a.Claims.Create(ctx, buyer(c), r)
	switch {
	case err != nil:
		return claimView{}, a.raced(ctx, c, err)
	case r.Also != nil:
		c.Kept(kept)
	}
	return claimOf(&made), nil
}

func (a *api) listClaims(ctx context.Context, c *call, in orderPath) (claims, error) {
	found, err := a.Claims.OfOrder(ctx, c.Principal.Book, order.Number(in.ID))
	out := claims{Claims: make([]claimView, 0, len(found)), State: stateSuccess}
	for i := range found {
		out.Claims = append(out.Claims, claimOf(&found[i]))
	}
	return out, err
}

func (a *api) getClaim(ctx context.Context, c *call, in claimPath) (claimView, error) {
	found, err := a.Claims.FindOf(ctx, c.Principal.Book, order.Number(in.ID), claim.ID(in.ClaimID))
	return claimOf(&found), err
}
