package issuing

import (
	"context"

	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/cardholder"
)

// cardView is a virtual card without its number.
type cardView struct {
	CardID       string            `json:"card_id"`
	BookID       string            `json:"book_id"`
	BINID        string            `json:"bin_id"`
	Network      string            `json:"network"`
	Last4        string            `json:"last4"`
	Status       string            `json:"status"`
	Reason       string            `json:"reason,omitzero"`
	Balance      string            `json:"balance"`
	Held         string            `json:"held"`
	Spent        string            `json:"spent"`
	Currency     string            `json:"currency"`
	Transactions int64             `json:"transactions"`
	Label        string            `json:"label,omitzero"`
	Metadata     map[string]string `json:"metadata"`
	CardholderID string            `json:"cardholder_id,omitzero"`
	Tier         string            `json:"tier"`
	Controls     controlsView      `json:"controls"`
	CreatedAt    wire.TimeMillis   `json:"created_at"`
	ExpiresAt    wire.TimeMillis   `json:"expires_at"`
	LastUsedAt   wire.TimeMillis   `json:"last_used_at,omitzero"`
	FrozenAt     wire.TimeMillis   `json:"frozen_at,omitzero"`
	EndedAt      wire.TimeMillis   `json:"ended_at,omitzero"`
}

// controlsView is what a card is allowed. Empty lists allow everything.
type controlsView struct {
	Limits       []limitView `json:"limits"`
	Categories   []string    `json:"categories"`
	Countries    []string    `json:"countries"`
	Currencies   []string    `json:"currencies"`
	Merchant     string      `json:"merchant,omitzero" wire:"max=64"`
	SingleUse    bool        `json:"single_use"`
	AutoFreezeAt string      `json:"auto_freeze_at,omitzero" wire:"max=64"`
}

func viewControls(c *issuing.Controls) controlsView {
	v := controlsView{Limits: viewLimits(c.Limits), Categories: desk.Listed(c.Categories), Countries: desk.Listed(c.Countries), Currencies: []string{},
		Merchant: c.Merchant, SingleUse: c.SingleUse}
	for _, currency := range c.Currencies {
		v.Currencies = append(v.Currencies, currency.String())
	}
	if !c.AutoFreezeAt.IsZero() {
		v.AutoFreezeAt = c.AutoFreezeAt.String()
	}
	return v
}

func viewCard(c issuing.Card) cardView {
	if c.Metadata == nil {
		c.Metadata = map[string]string{}
	}
	return cardView{CardID: string(c.ID), BookID: string(c.Book), BINID: c.BIN.ID, Network: string(c.BIN.Network), Last4: c.Last4, Status: string(c.Status),
		Reason: c.Reason, Balance: c.Balance.String(), Held: c.Held.String(), Spent: c.Spent.String(), Currency: c.BIN.Currency.String(),
		Transactions: c.Transactions, Label: c.Label, Metadata: c.Metadata, CardholderID: c.Holder, Tier: c.Tier.Name, Controls: viewControls(&c.Controls),
		CreatedAt: desk.At(c.CreatedAt), ExpiresAt: desk.At(c.ExpiresAt), LastUsedAt: desk.At(c.LastUsedAt), FrozenAt: desk.At(c.FrozenAt), EndedAt: desk.At(c.EndedAt)}
}

type cardNumber struct {
	Number pan.Secret `json:"number" wire:"required"`
	Realm  string     `json:"realm" wire:"required"`
}

// findCard finds a card by its number. It is a POST so that no URL holds one.
func (a *api) findCard(ctx context.Context, c *call, in cardNumber) (cardView, error) {
	r, err := desk.RealmOf(in.Realm)
	if err != nil {
		return cardView{}, err
	}
	number, err := pan.Parse(in.Number.Reveal())
	if err != nil {
		return cardView{}, fault.New(fault.NotFound, "no such card")
	}
	found, err := a.Cards.FindByNumber(ctx, r, number)
	if err != nil {
		return cardView{}, err
	}
	return a.card(ctx, c, cardPath{bookPath{string(found.Book)}, string(found.ID)})
}

type newCard struct {
	bookPath
	BINID        string            `json:"bin_id" wire:"required"`
	Amount       string            `json:"amount" wire:"required,max=64"`
	Label        string            `json:"label"`
	Metadata     map[string]string `json:"metadata"`
	Controls     *controlsView     `json:"controls"`
	CardholderID string            `json:"cardholder_id"`
}

// issueCard makes an active card for a customer, paid from the customer's wallet.
func (a *api) issueCard(ctx context.Context, c *call, in newCard) (cardView, error) {
	h, err := a.holder(ctx, c, in.BookID)
	if err != nil {
		return cardView{}, err
	}
	bin, err := a.Cards.BIN(ctx, in.BINID)
	if fault.CodeOf(err) == fault.NotFound {
		return cardView{}, desk.Invalid("bin_id", "no such BIN")
	}
	if err != nil {
		return cardView{}, err
	}
	n := issuing.NewCard{BIN: bin.ID, Label: in.Label, Metadata: in.Metadata, Cardholder: cardholder.ID(in.CardholderID),
		Also: desk.Storing(a.desk, c, viewCard)}
	if n.Amount, err = amountOf("amount", in.Amount, bin.Currency); err != nil {
		return cardView{}, err
	}
	if in.Controls != nil {
		if n.Controls, err = in.Controls.controls(bin.Currency); err != nil {
			return cardView{}, err
		}
	}
	made, err := a.Cards.Issue(ctx, h, n)
	return viewCard(made), a.desk.Raced(ctx, c, err)
}

type cardList struct {
	bookPath
	wire.CursorQuery
	Status string `query:"status" json:"-"`
}

// listCards lists a book's cards, oldest first: neither new ones nor those whose status
// changes move the pages.
func (a *api) listCards(ctx context.Context, c *call, in cardList) (wire.Listing[cardView], error) {
	none := wire.Listing[cardView]{}
	h, err := a.holder(ctx, c, in.BookID)
	if err != nil {
		return none, err
	}
	s, err := a.desk.Span(in.CursorQuery, "cards", in.BookID, in.Status)
	if err != nil {
		return none, err
	}
	s.Limit = min(s.Limit, issuing.MaxPerPage)
	found, err := a.Cards.List(ctx, issuing.Filter{Holder: h, Status: issuing.Status(in.Status), Ascending: true, After: issuing.CardID(s.After), Limit: s.Limit + 1})
	if err != nil {
		return none, err
	}
	cards, next := desk.Cut(found.Cards, s, func(c issuing.Card) string { return string(c.ID) })
	list := desk.Page(cards, viewCard)
	list.NextCursor = a.desk.More(s, next)
	return list, nil
}

type cardPath struct {
	bookPath
	CardID string `path:"card_id" json:"-"`
}

func (a *api) card(ctx context.Context, c *call, in cardPath) (cardView, error) {
	h, err := a.holder(ctx, c, in.BookID)
	if err != nil {
		return cardView{}, err
	}
	found, err := a.Cards.Get(ctx, h, issuing.CardID(in.CardID))
	if err != nil {
		return cardView{}, err
	}
	return viewCard(found), nil
}

func (a *api) getCard(ctx context.Context, c *call, in cardPath) (cardView, error) {
	return a.card(ctx, c, in)
}

type cardChange struct {
	cardPath
	Label    *string            `json:"label"`
	Metadata map[string]*string `json:"metadata"`
	Controls *controlsView      `json:"controls"`
}

func (a *api) changeCard(ctx context.Context, c *call, in cardChange) (cardView, error) {
	h, err := a.holder(ctx, c, in.BookID)
	if err != nil {
		return cardView{}, err
	}
	change := issuing.Change{Card: issuing.CardID(in.CardID), Label: in.Label, Metadata: in.Metadata, Also: desk.Storing(a.desk, c, viewCard)}
	if in.Controls != nil {
		card, err := a.Cards.Get(ctx, h, change.Card)
		if err != nil {
			return cardView{}, err
		}
		controls, err := in.Controls.controls(card.BIN.Currency)
		if err != nil {
			return cardView{}, err
		}
		change.Controls = &controls
	}
	changed, err := a.Cards.Change(ctx, h, change)
	return viewCard(changed), a.desk.Raced(ctx, c, err)
}

// controls reads what a card shall be allowed; what is left out allows everything.
func (v *controlsView) controls(currency money.Currency) (issuing.Controls, error) {
	limits, err := limitsOf(v.Limits, currency)
	if err != nil {
		return issuing.Controls{}, err
	}
	c := issuing.Controls{Limits: limits, Categories: v.Categories, Countries: v.Countries, Merchant: v.Merchant, SingleUse: v.SingleUse}
	for _, code := range v.Currencies {
		known, err := currencyOf(code)
		if err != nil {
			return c, err
		}
		c.Currencies = append(c.Currencies, known)
	}
	if v.AutoFreezeAt != "" {
		c.AutoFreezeAt, err = amountOf("auto_freeze_at", v.AutoFreezeAt, currency)
	}
	return c, err
}

// cardStep says why, in a word and a note for the audit log.
type cardStep struct {
	cardPath
	Reason string `json:"reason"`
	Note   string `json:"note" wire:"max=200"`
}

type step func(ctx context.Context, h issuing.Holder, st issuing.Step) (issuing.Card, error)

func (a *api) freezeCard(ctx context.Context, c *call, in cardStep) (cardView, error) {
	return a.setCard(ctx, c, in, a.Cards.Freeze)
}

func (a *api) unfreezeCard(ctx context.Context, c *call, in cardStep) (cardView, error) {
	return a.setCard(ctx, c, in, a.Cards.Unfreeze)
}

func (a *api) setCard(ctx context.Context, c *call, in cardStep, set step) (cardView, error) {
	h, err := a.holder(ctx, c, in.BookID)
	if err != nil {
		return cardView{}, err
	}
	done, err := set(ctx, h, issuing.Step{Card: issuing.CardID(in.CardID), Reason: in.Reason, Note: in.Note, Also: desk.Storing(a.desk, c, viewCard)})
	return viewCard(done), a.desk.Raced(ctx, c, err)
}

type cardReplacement struct {
	cardPath
	Reason string `json:"reason" wire:"required"`
}

func (a *api) replaceCard(ctx context.Context, c *call, in cardReplacement) (cardView, error) {
	h, err := a.holder(ctx, c, in.BookID)
	if err != nil {
		return cardView{}, err
	}
	view := func(i issuing.Issued) cardView { return viewCard(i.Card) }
	issued, err := a.Cards.Replace(ctx, h, issuing.Replacement{Card: issuing.CardID(in.CardID), Reason: in.Reason, Also: desk.Storing(a.desk, c, view)})
	return view(issued), a.desk.Raced(ctx, c, err)
}

// endedView is a terminated card with what went back to the wallet.
type endedView struct {
	Card     cardView `json:"card"`
	Refunded string   `json:"refunded"`
	Wallet   string   `json:"wallet_balance"`
}

func viewEnded(e issuing.Ended) endedView {
	return endedView{Card: viewCard(e.Card), Refunded: e.Refunded.String(), Wallet: e.Wallet.String()}
}

func (a *api) terminateCard(ctx context.Context, c *call, in cardStep) (endedView, error) {
	h, err := a.holder(ctx, c, in.BookID)
	if err != nil {
		return endedView{}, err
	}
	ended, err := a.Cards.Terminate(ctx, h, issuing.Ending{Card: issuing.CardID(in.CardID), Reason: in.Reason, Note: in.Note, Also: desk.Storing(a.desk, c, viewEnded)})
	return viewEnded(ended), a.desk.Raced(ctx, c, err)
}
