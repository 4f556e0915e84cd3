// Package remedy is the room of the operator API for what follows the sale of codes:
// claims about dead ones and decisions about them, an order's postings, and the daily
// reports that hold orders, codes and postings against one another.
//
// It translates, and holds no rule. It must never show a code.
package remedy

import (
	"context"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/claim"
	"github.com/scripcards/scrip/internal/order/minted"
	"github.com/scripcards/scrip/internal/order/report"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Deps is what the room stands on.
type Deps struct {
	Orders  *order.Service
	Claims  *claim.Service
	Reports *report.Service
}

type api struct {
	Deps
	desk *desk.Desk
}

// Routes adds the room's calls to the operator API.
func Routes(s *desk.Surface, d *desk.Desk, deps Deps) {
	a := &api{deps, d}
	const one = "/books/{book_id}/claims/{claim_id}"
	wire.Handle(s, desk.Get("claims.list", "/claims"), a.list)
	wire.Handle(s, desk.Get("claims.get", one), a.get)
	wire.Handle(s, desk.Once(desk.Post("claims.replace", one+"/replace", desk.Assist)), a.replace)
	wire.Handle(s, desk.Once(desk.Post("claims.refund", one+"/refund", desk.Assist)), a.refund)
	wire.Handle(s, desk.Once(desk.Post("claims.reject", one+"/reject", desk.Assist)), a.reject)
	wire.Handle(s, desk.Post("claims.give_up", one+"/give-up", desk.Assist), a.giveUp)
	wire.Handle(s, desk.Post("claims.deny", one+"/deny", desk.Administer), a.deny)
	wire.Handle(s, desk.Get("orders.postings", "/books/{book_id}/orders/{order_id}/postings"), a.postings)
	wire.Handle(s, desk.Get("reports.codes", "/reports/codes"), a.report)
}

type claimPath struct {
	BookID  string `path:"book_id" json:"-"`
	ClaimID string `path:"claim_id" json:"-"`
}

// owner returns the owner of the path's book; not_found for what cannot be a claim.
func (a *api) owner(ctx context.Context, in claimPath) (account.Owner, error) {
	owner, err := a.desk.Owner(ctx, in.BookID)
	if err == nil {
		err = desk.Known("claim", claim.Prefix, in.ClaimID)
	}
	return owner, err
}

type lineView struct {
	// Number is which of the order's codes it is, from 1.
	Number          int             `json:"number"`
	CodeID          string          `json:"code_id"`
	SoldAt          wire.TimeMillis `json:"sold_at"`
	FirstRevealedAt wire.TimeMillis `json:"first_revealed_at"`
	FirstRevealedTo string          `json:"first_revealed_to"`
	Charged         string          `json:"charged"`
	Currency        string          `json:"currency"`
	State           string          `json:"state"`
	ReplacementID   string          `json:"replacement_id,omitzero"`
	TransactionID   string          `json:"transaction_id,omitzero"`
	Decision        string          `json:"decision,omitzero"`
	DecidedBy       string          `json:"decided_by,omitzero"`
	DecidedAt       wire.TimeMillis `json:"decided_at,omitzero"`
	Voiding         string          `json:"voiding"`
	GiftCard        *cardView       `json:"gift_card,omitzero"`
}

// cardView is the gift card that a code is, without its number and key.
type cardView struct {
	CardID      string          `json:"card_id"`
	BookID      string          `json:"book_id"`
	Status      string          `json:"status"`
	Blocked     bool            `json:"blocked,omitzero"`
	Amount      string          `json:"amount"`
	Balance     string          `json:"balance"`
	Held        string          `json:"held"`
	Currency    string          `json:"currency"`
	FirstUsedAt wire.TimeMillis `json:"first_used_at,omitzero"`
	// Voided is what was left on it when it was voided, by VoidTransactionID of its own book.
	Voided            string          `json:"voided,omitzero"`
	VoidedAt          wire.TimeMillis `json:"voided_at,omitzero"`
	VoidTransactionID string          `json:"void_transaction_id,omitzero"`
}

func viewCard(c *minted.Card) *cardView {
	if c == nil {
		return nil
	}
	v := &cardView{CardID: string(c.ID), BookID: string(c.Book), Status: string(c.Status), Blocked: c.Blocked, Amount: c.Amount.String(), Balance: c.Balance.String(),
		Held: c.Held.String(), Currency: c.Amount.Currency.String(), FirstUsedAt: desk.At(c.FirstAt)}
	if c.Void != nil {
		v.Voided, v.VoidedAt, v.VoidTransactionID = c.Void.Amount.String(), desk.At(c.Void.At), string(c.Void.Transaction)
	}
	return v
}

type claimView struct {
	ClaimID    string          `json:"claim_id"`
	BookID     string          `json:"book_id"`
	Realm      string          `json:"realm"`
	OrderID    int64           `json:"order_id"`
	OrderedAt  wire.TimeMillis `json:"ordered_at"`
	Reason     string          `json:"reason"`
	Note       string          `json:"note,omitzero"`
	Credential string          `json:"credential"`
	State      string          `json:"state"`
	Codes      []lineView      `json:"codes"`
	CreatedAt  wire.TimeMillis `json:"created_at"`
	ChangedAt  wire.TimeMillis `json:"changed_at"`
}

func viewLine(l claim.Line) lineView {
	return lineView{Number: l.Place, CodeID: string(l.Code), SoldAt: desk.At(l.SoldAt), FirstRevealedAt: desk.At(l.FirstLook.At), FirstRevealedTo: l.FirstLook.Actor,
		Charged: l.Charged.String(), Currency: l.Charged.Currency.String(), State: string(l.Verdict), ReplacementID: string(l.Replacement),
		TransactionID: string(l.Transaction), Decision: l.Decision, DecidedBy: l.Actor, DecidedAt: desk.At(l.DecidedAt),
		Voiding: string(l.Voiding()), GiftCard: viewCard(l.Card)}
}

func viewClaim(c claim.Claim) claimView {
	return claimView{ClaimID: string(c.ID), BookID: string(c.Book), Realm: string(c.Realm), OrderID: int64(c.Order), OrderedAt: desk.At(c.OrderedAt),
		Reason: string(c.Reason), Note: c.Note, Credential: c.Credential, State: string(c.State), Codes: desk.Page(c.Lines, viewLine).Data,
		CreatedAt: desk.At(c.CreatedAt), ChangedAt: desk.At(c.ChangedAt)}
}

type claimList struct {
	wire.CursorQuery
	Realm string `query:"realm" json:"-"`
	State string `query:"state" json:"-"`
}

func (a *api) list(ctx context.Context, _ *desk.Call, in claimList) (wire.Listing[claimView], error) {
	none := wire.Listing[claimView]{}
	r, err := desk.RealmOrLive(in.Realm)
	if err != nil {
		return none, err
	}
	s, err := a.desk.Span(in.CursorQuery, "claims", string(r), in.State)
	if err != nil {
		return none, err
	}
	found, err := a.Claims.List(ctx, claim.Filter{Realm: r, State: claim.State(in.State), Before: claim.ID(s.After), Limit: s.Limit + 1})
	found, next := desk.Cut(found, s, func(c claim.Claim) string { return string(c.ID) })
	list := desk.Page(found, viewClaim)
	list.NextCursor = a.desk.More(s, next)
	return list, err
}

func (a *api) get(ctx context.Context, _ *desk.Call, in claimPath) (claimView, error) {
	owner, err := a.owner(ctx, in)
	if err != nil {
		return claimView{}, err
	}
	found, err := a.Claims.Find(ctx, owner.Book, claim.ID(in.ClaimID))
	return viewClaim(found), err
}

// remedy makes good for codes of a claim: all that are open, where none is named.
type remedy struct {
	claimPath
	Codes  []int  `json:"codes"`
	Reason string `json:"reason" wire:"max=500"`
	// AcceptUsed makes good even for codes whose gift cards were used.
	AcceptUsed bool `json:"accept_used"`
}

type rejection struct {
	claimPath
	Codes  []int  `json:"codes"`
	Reason string `json:"reason" wire:"required,max=500"`
}

func (a *api) replace(ctx context.Context, c *desk.Call, in remedy) (claimView, error) {
	return a.decide(ctx, c, in, claim.Replace)
}

func (a *api) refund(ctx context.Context, c *desk.Call, in remedy) (claimView, error) {
	return a.decide(ctx, c, in, claim.Refund)
}

func (a *api) reject(ctx context.Context, c *desk.Call, in rejection) (claimView, error) {
	return a.decide(ctx, c, remedy{claimPath: in.claimPath, Codes: in.Codes, Reason: in.Reason}, claim.Reject)
}

func (a *api) decide(ctx context.Context, c *desk.Call, in remedy, v claim.Verdict) (claimView, error) {
	owner, err := a.owner(ctx, in.claimPath)
	if err != nil {
		return claimView{}, err
	}
	if in.Reason != "" {
		if in.Reason, err = desk.Written("reason", in.Reason); err != nil {
			return claimView{}, err
		}
	}
	decided, err := a.Claims.Decide(ctx, claim.Decision{Book: owner.Book, Claim: claim.ID(in.ClaimID), Verdict: v, Places: in.Codes, Reason: in.Reason, AcceptUsed: in.AcceptUsed,
		Actor: desk.Actor(c), Also: func(after *claim.Claim) ([]storage.Effect, error) { return a.desk.Kept(c, viewClaim(*after)) },
		Undone: c.Undone})
	return viewClaim(decided), a.desk.Raced(ctx, c, err)
}

// intervention is about the replacements of a claim that are under way.
type intervention struct {
	claimPath
	desk.Reasoned
}

func (a *api) giveUp(ctx context.Context, c *desk.Call, in intervention) (claimView, error) {
	return a.intervene(ctx, c, in, a.Claims.GiveUp)
}

func (a *api) deny(ctx context.Context, c *desk.Call, in intervention) (claimView, error) {
	return a.intervene(ctx, c, in, a.Claims.Deny)
}

func (a *api) intervene(ctx context.Context, c *desk.Call, in intervention, do func(context.Context, claim.Intervention) (claim.Claim, error)) (claimView, error) {
	owner, err := a.owner(ctx, in.claimPath)
	if err != nil {
		return claimView{}, err
	}
	reason, err := desk.Written("reason", in.Reason)
	if err != nil {
		return claimView{}, err
	}
	now, err := do(ctx, claim.Intervention{Book: owner.Book, Claim: claim.ID(in.ClaimID), Reason: reason, Actor: desk.Actor(c)})
	return viewClaim(now), err
}
